//! One call for many who ask the same at once.
//!
//! The call is nobody's own: it runs as a task, and whoever began it may go away without spoiling it for the rest. When
//! the last one went, it is taken back.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::Shared;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::cache::key::Key;

/// The calls in flight.
pub struct Flights<T>(Arc<Mutex<HashMap<Key, Flight<T>>>>);

struct Flight<T> {
    ended: Shared<oneshot::Receiver<T>>,
    cancel: CancellationToken,
    waiting: usize,
}

/// A place among those who wait for a call, until it is dropped.
pub struct Waiter<T> {
    flights: Flights<T>,
    key: Key,
    /// Tells this call from a later one for the same key.
    cancel: CancellationToken,
    ended: Shared<oneshot::Receiver<T>>,
    /// True for who began the call.
    pub leads: bool,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Waits with the others for the answer to `key`, or begins the call of which it comes.
    pub fn join<F>(&self, key: Key, begin: impl FnOnce(CancellationToken) -> F) -> Waiter<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get_mut(&key) {
            flight.waiting += 1;
            return self.waiter(key, flight, false);
        }
        let (sender, receiver) = oneshot::channel();
        let cancel = CancellationToken::new();
        let flight = Flight { ended: receiver.shared(), cancel: cancel.clone(), waiting: 1 };
        let waiter = self.waiter(key, &flight, true);
        flights.insert(key, flight);
        drop(flights);
        let call = begin(cancel.clone());
        let flights = self.clone();
        tokio::spawn(async move {
            let landing = Landing { flights, key, cancel };
            let ended = call.await;
            drop(landing);
            // Nobody may be left to hear of it.
            let _unheard = sender.send(ended);
        });
        waiter
    }

    fn waiter(&self, key: Key, flight: &Flight<T>, leads: bool) -> Waiter<T> {
        let (cancel, ended) = (flight.cancel.clone(), flight.ended.clone());
        Waiter { flights: self.clone(), key, cancel, ended, leads }
    }

    /// How many calls are in flight.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<T: Clone> Waiter<T> {
    /// The answer; none where the call ended without one, which only happens while the process ends.
    pub async fn ended(&self) -> Option<T> {
        self.ended.clone().await.ok()
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(flight) = flights.get_mut(&self.key) else { return };
        if flight.cancel != self.cancel {
            return;
        }
        flight.waiting -= 1;
        if flight.waiting == 0 {
            // Nobody can join it any more: who asks next begins anew.
            flights.remove(&self.key);
            self.cancel.cancel();
        }
    }
}

/// Takes a call off the list when it has ended, however it did.
struct Landing<T> {
    flights: Flights<T>,
    key: Key,
    cancel: CancellationToken,
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.get(&self.key).is_some_and(|flight| flight.cancel == self.cancel) {
            flights.remove(&self.key);
        }
    }
}

impl<T> Clone for Flights<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone + Send + Sync + 'static> Default for Flights<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Waiter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("key", &self.key).field("leads", &self.leads).finish_non_exhaustive()
    }
}
