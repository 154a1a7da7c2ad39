//! `status`: what the operator says. Nothing in it moves without a cause.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What the operator observed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = schema::unseen_status()))]
pub struct McpServerStatus {
    /// The generation of the resource that this status speaks of. Example: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Pods that exist, ready or not. The scale subresource reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// Pods that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ready_replicas: Option<i32>,
    /// Pods that run the current generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub updated_replicas: Option<i32>,
    /// Label selector of the pods. The scale subresource reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// Where the server answers inside the cluster. Example: http://hello.default.svc/mcp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
    /// The image that the pods are told to run. Example: ghcr.io/example/mcp-server:0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub image: Option<String>,
    /// SHA-256 of the configuration as given to the pods, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub config_hash: Option<String>,
    /// SHA-256 of what the operator keeps of the last valid spec in the ConfigMap, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_valid_hash: Option<String>,
    /// Name of the Secret with the generated API key, when the operator made one. Example: hello-api-key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub api_key_secret: Option<String>,
    /// The release of the operator that manages the resource, as namespace/name. Example: mcp-system/mcp-operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub operator: Option<String>,
    /// Another release that watches the resource and is on standby. Example: team-a/mcp-operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub standby: Option<String>,
    /// What is going on, in at most 56 characters; the conditions have all of it. Example: Serving 1 tool on 1 pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub summary: Option<String>,
    /// What is so and why, one entry for each type: Ready, Available, Reconciling, Stalled,
    /// Degraded, Paused, Contended, Injected, InsecureSettings, EnvironmentSettings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
