//! Waiting for an interval that the configuration may change meanwhile.

use std::time::Duration;

use tokio::time::Instant;

/// How soon a changed interval is noticed.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until what `interval` says just then has passed.
pub(crate) async fn wait(interval: &impl Fn() -> Duration) {
    let begun = Instant::now();
    loop {
        let left = interval().saturating_sub(begun.elapsed());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_shorter_interval_is_noticed_while_a_longer_one_is_waited_for() {
        let seconds = AtomicU64::new(3600);
        let interval = || Duration::from_secs(seconds.load(Ordering::Relaxed));
        let begun = Instant::now();
        let change = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            seconds.store(5, Ordering::Relaxed);
        };
        tokio::join!(wait(&interval), change);
        assert!(begun.elapsed() <= Duration::from_secs(11), "{:?}", begun.elapsed());
    }
}
