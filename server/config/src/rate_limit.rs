//! Rate limits: read and checked, not yet in force.

use serde::{Deserialize, Serialize};

use crate::{Duration, cache::Store};

/// How many requests one caller may make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RateLimitMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// How many requests may come at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// How often buckets that are full again are forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup_interval: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Store>,
}

/// What happens to a request over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateLimitMode {
    Enforce,
    Report,
    Off,
}
