//! The Redis server for what replicas share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, SecretRef};

/// The Redis server for what replicas share: limits and cached answers. Redis 6 or later, or a server that speaks like
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    /// Where the URL is: redis://user:password@host:6379/0, rediss:// for TLS. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<SecretRef>,
    /// Certificates (PEM) of the authorities that rediss:// trusts. Default: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretRef>,
    /// How long connecting may take, 10ms to 1m. Default: 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Duration>,
    /// How long one answer may take before the request goes on without it, 1ms to 10s. Default: 50ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_timeout: Option<Duration>,
    /// What the names of all keys begin with; servers that share limits have it in common. Default: mcp: and the name
    /// of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[-A-Za-z0-9_.:/]+$"))]
    pub key_prefix: Option<String>,
}

impl Redis {
    /// The time for connecting in force.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout.unwrap_or(Duration::from_secs(1))
    }

    /// The time for an answer in force.
    #[must_use]
    pub fn response_timeout(&self) -> Duration {
        self.response_timeout.unwrap_or(Duration::from_millis(50))
    }

    /// What the names of keys begin with, of the server of this name.
    #[must_use]
    pub fn key_prefix(&self, server_name: &str) -> String {
        self.key_prefix.clone().unwrap_or_else(|| format!("mcp:{server_name}"))
    }
}
