//! `spec.rollout`: how pods are replaced and stopped.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use mcp_server_config::Duration;
use serde::{Deserialize, Serialize};

use crate::schema;

/// How pods are replaced and stopped.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new(
        "!(has(self.maxSurge) && string(self.maxSurge) in ['0', '0%'] && (!has(self.maxUnavailable) || \
         string(self.maxUnavailable) in ['0', '0%']))"
    )
        .message("maxSurge and maxUnavailable must not both be 0 (maxUnavailable is 0 by default): no pod could ever be replaced")
        .field_path(".maxSurge")
)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// How many pods more than replicas there may be during a rollout: a number up to 1000 or a percentage.
    /// Default: 1. Example: 25%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::number_or_percentage")]
    pub max_surge: Option<IntOrString>,
    /// How many pods fewer than replicas may answer during a rollout: a number up to 1000 or a percentage.
    /// Default: 0. Example: 25%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::number_or_percentage")]
    pub max_unavailable: Option<IntOrString>,
    /// Seconds that a new pod must have answered before the rollout goes on, 0 to 3600. Default: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub min_ready_seconds: Option<i32>,
    /// How long a stopping pod goes on accepting calls, until clients and load balancers have heard of it, 0s to
    /// 10m. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) <= duration('10m')").message("must be at most 10m"))]
    pub drain_delay: Option<Duration>,
    /// How long calls in flight may take to finish after that, at most 1h and not less than
    /// config.performance.requestTimeout. Default: the request timeout and 5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) <= duration('1h')").message("must be at most 1h"))]
    pub drain_timeout: Option<Duration>,
    /// How long a rollout may go without progress before it is reported as stuck, 10s to 24h, in whole seconds
    /// (rounded up) and more than minReadySeconds. Default: 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('10s') && duration(self) <= duration('24h')")
            .message("must be 10s to 24h")
    )]
    pub progress_deadline: Option<Duration>,
}
