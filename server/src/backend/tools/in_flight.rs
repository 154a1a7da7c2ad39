//! Counts calls in flight, so that a server can stop when there are none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

#[derive(Debug, Default)]
pub(in crate::backend) struct InFlight {
    calls: AtomicUsize,
    none_left: Notify,
}

/// One call in flight, until it is dropped.
#[derive(Debug)]
pub(in crate::backend) struct Entered(Arc<InFlight>);

impl InFlight {
    pub(in crate::backend) fn enter(self: &Arc<Self>) -> Entered {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Entered(Arc::clone(self))
    }

    /// Resolves when none is in flight, at the latest at `until`.
    pub(in crate::backend) async fn none(&self, until: Instant) {
        loop {
            // Made before the count is read: from then on it misses no notification.
            let none_left = self.none_left.notified();
            if self.calls.load(Ordering::SeqCst) == 0 || timeout_at(until, none_left).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.0.calls.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}
