//! Calls of older clients over HTTP that can be taken back with `notifications/cancelled`.
//!
//! Without sessions, two clients behind one key or one address may use the same id at the same time. Then nobody can say
//! which of the two calls is meant, and neither is taken back. A call that is answered at once is never noted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::time::Instant;
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

/// A call that is noted until it ends. Where this is dropped before, because the client closed the connection, the call goes
/// on without it, and stays noted until its deadline: some clients hang up first, and send the cancellation after that.
#[derive(Debug)]
pub(super) struct Noted {
    entry: Option<Entry>,
    deadline: Instant,
}

/// A call among those under way, until this is dropped.
#[derive(Debug)]
struct Entry {
    calls: UnderWay,
    key: Key,
    number: u64,
}

impl UnderWay {
    /// Notes a call that `token` takes back, and that ends at `deadline` at the latest.
    pub(super) fn note(
        &self,
        caller: &Caller,
        id: &str,
        token: &CancellationToken,
        deadline: Instant,
    ) -> Noted {
        let key = Key::new(caller, id);
        let mut calls = self.lock();
        let number = calls.next;
        calls.next += 1;
        calls.tokens.entry(key.clone()).or_default().push((number, token.clone()));
        Noted { entry: Some(Entry { calls: self.clone(), key, number }), deadline }
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

impl Noted {
    /// The call has ended.
    pub(super) fn end(mut self) {
        self.entry = None;
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let (Some(entry), Ok(runtime)) = (self.entry.take(), Handle::try_current()) else { return };
        let deadline = self.deadline;
        runtime.spawn(async move {
            tokio::time::sleep_until(deadline).await;
            drop(entry);
        });
    }
}

impl Drop for Entry {
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
    use std::time::Duration;

    use super::*;

    fn from(address: &str) -> Caller {
        Caller { principal: None, address: Some(address.parse().unwrap()) }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_client_hung_up_stays_until_its_deadline() {
        let (calls, caller, token) = (UnderWay::default(), from("192.0.2.1"), CancellationToken::new());
        drop(calls.note(&caller, "1", &token, soon()));
        tokio::time::sleep(Duration::from_secs(29)).await;
        calls.cancel(&caller, "1");
        assert!(token.is_cancelled());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(calls.lock().tokens.is_empty());
    }

    #[test]
    fn only_what_is_unique_is_taken_back() {
        let calls = UnderWay::default();
        let (one, other) = (from("192.0.2.1"), from("192.0.2.2"));
        let [first, second, third] = [(); 3].map(|()| CancellationToken::new());
        let noted = calls.note(&one, "1", &first, soon());
        let again = calls.note(&one, "1", &second, soon());
        let _of_other = calls.note(&other, "1", &third, soon());
        calls.cancel(&one, "1");
        assert!(!first.is_cancelled() && !second.is_cancelled(), "which of the two is meant is unknown");
        calls.cancel(&other, "\"1\"");
        assert!(!third.is_cancelled(), "a string is another id than a number");
        noted.end();
        calls.cancel(&one, "1");
        assert!(second.is_cancelled() && !third.is_cancelled());
        again.end();
        calls.cancel(&one, "1");
        assert_eq!(calls.lock().tokens.len(), 1);
    }
}
