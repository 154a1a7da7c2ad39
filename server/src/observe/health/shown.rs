//! How health is shown: as JSON in `/status`, as a gauge in the metrics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};
use serde_json::{Map, Value, json};

use crate::observe::health::configured::CONFIGURED;
use crate::observe::health::{Policy, Registry, Report, State};

impl Report {
    /// What `/status` says of it under `checks`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("state".into(), self.state.as_str().into());
        if !self.details.is_empty() {
            shown.insert("details".into(), self.details.as_str().into());
        }
        if let Some(at) = self.last_check {
            shown.insert("lastCheck".into(), crate::status::at(at).into());
        }
        if let Some(took) = self.took {
            shown.insert("durationMs".into(), json!(millis(took)));
        }
        if self.consecutive_failures > 0 {
            shown.insert("consecutiveFailures".into(), self.consecutive_failures.into());
        }
        if let Some(Policy { period, timeout }) = self.policy {
            // As the configuration says it.
            shown.insert("interval".into(), written(period).into());
            shown.insert("timeout".into(), written(timeout).into());
        }
        Value::Object(shown)
    }

    /// What `/status` says of it under `components`: a word for the whole, and what there is to say.
    #[must_use]
    pub fn to_component(&self) -> Value {
        let health = match self.state {
            State::Healthy => "Healthy",
            State::NotUsed => "Not used",
            State::Unknown => "Unknown",
            State::Unhealthy | State::Error => "Degraded",
        };
        if self.details.is_empty() {
            json!({"health": health})
        } else {
            json!({"health": health, "message": self.details})
        }
    }

    /// True for a part of the server itself, false for what a user wants checked.
    #[must_use]
    pub fn is_component(&self) -> bool {
        self.group != CONFIGURED
    }

    #[must_use]
    pub fn is_failing(&self) -> bool {
        matches!(self.state, State::Unhealthy | State::Error)
    }
}

fn written(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    mcp_server_config::Duration::from_millis(millis).to_string()
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// The gauges of all entries, made when they are asked for: a check that is gone leaves no series behind.
#[derive(Debug)]
pub struct Gauges {
    registry: Arc<Registry>,
    healthy: IntGaugeVec,
    last_check: IntGaugeVec,
    /// Held while they are made: several may ask at once.
    making: Mutex<()>,
}

const NAMES: &str = "metric names and labels are constants, and distinct";

impl Gauges {
    /// Shows the health of everything in `registry` among the metrics.
    pub fn register(registry: &Arc<Registry>, metrics: &prometheus::Registry) {
        let gauges = |name, help| IntGaugeVec::new(Opts::new(name, help), &["check"]).expect(NAMES);
        let all = Self {
            registry: registry.clone(),
            healthy: gauges(
                "mcp_server_health",
                "1 where a component or check is healthy, 0 where it is not; nothing where that is not known, or it is not used",
            ),
            last_check: gauges(
                "mcp_server_health_last_check_timestamp_seconds",
                "When a check was last run, since the epoch",
            ),
            making: Mutex::new(()),
        };
        metrics.register(Box::new(all)).expect(NAMES);
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        [self.healthy.desc(), self.last_check.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.healthy.reset();
        self.last_check.reset();
        for report in self.registry.reports() {
            if !matches!(report.state, State::Unknown | State::NotUsed) {
                let healthy = i64::from(report.state == State::Healthy);
                self.healthy.with_label_values(&[&*report.name]).set(healthy);
            }
            if let Some(since) = report.last_check.and_then(seconds) {
                self.last_check.with_label_values(&[&*report.name]).set(since);
            }
        }
        [self.healthy.collect(), self.last_check.collect()].concat()
    }
}

fn seconds(at: SystemTime) -> Option<i64> {
    i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}
