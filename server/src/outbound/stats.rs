//! What is counted of upstreams. As a label, an upstream is named only where the configuration names it too, and only so
//! many of them: the rest is `other`.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use serde::Serialize;

use super::guard::Guard;
use super::target::Target;
use crate::observe::health::State;

/// The most upstreams that have labels of their own.
const MAX_LABELS: usize = 64;
const OTHER: &str = "other";
const NAMES: &str = "metric names and labels are constants, and distinct";
/// Bounds of the duration histogram in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// How one upstream fares, as `/status` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamStatus {
    /// Host and port.
    #[serde(rename = "address")]
    pub upstream: String,
    /// Unhealthy after several failures in a row, or where it never answered; unknown before the first request.
    pub state: State,
    /// What went wrong with the last request, where anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When the last request ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_request: Option<String>,
    /// Connections that are open, of which so many wait for a request and so many are used.
    pub open: usize,
    pub idle: usize,
    pub in_use: usize,
    /// Requests that wait for a connection now.
    pub waiting: usize,
    /// How many connections there may be.
    pub limit: usize,
    pub requests: u64,
    /// Requests that failed by the upstream's fault, and how many of them in a row just now.
    pub failures: u64,
    pub consecutive_failures: u64,
    /// Requests that had to wait for a connection.
    pub waits: u64,
    /// The share of requests that found a connection open, from 0 to 1.
    pub reuse_ratio: f64,
}

/// The metrics of all upstreams.
#[derive(Debug)]
pub(super) struct Metrics {
    open: IntGaugeVec,
    in_use: IntGaugeVec,
    waiting: IntGaugeVec,
    waits: IntCounterVec,
    connects: IntCounterVec,
    reused: IntCounterVec,
    requests: IntCounterVec,
    duration: HistogramVec,
    healthy: IntGaugeVec,
    labels: Mutex<HashSet<String>>,
}

/// The metrics of one upstream.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) open: IntGauge,
    pub(super) in_use: IntGauge,
    pub(super) waiting: IntGauge,
    pub(super) waits: IntCounter,
    pub(super) connects: IntCounter,
    pub(super) reused: IntCounter,
    pub(super) duration: Histogram,
    /// Absent for those that share a label: one that is well must not hide another that is not.
    pub(super) healthy: Option<IntGauge>,
    requests: IntCounterVec,
    label: String,
}

impl Counted {
    pub(super) fn ended(&self, outcome: &str) {
        self.requests.with_label_values(&[self.label.as_str(), outcome]).inc();
    }
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let r = registry;
        let upstream = &["upstream"];
        let duration = HistogramOpts::new(
            "mcp_server_upstream_request_duration_seconds",
            "Time from sending a request to an upstream to the last byte of its answer",
        );
        Self {
            open: added(
                r,
                gauges("mcp_server_upstream_connections", "Open connections to upstreams", upstream),
            ),
            in_use: added(
                r,
                gauges(
                    "mcp_server_upstream_connections_in_use",
                    "Connections to upstreams that carry a request",
                    upstream,
                ),
            ),
            waiting: added(
                r,
                gauges(
                    "mcp_server_upstream_waiting",
                    "Requests that wait for a connection to an upstream",
                    upstream,
                ),
            ),
            waits: added(
                r,
                counters(
                    "mcp_server_upstream_waits_total",
                    "Requests that had to wait for a connection to an upstream",
                    upstream,
                ),
            ),
            connects: added(
                r,
                counters("mcp_server_upstream_connects_total", "Connections opened to upstreams", upstream),
            ),
            reused: added(
                r,
                counters(
                    "mcp_server_upstream_reused_total",
                    "Requests sent over a connection that was open already",
                    upstream,
                ),
            ),
            requests: added(
                r,
                counters(
                    "mcp_server_upstream_requests_total",
                    "Requests to upstreams by outcome: the class of the status, or why there was no answer",
                    &["upstream", "outcome"],
                ),
            ),
            duration: added(r, HistogramVec::new(duration.buckets(BUCKETS.to_vec()), upstream).expect(NAMES)),
            healthy: added(
                r,
                gauges(
                    "mcp_server_upstream_healthy",
                    "1 where the last requests to an upstream did not all fail, else 0",
                    upstream,
                ),
            ),
            labels: Mutex::default(),
        }
    }

    /// The metrics of one upstream.
    pub(super) fn of(&self, target: &Target) -> Counted {
        let label = self.label(target);
        let values = [label.as_str()];
        Counted {
            open: self.open.with_label_values(&values),
            in_use: self.in_use.with_label_values(&values),
            waiting: self.waiting.with_label_values(&values),
            waits: self.waits.with_label_values(&values),
            connects: self.connects.with_label_values(&values),
            reused: self.reused.with_label_values(&values),
            duration: self.duration.with_label_values(&values),
            healthy: (label != OTHER).then(|| self.healthy.with_label_values(&values)),
            requests: self.requests.clone(),
            label,
        }
    }

    /// Says nothing more of how an upstream fares that nobody asks any more.
    pub(super) fn forget(&self, counted: &Counted) {
        if counted.healthy.is_some() {
            // It may have been forgotten already.
            let _gone = self.healthy.remove_label_values(&[counted.label.as_str()]);
        }
    }

    fn label(&self, target: &Target) -> String {
        if target.guard == Guard::Learned {
            return OTHER.to_owned();
        }
        let name = target.name();
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        if !labels.contains(&name) && labels.len() >= MAX_LABELS {
            return OTHER.to_owned();
        }
        labels.insert(name.clone());
        name
    }
}

fn added<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> C {
    registry.register(Box::new(metric.clone())).expect(NAMES);
    metric
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect(NAMES)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect(NAMES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_configuration_and_bounded() {
        let metrics = Metrics::register(&Registry::new());
        let target = |host: String, guard| Target { tls: true, host, port: 443, guard };
        assert_eq!(metrics.label(&target("learned".into(), Guard::Learned)), OTHER);
        for n in 0..MAX_LABELS {
            assert_eq!(metrics.label(&target(format!("h{n}"), Guard::Configured)), format!("h{n}:443"));
        }
        assert_eq!(metrics.label(&target("one-more".into(), Guard::Configured)), OTHER);
        assert_eq!(metrics.label(&target("h0".into(), Guard::Configured)), "h0:443");
    }
}
