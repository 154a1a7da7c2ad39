//! What is counted of calls that had to wait for a permit, or got none.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::dispatch::gate::{Gate, NoRoom};

/// Metrics of the queues.
#[derive(Clone, Debug)]
pub struct Queues {
    queued: [IntGauge; 2],
    seconds: [Histogram; 2],
    refusals: IntCounterVec,
}

/// Which gate a call waits at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Server,
    Tool,
}

impl Which {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Tool => "tool",
        }
    }
}

/// Bounds of the histogram of waits, in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

const NAMES: &str = "metric names and labels are constants, and distinct";

impl Queues {
    /// Registers the metrics, and two gauges that look at the gate of the server whenever they are read.
    #[must_use]
    pub fn register(registry: &Registry, calls: &Arc<Gate>) -> Self {
        let queued = IntGaugeVec::new(
            Opts::new("mcp_server_queued_calls", "Calls that wait for a permit, by the limit they wait at"),
            &["limit"],
        )
        .expect(NAMES);
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "mcp_server_queue_duration_seconds",
                "How long calls waited for a permit that had to wait, by the limit they waited at",
            )
            .buckets(BUCKETS.to_vec()),
            &["limit"],
        )
        .expect(NAMES);
        let refusals = IntCounterVec::new(
            Opts::new("mcp_server_shed_total", "Calls for which there was no room, by limit and reason"),
            &["limit", "reason"],
        )
        .expect(NAMES);
        let gauges = GateGauges {
            used: gauge("mcp_server_permits_in_use", "Calls that are worked on"),
            limit: gauge("mcp_server_permits", "Calls that may be worked on at once"),
            gate: calls.clone(),
        };
        registry.register(Box::new(queued.clone())).expect(NAMES);
        registry.register(Box::new(seconds.clone())).expect(NAMES);
        registry.register(Box::new(refusals.clone())).expect(NAMES);
        registry.register(Box::new(gauges)).expect(NAMES);
        let labels = [Which::Server, Which::Tool].map(Which::as_str);
        Self {
            queued: labels.map(|label| queued.with_label_values(&[label])),
            seconds: labels.map(|label| seconds.with_label_values(&[label])),
            refusals,
        }
    }

    /// A call begins to wait.
    pub(crate) fn waits(&self, which: Which) -> Waits<'_> {
        let (gauge, seconds) = (&self.queued[which as usize], &self.seconds[which as usize]);
        gauge.inc();
        Waits { gauge, seconds }
    }

    /// A call was refused.
    pub(crate) fn refused(&self, which: Which, why: NoRoom) {
        let reason = match why {
            NoRoom::Full => "queue_full",
            NoRoom::Hopeless => "expected_wait",
            NoRoom::Expired => "queue_timeout",
        };
        self.refusals.with_label_values(&[which.as_str(), reason]).inc();
    }
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect(NAMES)
}

/// A call that waits, until this is dropped.
#[derive(Debug)]
pub(crate) struct Waits<'a> {
    gauge: &'a IntGauge,
    seconds: &'a Histogram,
}

impl Waits<'_> {
    /// The wait is over, one way or the other.
    pub(crate) fn over(&self, waited: Duration) {
        self.seconds.observe(waited.as_secs_f64());
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// Gauges that are set when they are read: a call that finds room costs them nothing.
struct GateGauges {
    used: IntGauge,
    limit: IntGauge,
    gate: Arc<Gate>,
}

impl Collector for GateGauges {
    fn desc(&self) -> Vec<&Desc> {
        [self.used.desc(), self.limit.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.used.set(number(self.gate.used()));
        self.limit.set(number(self.gate.limit()));
        [self.used.collect(), self.limit.collect()].concat()
    }
}
