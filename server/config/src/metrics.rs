//! What is counted, and who is told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, SecretRef};

/// What is counted, and who is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// On serves /metrics on the admin port; Off answers 404 there. Default: On.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<MetricsMode>,
    /// How often a summary of the requests since start is written to the log, 1s to 24h. Default: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// A Prometheus push gateway that is sent the metrics. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_gateway: Option<PushGateway>,
    /// An OpenTelemetry collector that is sent metrics and traces. Default: none, or what the variable
    /// OTEL_EXPORTER_OTLP_ENDPOINT says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
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

/// A Prometheus push gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushGateway {
    /// Its address; /metrics/job/… is added to it. Example: http://pushgateway:9091.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^https?://[^\s?#]+$"))]
    pub url: String,
    /// How often it is sent the metrics, 1s to 24h. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// The job under which the metrics appear; the instance is the name of the host, which is the pod's. Default: the
    /// server's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub job: Option<String>,
}

impl PushGateway {
    /// The interval in force.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(30))
    }
}

/// An OpenTelemetry collector, spoken to by OTLP over HTTP in protobuf.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Otlp {
    /// Its address; /v1/metrics and /v1/traces are added to it. Default: the variable OTEL_EXPORTER_OTLP_ENDPOINT.
    /// Example: http://collector:4318.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^https?://[^\s?#]+$"))]
    pub endpoint: Option<String>,
    /// How often it is sent the metrics, 1s to 24h. Default: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Headers of what is sent, such as a key for the collector; at most 16. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub headers: Vec<OtlpHeader>,
    /// Whether a span is sent for each request that is sampled. Default: Off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traces: Option<Traces>,
    /// How many of a hundred requests are sampled, 0 to 100, where the caller brings no trace; where it does, its own
    /// decision holds. Default: 100. Example: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub sample_percent: Option<u32>,
}

impl Otlp {
    /// The interval in force.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(60))
    }

    /// True where spans are sent.
    #[must_use]
    pub fn traces(&self) -> bool {
        self.traces == Some(Traces::On)
    }

    /// The percentage in force.
    #[must_use]
    pub fn sample_percent(&self) -> u32 {
        self.sample_percent.unwrap_or(100)
    }
}

/// A header of what is sent to a collector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtlpHeader {
    /// Name of the header. Example: api-key.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub name: String,
    /// Where its value is to be found.
    pub value: SecretRef,
}

/// Whether spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Traces {
    On,
    Off,
}
