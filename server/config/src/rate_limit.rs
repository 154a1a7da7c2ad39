//! How often one caller may ask.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, cache::Store};

/// How often one caller may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Enforce refuses what is over the limit, Report only counts it, Off does neither. Default: Enforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RateLimitMode>,
    /// Requests that one caller may make in a minute, spread evenly, 1 to 1000000. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_minute: Option<u32>,
    /// Requests that one caller may make at once after a pause, 1 to 1000000. Default: 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: Option<u32>,
    /// How often callers are forgotten that have not asked for a while, 1s to 1h. Default: 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup_interval: Option<Duration>,
    /// Memory counts in each replica by itself; Redis counts for all replicas together and needs redis.url.
    /// Default: Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
    /// What counts while Redis cannot be reached: LocalShare the limit divided by the number of replicas, Full the
    /// whole limit in each replica, Deny refuses everybody. Default: LocalShare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_store_loss: Option<OnStoreLoss>,
    /// What a client of revision 2026-07-28 gets. Error: status 429, Retry-After and an error; ToolResult: for the call
    /// of a tool a result with a text that says so, which models read. Older clients always get status 200 with such a
    /// result or, for other requests, an error. Default: Error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Proxies in front of the server, as networks: what they say of a client's address (X-Forwarded-For, Forwarded)
    /// is believed; at most 64. Default: none. Example: 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 49)))]
    pub trusted_proxies: Vec<String>,
    /// Limits for single tools on top, for each caller; the first entry that matches counts; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub tools: Vec<ToolRateLimit>,
}

/// A limit for tools of some name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolRateLimit {
    /// Name of the tool; * stands for any characters. Example: report-*.
    #[schemars(length(min = 1, max = 128))]
    pub r#match: String,
    /// Calls that one caller may make in a minute, 1 to 1000000. Default: no limit besides the general one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_minute: Option<u32>,
    /// Calls that one caller may make at once after a pause, 1 to 1000000. Default: the general burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: Option<u32>,
    /// Calls of the tool that are worked on at once in one replica, for all callers, 1 to 100000. Default: no limit
    /// besides the general one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub concurrency: Option<u32>,
}

/// What happens to a request over the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum RateLimitMode {
    #[default]
    Enforce,
    Report,
    Off,
}

/// What counts while the shared store cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum OnStoreLoss {
    #[default]
    LocalShare,
    Deny,
    Full,
}

/// What a caller over the limit gets whose client speaks revision 2026-07-28.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Refusal {
    #[default]
    Error,
    ToolResult,
}

/// Requests in a minute where the configuration names no number.
const REQUESTS_PER_MINUTE: u32 = 100;
/// Requests at once where the configuration names no number: an agent calls several tools in parallel, and a list of
/// fifty items is not unusual.
const BURST: u32 = 50;

impl RateLimit {
    /// The mode in force.
    #[must_use]
    pub fn mode(&self) -> RateLimitMode {
        self.mode.unwrap_or_default()
    }

    /// The general rate in force.
    #[must_use]
    pub fn requests_per_minute(&self) -> u32 {
        self.requests_per_minute.unwrap_or(REQUESTS_PER_MINUTE)
    }

    /// The general burst in force.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst.unwrap_or(BURST)
    }

    /// True where the general limit is the default one. The numbers are compared, since a configuration that was written
    /// out in full names the defaults, too.
    #[must_use]
    pub fn is_default(&self) -> bool {
        (self.requests_per_minute(), self.burst()) == (REQUESTS_PER_MINUTE, BURST)
    }

    /// The interval in force.
    #[must_use]
    pub fn cleanup_interval(&self) -> Duration {
        self.cleanup_interval.unwrap_or(Duration::from_secs(300))
    }

    /// The store in force.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.unwrap_or_default()
    }

    /// What counts in force while the store is lost.
    #[must_use]
    pub fn on_store_loss(&self) -> OnStoreLoss {
        self.on_store_loss.unwrap_or_default()
    }

    /// The kind of refusal in force.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        self.refusal.unwrap_or_default()
    }

    /// The entry for a tool, if there is one.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&ToolRateLimit> {
        self.tools.iter().find(|tool| crate::glob::matches(&tool.r#match, name))
    }

    /// True where Redis is needed.
    #[must_use]
    pub fn needs_redis(&self) -> bool {
        self.mode() != RateLimitMode::Off && self.store() == Store::Redis
    }
}
