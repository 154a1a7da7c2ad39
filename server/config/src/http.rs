//! The HTTP endpoint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, Duration, constants};

/// What the HTTP endpoint accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    /// Host names that requests may be addressed to, without ports, besides localhost and, in a cluster, the
    /// names of the Service. A request to another host is refused with 403, which guards against DNS rebinding.
    /// Default: none. Example: [mcp.example.com].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub allowed_hosts: Vec<String>,
    /// Origins from which browsers may call, as scheme://host[:port], besides those of the same host. A request
    /// from another origin is refused with 403. Default: none. Example: [https://app.example.com].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253), regex(pattern = r"^https?://[^/]+$")))]
    pub allowed_origins: Vec<String>,
    /// The largest request body in bytes, as a quantity between 1Ki and 64Mi; a larger one is refused with 413.
    /// Default: 4Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<ByteSize>,
    /// After how long a silent call turns into a stream of events, with a comment as often as that (every 15s at least)
    /// and the answer at its end, 100ms to 1h: proxies and clients hang up on an answer that takes long and says nothing.
    /// Only for clients whose Accept names text/event-stream. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_after: Option<Duration>,
    /// The URL under which clients reach the MCP endpoint, exactly: OAuth clients ask for tokens for it, and its host is
    /// an allowed one. Default: none. Example: https://mcp.example.com/mcp.
    #[serde(rename = "publicURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s/?#@]+(/[^\s?#]*[^\s?#/])?$"))]
    pub public_url: Option<String>,
}

impl Http {
    /// The largest request body in force.
    #[must_use]
    pub fn max_body(&self) -> ByteSize {
        self.max_body.unwrap_or(ByteSize::from_mib(4))
    }

    /// The longest silence in force.
    #[must_use]
    pub fn stream_after(&self) -> Duration {
        self.stream_after.unwrap_or(Duration::from_secs(5))
    }
}

/// Where the process listens. Changing any of it needs a restart ([`crate::restart`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpProcess {
    /// Address of the MCP endpoint. Default: 127.0.0.1:8080.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Address for health, readiness, metrics and status. Default: 127.0.0.1:9090.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_address: Option<String>,
    /// Path of the MCP endpoint. Default: /mcp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The most connections held at once, 1 to 1000000. Default: 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Whether requests may be addressed to any IP address in place of a host name: Allow or Refuse. DNS rebinding needs a
    /// name. The operator allows it for Services of type NodePort and LoadBalancer. Default: Refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_hosts: Option<AddressHosts>,
}

/// Whether requests may be addressed to a bare IP address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum AddressHosts {
    #[default]
    Refuse,
    Allow,
}

impl HttpProcess {
    #[must_use]
    pub fn address(&self) -> &str {
        self.address.as_deref().unwrap_or("127.0.0.1:8080")
    }

    #[must_use]
    pub fn admin_address(&self) -> &str {
        self.admin_address.as_deref().unwrap_or("127.0.0.1:9090")
    }

    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(constants::MCP_PATH)
    }

    #[must_use]
    pub fn address_hosts(&self) -> AddressHosts {
        self.address_hosts.unwrap_or_default()
    }

    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.max_connections.unwrap_or(10_000) as usize
    }
}
