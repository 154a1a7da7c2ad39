//! `spec.probes`: how often and how patiently the kubelet asks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_default;

/// How often and how patiently the kubelet asks the pods how they are. Names as in a pod's probes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probes {
    /// Until it has succeeded once, the others wait; when it fails too often, the container is restarted.
    /// Default: every 1 s, up to 60 times.
    #[serde(default, skip_serializing_if = "is_default")]
    pub startup: Probe,
    /// While it fails, the pod gets no new calls. Default: every 2 s, failed after 2.
    #[serde(default, skip_serializing_if = "is_default")]
    pub readiness: ReadinessProbe,
    /// When it fails, the container is restarted. Default: every 10 s, failed after 6.
    #[serde(default, skip_serializing_if = "is_default")]
    pub liveness: Probe,
}

/// A startup or liveness probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Seconds between two questions, 1 to 300. Default: 1 for startup, 10 for liveness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub period_seconds: Option<i32>,
    /// Seconds to wait for an answer, 1 to 300. Default: 1 for startup, 5 for liveness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub timeout_seconds: Option<i32>,
    /// Failures in a row that count, 1 to 1000. Default: 60 for startup, 6 for liveness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub failure_threshold: Option<i32>,
}

/// The readiness probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessProbe {
    /// Seconds between two questions, 1 to 300. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub period_seconds: Option<i32>,
    /// Seconds to wait for an answer, 1 to 300. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub timeout_seconds: Option<i32>,
    /// Failures in a row that take the pod out of the Service, 1 to 1000. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub failure_threshold: Option<i32>,
    /// Successes in a row that bring it back, 1 to 1000. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub success_threshold: Option<i32>,
}
