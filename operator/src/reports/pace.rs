//! How long to leave a pod alone between two questions.

use std::time::Duration;

use tokio::time::Instant;

/// After an answer. Also after news, so that a part that comes and goes does not become a write of the status each time.
const LEAST: Duration = Duration::from_secs(3);
/// The longest pause of a pod whose news come thick and fast.
const BUSY: Duration = Duration::from_secs(60);
/// After so long without news a pod counts as calm.
const CALM: Duration = Duration::from_secs(300);
/// The longest pause of one that does not answer.
const DEAF: Duration = Duration::from_secs(300);

/// The pauses of one pod.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pause: Option<Duration>,
    last_news: Option<Instant>,
    failures: u32,
}

impl Pace {
    /// After an answer.
    pub(super) fn answered(&mut self, is_news: bool) -> Duration {
        self.failures = 0;
        if !is_news {
            return LEAST;
        }
        let calm = self.last_news.is_none_or(|last| last.elapsed() > CALM);
        let pause = match self.pause {
            Some(before) if !calm => (before * 2).min(BUSY),
            _ => LEAST,
        };
        (self.pause, self.last_news) = (Some(pause), Some(Instant::now()));
        pause
    }

    /// After a question that was not answered.
    pub(super) fn failed(&mut self) -> Duration {
        let pause = Duration::from_secs(1 << self.failures.min(8)).min(DEAF);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn news_that_come_thick_and_fast_are_heard_ever_more_rarely_until_it_is_calm() {
        let mut pace = Pace::default();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let pause = pace.answered(true);
            pauses.push(pause.as_secs());
            tokio::time::advance(pause).await;
        }
        assert_eq!(pauses, [3, 6, 12, 24, 48, 60, 60]);
        assert_eq!(pace.answered(false), LEAST);
        tokio::time::advance(CALM + LEAST).await;
        assert_eq!(pace.answered(true), LEAST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_does_not_answer_is_asked_ever_more_rarely() {
        let mut pace = Pace::default();
        let pauses: Vec<_> = (0..10).map(|_| pace.failed().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 256]);
        pace.answered(false);
        assert_eq!(pace.failed().as_secs(), 1);
    }
}
