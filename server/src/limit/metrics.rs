//! What is counted of limits.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::limit::Scope;

const NAMES: &str = "metric names and labels are constants, and distinct";

/// Counters whose labels are looked up once, not for each request.
#[derive(Debug)]
pub(crate) struct LimitMetrics {
    allowed: IntCounter,
    refused: [IntCounter; 3],
    reported: [IntCounter; 3],
    /// Decisions made without the shared store although it should have been asked.
    pub(crate) without_store: IntCounter,
    pub(crate) callers: IntGauge,
    pub(crate) evicted: IntCounter,
}

impl LimitMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        let decisions = IntCounterVec::new(
            Opts::new("mcp_server_rate_limit_decisions_total", "Requests by what the limits said to them"),
            &["decision", "scope"],
        )
        .expect(NAMES);
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help).expect(NAMES);
            registry.register(Box::new(counter.clone())).expect(NAMES);
            counter
        };
        let callers =
            IntGauge::new("mcp_server_rate_limit_callers", "Callers remembered at the last clean-up")
                .expect(NAMES);
        registry.register(Box::new(callers.clone())).expect(NAMES);
        registry.register(Box::new(decisions.clone())).expect(NAMES);
        let of = |decision: &str| {
            [Scope::Caller, Scope::Tool, Scope::Completion]
                .map(|scope| decisions.with_label_values(&[decision, scope.as_str()]))
        };
        Self {
            allowed: decisions.with_label_values(&["allowed", ""]),
            refused: of("refused"),
            reported: of("reported"),
            without_store: counter(
                "mcp_server_rate_limit_without_store_total",
                "Decisions made while the shared store could not be asked",
            ),
            callers,
            evicted: counter(
                "mcp_server_rate_limit_evicted_total",
                "Callers forgotten early because there were too many",
            ),
        }
    }

    pub(crate) fn allowed(&self) {
        self.allowed.inc();
    }

    pub(crate) fn refused(&self, scope: Scope) {
        self.refused[scope as usize].inc();
    }

    pub(crate) fn reported(&self, scope: Scope) {
        self.reported[scope as usize].inc();
    }
}
