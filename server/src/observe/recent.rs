//! How long the latest requests took: a ring that costs one addition and one write.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;

/// How many are remembered.
pub const REMEMBERED: usize = 1024;

/// The latest durations.
#[derive(Debug)]
pub struct Recent {
    /// In microseconds; [`NONE`] where there was none yet.
    slots: Box<[AtomicU32]>,
    next: AtomicUsize,
}

const NONE: u32 = u32::MAX;

/// The latest durations, summed up. Times are milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Durations {
    /// Of how many requests; at most the latest 1024.
    pub count: usize,
    pub average_ms: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Default for Recent {
    fn default() -> Self {
        Self { slots: (0..REMEMBERED).map(|_| AtomicU32::new(NONE)).collect(), next: AtomicUsize::new(0) }
    }
}

impl Recent {
    pub fn note(&self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(NONE).min(NONE - 1);
        let at = self.next.fetch_add(1, Ordering::Relaxed) % REMEMBERED;
        self.slots[at].store(micros, Ordering::Relaxed);
    }

    #[must_use]
    pub fn durations(&self) -> Durations {
        let micros = self.slots.iter().map(|slot| slot.load(Ordering::Relaxed));
        let mut micros: Vec<_> = micros.filter(|micros| *micros != NONE).collect();
        if micros.is_empty() {
            return Durations::default();
        }
        micros.sort_unstable();
        let count = micros.len();
        // The smallest duration that at least this many in a hundred do not exceed.
        let percentile = |percent: usize| millis(u64::from(micros[(count * percent).div_ceil(100) - 1]));
        let sum: u64 = micros.iter().map(|micros| u64::from(*micros)).sum();
        #[expect(clippy::cast_precision_loss, reason = "at most 1024")]
        let average_ms = (millis(sum) / count as f64 * 1000.0).round() / 1000.0;
        Durations {
            count,
            average_ms,
            p50_ms: percentile(50),
            p95_ms: percentile(95),
            p99_ms: percentile(99),
            max_ms: percentile(100),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of at most 1024 requests")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_latest_and_sums_them_up() {
        let recent = Recent::default();
        assert_eq!(recent.durations(), Durations::default());
        (1..=100).for_each(|millis| recent.note(Duration::from_millis(millis)));
        let expected = Durations {
            count: 100,
            average_ms: 50.5,
            p50_ms: 50.0,
            p95_ms: 95.0,
            p99_ms: 99.0,
            max_ms: 100.0,
        };
        assert_eq!(recent.durations(), expected);
        (0..REMEMBERED).for_each(|_| recent.note(Duration::from_micros(7)));
        assert_eq!(recent.durations().max_ms, 0.007);
        recent.note(Duration::from_secs(100_000));
        assert!(recent.durations().max_ms > 4_000_000.0, "longer than can be told is told as the longest");
    }
}
