//! How much work is done at once, and for how long.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// How much work is done at once, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Performance {
    /// The most calls worked on at once in one replica; more are refused with 503 and Retry-After, 1 to 100000.
    /// Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrent_requests: Option<u32>,
    /// How long one call may take, 1ms to 10m; after that it is cancelled and answered with an error.
    /// Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<Duration>,
}

impl Performance {
    /// The concurrency limit in force.
    #[must_use]
    pub fn max_concurrent_requests(&self) -> usize {
        self.max_concurrent_requests.unwrap_or(100) as usize
    }

    /// The request timeout in force.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout.unwrap_or(Duration::from_secs(30))
    }
}

/// What only a process is told of performance: read and checked, not yet in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PerformanceProcess {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_pool_size: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_pool_size: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batching: Option<Batching>,
}

/// Collecting calls for one upstream into one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batching {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<crate::cache::CacheMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Duration>,
}
