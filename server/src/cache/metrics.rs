//! What is counted of kept answers.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

const NAMES: &str = "metric names and labels are constants, and distinct";

/// As metrics call what became of a question.
const OUTCOMES: [&str; 4] = ["hit", "miss", "joined", "bypass"];

/// What became of a question whose answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// There was an answer.
    Hit,
    /// There was none, and a call was made.
    Miss,
    /// There was none, and somebody else was asking already.
    Joined,
    /// The shared store could not be asked.
    Bypass,
}

#[derive(Debug)]
pub(super) struct CacheMetrics {
    told: [IntCounter; 4],
    entries: IntGauge,
    bytes: IntGauge,
}

impl CacheMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let told = IntCounterVec::new(
            Opts::new(
                "mcp_server_cache_requests_total",
                "Requests whose answer may be kept, by what became of them",
            ),
            &["outcome"],
        )
        .expect(NAMES);
        registry.register(Box::new(told.clone())).expect(NAMES);
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help).expect(NAMES);
            registry.register(Box::new(gauge.clone())).expect(NAMES);
            gauge
        };
        Self {
            told: OUTCOMES.map(|outcome| told.with_label_values(&[outcome])),
            entries: gauge("mcp_server_cache_entries", "Answers kept in memory"),
            bytes: gauge("mcp_server_cache_bytes", "Memory that kept answers are counted with"),
        }
    }

    pub(super) fn told(&self, told: Told) {
        self.told[told as usize].inc();
    }

    /// What became of all questions until now.
    pub(super) fn so_far(&self) -> String {
        let outcomes = OUTCOMES.iter().zip(&self.told);
        let told: Vec<_> = outcomes.map(|(outcome, count)| format!("{outcome} {}", count.get())).collect();
        told.join(", ")
    }

    pub(super) fn size(&self, entries: u64, bytes: u64) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}
