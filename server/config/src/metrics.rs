//! What is counted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// What is counted and shown to Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// On serves /metrics on the admin port; Off answers 404 there. Default: On.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<MetricsMode>,
    /// How often a summary of the requests since start is written to the log, 1s to 24h. Default: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
}

impl Metrics {
    /// The mode in force.
    #[must_use]
    pub fn mode(&self) -> MetricsMode {
        self.mode.unwrap_or_default()
    }

    /// The interval in force.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(60))
    }
}

/// Whether metrics are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum MetricsMode {
    #[default]
    On,
    Off,
}
