//! What is checked beside the server's own parts.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Duration;

/// What is checked. The server's own parts are checked in any case; /status and the metrics show all of it. No check
/// makes the server unready: an upstream that is gone would else take down every replica at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthChecks {
    /// How often each check runs that says nothing else, 1s to 24h, give or take a tenth. Default: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Checks besides those of the server's own parts; at most 32. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub checks: Vec<HealthCheck>,
}

impl HealthChecks {
    /// The interval in force.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(60))
    }
}

/// One check. Exactly one of `http`, `tcp` and `tool` says what is asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.http), has(self.tcp), has(self.tool)].filter(set, set).size() == 1",
    "message": "exactly one of http, tcp and tool must be set"
}]))]
pub struct HealthCheck {
    /// Name of the check in /status and the metrics: letters, digits, dots, dashes and underscores. Example: database.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub name: String,
    /// How often it runs, 1s to 24h, give or take a tenth. Default: health.interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// How long it may take before it counts as failed, 10ms to 60s. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Asks a URL; redirects are not followed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// Opens a connection and closes it again. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpCheck>,
    /// Calls a tool of this server. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolCheck>,
}

impl HealthCheck {
    /// The timeout in force.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(5))
    }
}

/// Asks a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// What to GET. Example: https://db.example.com/healthz.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^https?://[^\s]+$"))]
    pub url: String,
    /// The status that means all is well, 100 to 599. Default: any from 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub expect_status: Option<u16>,
}

/// Opens a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpCheck {
    /// Host name or IP address, and port. Example: db.example.com:5432.
    #[schemars(length(min = 3, max = 261), regex(pattern = r"^[^\s/]+:[0-9]{1,5}$"))]
    pub address: String,
}

/// Calls a tool of this server. The call is neither limited nor counted as a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolCheck {
    /// Name of the tool. Example: ping.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub name: String,
    /// Arguments of the call. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "arguments")]
    pub arguments: Option<Map<String, Value>>,
}

fn arguments(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}
