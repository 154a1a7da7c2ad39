//! One line in the log each `metrics.interval`: how much was asked and how it went, for who has no Prometheus.

use std::sync::Arc;

use prometheus::core::Collector as _;

use crate::observe::metrics::Metrics;
use crate::observe::process;

/// Requests since the start, summed over all methods and tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub total: u64,
    /// Answered with a result that is no error.
    pub ok: u64,
    /// Answered with a result that says `isError`.
    pub tool_errors: u64,
    /// Everything else: refused, timed out, aborted.
    pub failed: u64,
    pub in_flight: i64,
}

impl Summary {
    #[must_use]
    pub fn of(metrics: &Metrics) -> Self {
        let mut summary = Self { in_flight: metrics.in_flight.get(), ..Self::default() };
        for family in metrics.requests.collect() {
            for metric in family.get_metric() {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
                let count = metric.get_counter().get_value() as u64;
                let outcome = metric.get_label().iter().find(|label| label.name() == "outcome");
                summary.total += count;
                match outcome.map(prometheus::proto::LabelPair::value) {
                    Some("ok") => summary.ok += count,
                    Some("tool_error") => summary.tool_errors += count,
                    _ => summary.failed += count,
                }
            }
        }
        summary
    }
}

/// Writes a summary each interval, which may change meanwhile, and only where something happened.
pub async fn run(metrics: Arc<Metrics>, interval: impl Fn() -> std::time::Duration) {
    let mut last = Summary::default();
    loop {
        tokio::time::sleep(interval()).await;
        let now = Summary::of(&metrics);
        if now == last {
            continue;
        }
        let process = process::sample();
        tracing::info!(
            requests = now.total - last.total,
            requests_total = now.total,
            ok_total = now.ok,
            tool_errors_total = now.tool_errors,
            failed_total = now.failed,
            in_flight = now.in_flight,
            resident_bytes = process.resident_bytes,
            cpu_seconds = process.cpu_seconds,
            "summary"
        );
        last = now;
    }
}
