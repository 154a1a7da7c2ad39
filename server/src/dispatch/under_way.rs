//! Calls of older clients over HTTP that can be taken back with `notifications/cancelled`.
//!
//! Without sessions, two clients behind one key or one address may use the same id at the same time. Then nobody can say
//! which of the two calls is meant, and neither is taken back. A call that is answered at once is never noted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::auth::principal::{Caller, PrincipalKind};

/// The calls under way, by caller and id.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    tokens: HashMap<Key, Vec<(u64, CancellationToken)>>,
    /// Tells calls with the same key apart.
    next: u64,
}

/// The caller and the id, which is JSON text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key(Owner, Box<str>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Principal(PrincipalKind, Arc<str>),
    Address(Option<IpAddr>),
}

/// A call that is noted, until this is dropped.
#[derive(Debug)]
pub(super) struct Noted {
    calls: UnderWay,
    key: Key,
    number: u64,
}

impl UnderWay {
    /// Notes a call that `token` takes back.
    pub(super) fn note(&self, caller: &Caller, id: &str, token: &CancellationToken) -> Noted {
        let key = Key::new(caller, id);
        let mut calls = self.lock();
        let number = calls.next;
        calls.next += 1;
        calls.tokens.entry(key.clone()).or_default().push((number, token.clone()));
        Noted { calls: self.clone(), key, number }
    }

    /// Takes back the one call of this caller with this id. One that is not under way may just have been answered.
    pub(super) fn cancel(&self, caller: &Caller, id: &str) {
        let calls = self.lock();
        match calls.tokens.get(&Key::new(caller, id)).map(Vec::as_slice) {
            None | Some([]) => tracing::debug!(id, "ignoring a cancellation: no such call is under way"),
            Some([(_, token)]) => token.cancel(),
            Some(several) => tracing::debug!(
                id,
                calls = several.len(),
                "ignoring a cancellation: several calls of this caller have that id"
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut calls = self.calls.lock();
        if let Some(tokens) = calls.tokens.get_mut(&self.key) {
            tokens.retain(|(number, _)| *number != self.number);
            if tokens.is_empty() {
                calls.tokens.remove(&self.key);
            }
        }
    }
}

impl Key {
    fn new(caller: &Caller, id: &str) -> Self {
        let owner = match &caller.principal {
            Some(principal) => Owner::Principal(principal.kind, principal.id.clone()),
            None => Owner::Address(caller.address.map(|address| address.to_canonical())),
        };
        Self(owner, id.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Caller {
        Caller { principal: None, address: Some(address.parse().unwrap()) }
    }

    #[test]
    fn only_what_is_unique_is_taken_back() {
        let calls = UnderWay::default();
        let (one, other) = (from("192.0.2.1"), from("192.0.2.2"));
        let [first, second, third] = [(); 3].map(|()| CancellationToken::new());
        let noted = calls.note(&one, "1", &first);
        let again = calls.note(&one, "1", &second);
        let _of_other = calls.note(&other, "1", &third);
        calls.cancel(&one, "1");
        assert!(!first.is_cancelled() && !second.is_cancelled(), "which of the two is meant is unknown");
        calls.cancel(&other, "\"1\"");
        assert!(!third.is_cancelled(), "a string is another id than a number");
        drop(noted);
        calls.cancel(&one, "1");
        assert!(second.is_cancelled() && !third.is_cancelled());
        drop(again);
        calls.cancel(&one, "1");
        assert_eq!(calls.lock().tokens.len(), 1);
    }
}
