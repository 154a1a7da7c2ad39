//! The cache of answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, Duration};

/// The cache of answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cache {
    /// On caches answers of the tools in tools[], and lists and reads as long as their backend allows; Off nothing.
    /// Default: On.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CacheMode>,
    /// Memory is of each replica by itself; Redis is shared by all and needs redis.url. Default: Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
    /// The most answers held in memory, 1 to 10000000. Default: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_entries: Option<u32>,
    /// The most memory that they take, 64Ki to 64Gi, and never more than half of what the container may use.
    /// Default: 64Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<ByteSize>,
    /// How long an answer of a tool is used, 1ms to 168h. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// The tools whose answers may be cached: those whose answer depends on nothing but their arguments; the first
    /// entry that matches counts; at most 64. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub tools: Vec<ToolCache>,
}

/// Tools whose answers may be cached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolCache {
    /// Name of the tool; * stands for any characters. Example: geocode.
    #[schemars(length(min = 1, max = 128))]
    pub r#match: String,
    /// How long an answer is used, 1ms to 168h. Default: cache.ttl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// Private keeps the answers of each caller apart; Public gives everybody the same. Default: Private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Sharing>,
}

/// Who may get an answer that was made for somebody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Sharing {
    #[default]
    Private,
    Public,
}

/// Whether there is a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum CacheMode {
    #[default]
    On,
    Off,
}

/// Where shared state is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Store {
    #[default]
    Memory,
    Redis,
}

impl Cache {
    /// The mode in force.
    #[must_use]
    pub fn mode(&self) -> CacheMode {
        self.mode.unwrap_or_default()
    }

    /// The store in force.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.unwrap_or_default()
    }

    /// The most entries in force.
    #[must_use]
    pub fn max_entries(&self) -> u32 {
        self.max_entries.unwrap_or(1000)
    }

    /// The most memory in force, before what the container may use is looked at.
    #[must_use]
    pub fn max_memory(&self) -> ByteSize {
        self.max_memory.unwrap_or(ByteSize::from_mib(64))
    }

    /// The general time to live in force.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl.unwrap_or(Duration::from_secs(3600))
    }

    /// The entry for a tool, if there is one.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&ToolCache> {
        self.tools.iter().find(|tool| crate::glob::matches(&tool.r#match, name))
    }

    /// True where Redis is needed.
    #[must_use]
    pub fn needs_redis(&self) -> bool {
        self.mode() == CacheMode::On && self.store() == Store::Redis
    }
}
