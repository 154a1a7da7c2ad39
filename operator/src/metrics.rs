//! What the operator counts. Every series is named here; none carries the name of an object.

use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Bounds of the reconcile histogram, in seconds: a pass over caches takes microseconds, the deadline is 30 s.
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// All metrics of the operator.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Of reconciles.
    pub reconcile: ReconcileMetrics,
    /// Of requests to the API server.
    pub api: ApiMetrics,
    /// Of watches and what they hold.
    pub watch: WatchMetrics,
    /// Of published events.
    pub events: EventMetrics,
}

/// How reconciles go.
#[derive(Clone, Debug)]
pub struct ReconcileMetrics {
    /// Finished reconciles, by what came of them.
    pub total: IntCounterVec,
    /// How long they took, status included.
    pub seconds: HistogramVec,
    /// Failures by reason.
    pub errors: IntCounterVec,
    /// Reconciles under way.
    pub in_flight: IntGauge,
    /// Objects that wait for another try.
    pub backing_off: IntGauge,
}

/// What is asked of the API server.
#[derive(Clone, Debug)]
pub struct ApiMetrics {
    /// Answers by method and status code (`error` when none came).
    pub requests: IntCounterVec,
    /// Successful writes by kind and verb.
    pub writes: IntCounterVec,
}

/// How watches go.
#[derive(Clone, Debug)]
pub struct WatchMetrics {
    /// Lists begun after the first one.
    pub relists: IntCounterVec,
    /// Failures by kind and status code.
    pub errors: IntCounterVec,
    /// 1 while the McpServer resource is not installed in the cluster.
    pub crd_missing: IntGauge,
    /// McpServers by condition and its status.
    pub objects: IntGaugeVec,
    /// McpServers that this operator cannot read.
    pub unreadable: IntGauge,
}

/// How publishing events goes.
#[derive(Clone, Debug)]
pub struct EventMetrics {
    /// Events that were published.
    pub published: IntCounter,
    /// Events that were given up: the queue was full, or the API server refused.
    pub dropped: IntCounter,
}

impl Metrics {
    /// The metrics, registered.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let build =
            IntGaugeVec::new(opts("build_info", "1, labelled with the version that runs"), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        add(registry, build)?;
        Ok(Self {
            reconcile: ReconcileMetrics::register(registry)?,
            api: ApiMetrics::register(registry)?,
            watch: WatchMetrics::register(registry)?,
            events: EventMetrics::register(registry)?,
        })
    }
}

impl ReconcileMetrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let seconds = HistogramOpts {
            common_opts: opts("reconcile_duration_seconds", "Time of one reconcile, status included"),
            buckets: SECONDS.to_vec(),
        };
        Ok(Self {
            total: add(
                registry,
                IntCounterVec::new(
                    opts("reconciliations_total", "Finished reconciles by outcome"),
                    &["outcome"],
                )?,
            )?,
            seconds: add(registry, HistogramVec::new(seconds, &["outcome"])?)?,
            errors: add(
                registry,
                IntCounterVec::new(
                    opts("reconcile_errors_total", "Failed reconciles by reason"),
                    &["reason"],
                )?,
            )?,
            in_flight: add(
                registry,
                IntGauge::with_opts(opts("reconciles_in_flight", "Reconciles under way"))?,
            )?,
            backing_off: add(
                registry,
                IntGauge::with_opts(opts(
                    "objects_backing_off",
                    "McpServers whose last reconcile failed and that wait for another",
                ))?,
            )?,
        })
    }
}

impl ApiMetrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            requests: add(
                registry,
                IntCounterVec::new(
                    opts("api_requests_total", "Requests to the API server by method and status code"),
                    &["method", "code"],
                )?,
            )?,
            writes: add(
                registry,
                IntCounterVec::new(
                    opts("api_writes_total", "Writes that the API server accepted, by kind and verb"),
                    &["kind", "verb"],
                )?,
            )?,
        })
    }
}

impl WatchMetrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            relists: add(
                registry,
                IntCounterVec::new(
                    opts("watch_restarts_total", "Lists begun after the first one, by kind"),
                    &["kind"],
                )?,
            )?,
            errors: add(
                registry,
                IntCounterVec::new(
                    opts("watch_errors_total", "Failures of a list or watch by kind and status code"),
                    &["kind", "code"],
                )?,
            )?,
            crd_missing: add(
                registry,
                IntGauge::with_opts(opts("crd_missing", "1 while the McpServer resource is not installed"))?,
            )?,
            objects: add(
                registry,
                IntGaugeVec::new(
                    opts("objects", "McpServers by condition and its status"),
                    &["condition", "status"],
                )?,
            )?,
            unreadable: add(
                registry,
                IntGauge::with_opts(opts("objects_unreadable", "McpServers that this operator cannot read"))?,
            )?,
        })
    }
}

impl EventMetrics {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            published: add(
                registry,
                IntCounter::with_opts(opts("events_published_total", "Events that were published"))?,
            )?,
            dropped: add(
                registry,
                IntCounter::with_opts(opts("events_dropped_total", "Events that were given up"))?,
            )?,
        })
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("mcp_operator_{name}"), help)
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder as _, TextEncoder};

    use super::*;

    #[test]
    fn every_series_carries_the_prefix() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        metrics.reconcile.total.with_label_values(&["applied"]).inc();
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("mcp_operator_reconciliations_total{outcome=\"applied\"} 1"), "{text}");
        assert!(text.contains("mcp_operator_build_info{version="), "{text}");
        assert!(text.lines().all(|l| l.starts_with('#') || l.starts_with("mcp_operator_")), "{text}");
    }
}
