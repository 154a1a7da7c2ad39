//! How long to wait before trying again: for one object that fails, and for a watch that does.
//!
//! kube gives a controller no backoff per object, and its error policy is not told of successes: the attempts are counted by the guard,
//! which sees both.

use std::time::Duration;

use tokio::time::Instant;

use crate::random;

/// Waits that double from `min` to `max`.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first wait, and the least one ever.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
}

/// Waits of an object whose reconcile fails.
pub const OBJECTS: Range = Range { min: Duration::from_secs(1), max: Duration::from_secs(300) };

/// Waits of a watch that fails. The longest is short: a cluster whose CRD was just installed should be served soon.
pub const WATCHES: Range = Range { min: Duration::from_millis(500), max: Duration::from_secs(10) };

impl Range {
    /// The wait before attempt `attempt` (0 is the first retry): full jitter between `min` and the doubled ceiling, so that
    /// many objects that failed together do not come back together. `fraction` is in `0.0..1.0`.
    pub fn wait(self, attempt: u32, fraction: f64) -> Duration {
        let ceiling = self.min.saturating_mul(2_u32.saturating_pow(attempt.min(20))).min(self.max);
        self.min + (ceiling - self.min).mul_f64(fraction.clamp(0.0, 1.0))
    }
}

/// Counts one more failed attempt, and returns the wait after it.
pub fn failed(attempts: &mut u32) -> Duration {
    let wait = OBJECTS.wait(*attempts, random::fraction());
    *attempts = attempts.saturating_add(1);
    wait
}

/// After this long without a failure, a watch counts as healthy again.
const WATCH_IS_HEALTHY: Duration = Duration::from_secs(30);

/// The waits of one watch, in the shape kube-runtime asks for.
#[derive(Debug, Default)]
pub struct WatchBackoff {
    attempt: u32,
    last: Option<Instant>,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.last.is_some_and(|last| last.elapsed() > WATCH_IS_HEALTHY) {
            self.attempt = 0;
        }
        self.last = Some(Instant::now());
        let wait = WATCHES.wait(self.attempt, random::fraction());
        self.attempt = self.attempt.saturating_add(1);
        Some(wait)
    }
}

impl kube_runtime::utils::Backoff for WatchBackoff {
    /// Does nothing. kube-runtime calls it at every item that is no error, and a list that is about to fail yields
    /// such an item first (`Init`): the waits would never grow. Time without a failure is what resets.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_bounds() {
        assert_eq!(OBJECTS.wait(0, 0.99), Duration::from_secs(1));
        assert_eq!(OBJECTS.wait(3, 1.0), Duration::from_secs(8));
        assert_eq!(OBJECTS.wait(3, 0.0), Duration::from_secs(1));
        assert_eq!(OBJECTS.wait(40, 1.0), Duration::from_secs(300));
    }

    #[test]
    fn the_first_failure_waits_least() {
        let mut attempts = 0;
        assert_eq!(failed(&mut attempts), OBJECTS.min);
        for _ in 0..100 {
            assert!((OBJECTS.min..=OBJECTS.max).contains(&failed(&mut attempts)));
        }
        assert_eq!(attempts, 101);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_waits_longer_until_it_was_healthy_for_a_while() {
        use kube_runtime::utils::Backoff as _;
        let mut backoff = WatchBackoff::default();
        for _ in 0..8 {
            backoff.next();
            backoff.reset();
        }
        assert_eq!(backoff.attempt, 8);
        tokio::time::advance(WATCH_IS_HEALTHY + Duration::from_secs(1)).await;
        assert_eq!(backoff.next(), Some(WATCHES.min));
    }
}
