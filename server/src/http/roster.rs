//! The open connections of a port, and which of them goes when there is no room for another one.
//!
//! A port holds a bounded number of connections. Without a way out, a stranger who holds them all open and sends nothing
//! keeps everybody out, probes included. So a new connection takes the place of the one that has waited longest for its
//! client; one on which this server is at work is never closed for another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::http::pulse::Pulse;

/// The open connections of a port.
#[derive(Debug, Default)]
pub(super) struct Roster(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    open: HashMap<u64, Member>,
    next: u64,
}

#[derive(Debug)]
struct Member {
    pulse: Arc<Pulse>,
    close: CancellationToken,
}

/// The place of a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    roster: Arc<Roster>,
    number: u64,
}

impl Roster {
    /// Enters a connection, which closes when `close` is cancelled.
    pub(super) fn enter(self: &Arc<Self>, pulse: Arc<Pulse>, close: CancellationToken) -> Place {
        let mut members = self.lock();
        let number = members.next;
        members.next += 1;
        members.open.insert(number, Member { pulse, close });
        Place { roster: self.clone(), number }
    }

    /// Has the connection closed that has waited longest for its client; false where there is none.
    pub(super) fn make_room(&self) -> bool {
        let members = self.lock();
        let waiting = members.open.values().filter(|member| !member.close.is_cancelled());
        let longest = waiting
            .filter_map(|member| Some((member.pulse.waits()?, member)))
            .min_by_key(|(waits, _)| *waits);
        let Some(((waits, since), member)) = longest else { return false };
        tracing::debug!(?waits, waited = ?since.elapsed(), "closing a connection to make room for another one");
        member.close.cancel();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.roster.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::pulse::Patience;
    use std::time::Duration;

    #[tokio::test]
    async fn the_longest_idle_one_goes_first_and_a_busy_one_never() {
        let roster = Arc::new(Roster::default());
        let pause = || tokio::time::sleep(Duration::from_millis(20));
        let connect = async || {
            pause().await;
            let (pulse, close) = (Pulse::new(Patience::default()), CancellationToken::new());
            pulse.drained();
            let place = roster.enter(pulse.clone(), close.clone());
            (pulse, close, place)
        };
        let busy = connect().await;
        let uploading = connect().await;
        let first = connect().await;
        let second = connect().await;
        let at_work = busy.0.request(http::Version::HTTP_11);
        let request = uploading.0.request(http::Version::HTTP_11);
        let _receiving = request.receiving();
        let closed = || [&busy, &uploading, &first, &second].map(|(_, close, _)| close.is_cancelled());
        assert!(roster.make_room());
        assert_eq!(
            closed(),
            [false, false, true, false],
            "the second one may still have its request on the way"
        );
        pause().await;
        assert!(roster.make_room());
        assert_eq!(closed(), [false, false, true, true]);
        assert!(roster.make_room());
        assert_eq!(
            closed(),
            [false, true, true, true],
            "who sends a body slowly comes after those who send nothing"
        );
        assert!(!roster.make_room());
        drop(at_work);
        pause().await;
        assert!(roster.make_room());
        drop((busy, uploading, first, second));
        assert!(roster.lock().open.is_empty());
    }
}
