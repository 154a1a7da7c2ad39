//! A histogram of latencies with a bounded relative error.

/// Sub-buckets of each power of two: 1/128, a value is at most 0.8 % off.
const BITS: u32 = 7;
const SUB: usize = 1 << BITS;

/// Counts of nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; (65 - BITS as usize) * SUB], total: 0, max: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, nanoseconds: u64) {
        self.counts[index(nanoseconds)] += 1;
        self.total += 1;
        self.max = self.max.max(nanoseconds);
    }

    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    #[must_use]
    pub fn len(&self) -> u64 {
        self.total
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The value that `quantile` (0 to 1) of all values do not exceed, in nanoseconds; zero without values.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among fewer than 2^53 values"
        )]
        let rank = ((self.total as f64 * quantile.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(index).min(self.max);
            }
        }
        self.max
    }

    /// The same in microseconds.
    #[must_use]
    pub fn micros(&self, quantile: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "latencies are below 2^53 ns, which are 104 days")]
        let nanoseconds = self.quantile(quantile) as f64;
        nanoseconds / 1e3
    }
}

fn index(value: u64) -> usize {
    let shift = (64 - BITS - 1).saturating_sub(value.leading_zeros());
    // Below 2 × SUB a bucket is one nanosecond wide; above, `value >> shift` has its top bit set.
    let low = usize::try_from(value >> shift).expect("at most BITS + 1 bits are left");
    shift as usize * SUB + low
}

/// The largest value of a bucket.
fn upper(index: usize) -> u64 {
    let shift = (index / SUB).saturating_sub(1);
    let low = (index - shift * SUB) as u64;
    ((low + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_at_most_one_128th_off() {
        for value in (0..2000).chain((11..63).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + 1, power + power / 3]
        })) {
            let upper = upper(index(value));
            assert!(upper >= value && upper - value <= value / 128, "{value} {upper}");
        }
        assert!(index(u64::MAX) < Histogram::default().counts.len());
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        (1..=100).for_each(|value| histogram.record(value));
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|q| histogram.quantile(q)), [1, 50, 99, 100]);
        let mut both = Histogram::default();
        both.record(1_000_000);
        both.merge(&histogram);
        assert_eq!(both.len(), 101);
        assert_eq!(both.quantile(1.0), 1_000_000);
    }
}
