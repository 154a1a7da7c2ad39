//! Requests that can be taken back by their id: on a door with one client, where ids mean something beyond a message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

type Tokens = Arc<Mutex<HashMap<Box<str>, CancellationToken>>>;

/// The requests that one client waits for. Ids are JSON text.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Tokens);

impl InFlight {
    /// Notes a request; none where its id is in use.
    #[must_use]
    pub fn begin(&self, id: &str) -> Option<Entry> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.contains_key(id) {
            return None;
        }
        let token = CancellationToken::new();
        tokens.insert(id.into(), token.clone());
        Some(Entry { tokens: self.0.clone(), id: id.into(), token })
    }

    /// Takes a request back. One that is not in flight is none of our concern: it may just have been answered.
    pub fn cancel(&self, id: &str) {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.get(id) {
            token.cancel();
        }
    }
}

/// A noted request, until it is dropped.
#[derive(Debug)]
pub struct Entry {
    tokens: Tokens,
    id: Box<str>,
    token: CancellationToken,
}

impl Entry {
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_in_use_until_it_is_answered() {
        let in_flight = InFlight::default();
        let entry = in_flight.begin("1").unwrap();
        assert!(in_flight.begin("1").is_none() && in_flight.begin("\"1\"").is_some());
        in_flight.cancel("2");
        assert!(!entry.token().is_cancelled());
        in_flight.cancel("1");
        assert!(entry.token().is_cancelled());
        drop(entry);
        assert!(in_flight.begin("1").is_some());
    }
}
