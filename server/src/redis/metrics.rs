//! What is counted of Redis.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

const NAMES: &str = "metric names and labels are constants, and distinct";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Limit,
    Cache,
    Heartbeat,
}

pub(super) const OK: usize = 0;
pub(super) const LATE: usize = 1;
pub(super) const ERROR: usize = 2;
const UNAVAILABLE: usize = 3;

#[derive(Debug)]
pub(super) struct RedisMetrics {
    calls: [[IntCounter; 4]; 3],
    duration: Histogram,
    pub(super) up: IntGauge,
    pub(super) replicas: IntGauge,
}

impl RedisMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let calls = IntCounterVec::new(
            Opts::new(
                "mcp_server_redis_calls_total",
                "Questions to Redis by who asked and what became of them",
            ),
            &["user", "outcome"],
        )
        .expect(NAMES);
        let opts = HistogramOpts::new("mcp_server_redis_call_duration_seconds", "Time until Redis answered");
        let opts =
            opts.buckets(vec![0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0]);
        let duration = Histogram::with_opts(opts).expect(NAMES);
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help).expect(NAMES);
            registry.register(Box::new(gauge.clone())).expect(NAMES);
            gauge
        };
        registry.register(Box::new(calls.clone())).expect(NAMES);
        registry.register(Box::new(duration.clone())).expect(NAMES);
        let of = |user: &str| {
            ["ok", "timeout", "error", "unavailable"].map(|outcome| calls.with_label_values(&[user, outcome]))
        };
        Self {
            calls: [of("limit"), of("cache"), of("heartbeat")],
            duration,
            up: gauge("mcp_server_redis_up", "1 while Redis is asked, 0 while it is not used or lost"),
            replicas: gauge("mcp_server_redis_replicas", "Replicas of this server that share this Redis"),
        }
    }

    pub(super) fn asked(&self, user: User, outcome: usize, took: Duration) {
        self.calls[user as usize][outcome].inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub(super) fn unavailable(&self, user: User) {
        self.calls[user as usize][UNAVAILABLE].inc();
    }
}
