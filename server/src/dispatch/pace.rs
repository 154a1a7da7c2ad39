//! How fast a queue moves.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A moving average of what one place in a queue costs. Waits and places are averaged apart: the quotient stays calm
/// where calls end in bursts, which a mean of single steps would not.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Both in the units of [`FRACTION`], so that small numbers survive the averaging.
    nanos: AtomicU64,
    places: AtomicU64,
}

/// The weight of what is new is one in this many.
const MEMORY: u64 = 16;
/// Averages are kept in fractions of this many.
const FRACTION: u64 = 256;

impl Pace {
    /// Notes that a call waited for so long while so many places became free. Two threads that note something at once
    /// may lose one of the two, which an average can bear.
    pub(super) fn note(&self, wait: Duration, places: u64) {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / (2 * FRACTION));
        average(&self.nanos, nanos * FRACTION);
        average(&self.places, places.clamp(1, 1 << 32) * FRACTION);
    }

    /// How long the wait for so many places is; nothing where nobody knows.
    pub(super) fn wait(&self, places: usize) -> Duration {
        let (nanos, averaged) = (self.nanos.load(Relaxed), self.places.load(Relaxed));
        let places = u128::try_from(places).unwrap_or(u128::MAX);
        let wait = u128::from(nanos).saturating_mul(places) / u128::from(averaged.max(1));
        Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

fn average(average: &AtomicU64, sample: u64) {
    let old = average.load(Relaxed);
    let new = if old == 0 { sample } else { old - old / MEMORY + sample / MEMORY };
    average.store(new.max(1), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_what_a_place_costs_and_forgets_what_it_cost_before() {
        let pace = Pace::default();
        assert_eq!(pace.wait(1000), Duration::ZERO);
        pace.note(Duration::from_millis(100), 10);
        assert_eq!(pace.wait(5), Duration::from_millis(50));
        for _ in 0..200 {
            pace.note(Duration::from_millis(10), 10);
        }
        let wait = pace.wait(10);
        assert!((Duration::from_millis(9)..Duration::from_millis(11)).contains(&wait), "{wait:?}");
    }

    #[test]
    fn bursts_do_not_shake_it() {
        // A hundred calls end together each second: who is first waits for a second, who is last as well.
        let pace = Pace::default();
        for _ in 0..10 {
            for places in 1..=100 {
                pace.note(Duration::from_secs(1), places);
            }
            let wait = pace.wait(100);
            assert!((Duration::from_millis(500)..Duration::from_secs(3)).contains(&wait), "{wait:?}");
        }
    }

    #[test]
    fn no_number_is_too_large() {
        let pace = Pace::default();
        pace.note(Duration::MAX, u64::MAX);
        pace.note(Duration::MAX, 0);
        let _any = pace.wait(usize::MAX);
    }
}
