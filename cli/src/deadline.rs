//! Waiting for a condition: ask, pause, ask again, until a deadline.

use std::time::{Duration, Instant};

/// A moment after which nothing is waited for any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    end: Instant,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Self { end: Instant::now() + limit }
    }

    pub(crate) fn remaining(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Pauses before the next question, never beyond the deadline. False once the deadline has passed.
    pub(crate) fn pause(self, interval: Duration) -> bool {
        let remaining = self.remaining();
        if remaining.is_zero() {
            return false;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the program has one thread, and engines offer no event to await"
        )]
        std::thread::sleep(interval.min(remaining));
        true
    }
}
