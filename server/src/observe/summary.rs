//! The whole in a few figures, for who has no Prometheus: in `/status`, and each `metrics.interval` in the log. The names
//! are those that dashboards of the classic server know.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::interval;
use crate::observe::metrics::Metrics;
use crate::observe::process::{self, CpuMeter, Process};
use crate::observe::recent::Durations;

/// Requests since the start, summed over all methods and tools, and the state of the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub requests_total: u64,
    /// Answered with a result that is no error.
    pub requests_success: u64,
    /// Everything else: results that say `isError`, refusals, timeouts, callers that went away.
    pub requests_failed: u64,
    pub requests_in_flight: i64,
    /// Seconds, of the latest requests.
    pub response_time_avg: f64,
    pub active_connections: i64,
    pub uptime_seconds: u64,
    pub memory_usage_mb: f64,
    /// 100 is one processor that is busy all the time.
    pub cpu_usage_percent: f64,
    /// How long the latest requests took.
    pub recent: Durations,
    /// Requests that failed, by what was wrong.
    pub errors: BTreeMap<&'static str, u64>,
}

const MEBI: f64 = 1024.0 * 1024.0;

impl Summary {
    #[must_use]
    pub fn of(metrics: &Metrics, process: &Process, cpu: &CpuMeter) -> Self {
        let outcomes = metrics.traffic.outcomes();
        let requests_total = outcomes.iter().map(|(_, count)| count).sum();
        let (fine, errors): (Vec<_>, BTreeMap<_, _>) = {
            let (fine, failed): (Vec<_>, Vec<_>) =
                outcomes.into_iter().partition(|(outcome, _)| *outcome == "ok");
            (fine, failed.into_iter().collect())
        };
        let recent = metrics.traffic.recent().durations();
        #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^53 bytes")]
        let memory_usage_mb = (process.resident_bytes as f64 / MEBI * 10.0).round() / 10.0;
        Self {
            requests_total,
            requests_success: fine.iter().map(|(_, count)| count).sum(),
            requests_failed: errors.values().sum(),
            requests_in_flight: metrics.in_flight.get(),
            response_time_avg: recent.average_ms / 1000.0,
            active_connections: metrics.connections.get(),
            uptime_seconds: metrics.uptime().as_secs(),
            memory_usage_mb,
            cpu_usage_percent: cpu.percent(process),
            recent,
            errors,
        }
    }

    fn log(&self, since_last: u64) {
        let errors = self.errors.iter().map(|(error, count)| format!("{error}={count}"));
        tracing::info!(
            requests = since_last,
            requests_total = self.requests_total,
            requests_success = self.requests_success,
            requests_failed = self.requests_failed,
            requests_in_flight = self.requests_in_flight,
            response_time_avg = self.response_time_avg,
            response_time_p95_ms = self.recent.p95_ms,
            active_connections = self.active_connections,
            uptime_seconds = self.uptime_seconds,
            memory_usage_mb = self.memory_usage_mb,
            cpu_usage_percent = self.cpu_usage_percent,
            errors = errors.collect::<Vec<_>>().join(" "),
            "summary"
        );
    }
}

/// Writes a summary each interval, which may change meanwhile. Where nothing was asked since the last, there is nothing
/// to say.
pub async fn run(metrics: Arc<Metrics>, interval: impl Fn() -> std::time::Duration) {
    let cpu = CpuMeter::new();
    let mut last = 0;
    loop {
        interval::wait(&interval).await;
        let summary = Summary::of(&metrics, &process::sample(), &cpu);
        if summary.requests_total != last {
            summary.log(summary.requests_total - last);
        }
        last = summary.requests_total;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::traffic::Seen;

    #[test]
    fn sums_up_what_was_counted() {
        let metrics = Metrics::new();
        metrics.connections.set(3);
        for (outcome, millis) in [("ok", 10), ("ok", 20), ("tool_error", 30), ("timeout", 40)] {
            let took = Duration::from_millis(millis);
            metrics.traffic.count(&Seen { method: "ping", tool: None, era: "modern", outcome, took });
        }
        let process = Process { resident_bytes: 10 << 20, ..Process::default() };
        let summary = Summary::of(&metrics, &process, &CpuMeter::new());
        let shown = serde_json::to_value(&summary).unwrap();
        for (name, value) in [
            ("requests_total", serde_json::json!(4)),
            ("requests_success", serde_json::json!(2)),
            ("requests_failed", serde_json::json!(2)),
            ("response_time_avg", serde_json::json!(0.025)),
            ("active_connections", serde_json::json!(3)),
            ("uptime_seconds", serde_json::json!(0)),
            ("memory_usage_mb", serde_json::json!(10.0)),
            ("cpu_usage_percent", serde_json::json!(0.0)),
            ("errors", serde_json::json!({"timeout": 1, "tool_error": 1})),
        ] {
            assert_eq!(shown[name], value, "{name}");
        }
        assert_eq!(shown["recent"]["p50_ms"], 20.0);
    }
}
