//! Histograms of durations that cost two additions to feed: each series is found once and kept, and nothing is hashed,
//! locked or converted while a request waits. The bounds are whole nanoseconds; what Prometheus reads is made of them
//! when it asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// Bounds in nanoseconds: from what a declared tool takes to the longest timeout.
const BOUNDS: [u64; 16] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
    300_000_000_000,
];

const NANOS: f64 = 1e9;

/// One series.
#[derive(Debug, Default)]
pub struct Latency {
    /// How many durations ended in each bucket; the last has no upper bound.
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Latency {
    pub fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn histogram(&self) -> Histogram {
        let mut histogram = Histogram::default();
        let mut sum = 0;
        let mut buckets = Vec::with_capacity(BOUNDS.len());
        for (bound, count) in BOUNDS.iter().zip(&self.counts) {
            sum += count.load(Ordering::Relaxed);
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(seconds(*bound));
            bucket.set_cumulative_count(sum);
            buckets.push(bucket);
        }
        sum += self.counts[BOUNDS.len()].load(Ordering::Relaxed);
        histogram.set_bucket(buckets);
        histogram.set_sample_count(sum);
        histogram.set_sample_sum(seconds(self.nanos.load(Ordering::Relaxed)));
        histogram
    }
}

#[expect(clippy::cast_precision_loss, reason = "an error of nanoseconds in a sum of years")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / NANOS
}

/// A histogram with one label.
#[derive(Clone, Debug)]
pub struct Latencies(Arc<Family>);

#[derive(Debug)]
struct Family {
    desc: Desc,
    label: &'static str,
    series: Mutex<Vec<(Arc<str>, Arc<Latency>)>>,
}

impl Latencies {
    /// Registers a histogram.
    ///
    /// # Errors
    /// Where the name is taken or is none.
    pub fn register(
        registry: &prometheus::Registry,
        name: &str,
        help: &str,
        label: &'static str,
    ) -> Result<Self, prometheus::Error> {
        let desc = Desc::new(name.to_owned(), help.to_owned(), vec![label.to_owned()], Default::default())?;
        let latencies = Self(Arc::new(Family { desc, label, series: Mutex::default() }));
        registry.register(Box::new(latencies.clone()))?;
        Ok(latencies)
    }

    /// The series of a value, made where there is none yet.
    #[must_use]
    pub fn of(&self, value: &str) -> Arc<Latency> {
        let mut series = self.0.series.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = series.iter().find(|(name, _)| **name == *value) {
            return found.clone();
        }
        let new = Arc::<Latency>::default();
        series.push((value.into(), new.clone()));
        new
    }

    /// Forgets a series.
    pub fn remove(&self, value: &str) {
        self.0.series.lock().unwrap_or_else(PoisonError::into_inner).retain(|(name, _)| **name != *value);
    }
}

impl Collector for Latencies {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let series = self.0.series.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let metrics = series.iter().map(|(value, latency)| {
            let mut label = LabelPair::default();
            label.set_name(self.0.label.to_owned());
            label.set_value(value.to_string());
            let mut metric = Metric::from_label(vec![label]);
            metric.set_histogram(latency.histogram());
            metric
        });
        let mut family = MetricFamily::default();
        family.set_name(self.0.desc.fq_name.clone());
        family.set_help(self.0.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(metrics.collect());
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_prometheus_expects() {
        let registry = prometheus::Registry::new();
        let latencies = Latencies::register(&registry, "x_seconds", "Some time", "tool").unwrap();
        let greet = latencies.of("greet");
        for micros in [1, 100, 101, 2_000_000, 400_000_000] {
            greet.observe(Duration::from_micros(micros));
        }
        latencies.of("gone").observe(Duration::ZERO);
        latencies.remove("gone");
        assert_eq!(latencies.of("greet").count(), 5);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "# TYPE x_seconds histogram",
            "x_seconds_bucket{tool=\"greet\",le=\"0.0001\"} 2",
            "x_seconds_bucket{tool=\"greet\",le=\"0.00025\"} 3",
            "x_seconds_bucket{tool=\"greet\",le=\"5\"} 4",
            "x_seconds_bucket{tool=\"greet\",le=\"300\"} 4",
            "x_seconds_bucket{tool=\"greet\",le=\"+Inf\"} 5",
            "x_seconds_count{tool=\"greet\"} 5",
            "x_seconds_sum{tool=\"greet\"} 402.000202",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("gone"));
    }
}
