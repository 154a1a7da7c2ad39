//! How much work is done at once, and for how long.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, is_default};

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
    /// The most calls that wait for others to end, 0 to 100000; a tool with a limit of its own has a part of the queue
    /// in proportion to it. Default: maxConcurrentRequests, so that nobody waits for much longer than a call takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_queued: Option<u32>,
    /// How long a call may wait for others to end before it is refused, 1ms to 10m; never longer than
    /// requestTimeout, of which the wait is a part. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_timeout: Option<Duration>,
    /// Adaptive refuses calls that would wait in vain before their bodies are read; Off reads every body and lets
    /// every call wait that the queue has room for. Default: Adaptive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shedding: Option<Shedding>,
    /// Threads for tools that take processor time, 1 to 64. Default: one for each processor that the process may
    /// use, at most 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub thread_pool_size: Option<u32>,
    /// The most connections to one upstream, 1 to 1000: calls beyond that wait for one. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub connection_pool_size: Option<u32>,
    /// Collecting calls of one tool into one request to its upstream; only tools that say how (http.batch) are
    /// collected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batching: Batching,
}

/// What happens to calls for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Shedding {
    // They are refused as soon as it is clear that they would wait in vain.
    #[default]
    Adaptive,
    // They wait where the queue has room.
    Off,
}

impl Performance {
    /// The concurrency limit in force.
    #[must_use]
    pub fn max_concurrent_requests(&self) -> usize {
        self.max_concurrent_requests.unwrap_or(100) as usize
    }

    /// The most connections to one upstream.
    #[must_use]
    pub fn connection_pool_size(&self) -> usize {
        self.connection_pool_size.unwrap_or(10) as usize
    }

    /// The request timeout in force.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout.unwrap_or(Duration::from_secs(30))
    }

    /// The length of the queue in force.
    #[must_use]
    pub fn max_queued(&self) -> usize {
        self.max_queued.map_or_else(|| self.max_concurrent_requests(), |most| most as usize)
    }

    /// The longest wait in force; a request's own deadline may end it earlier.
    #[must_use]
    pub fn queue_timeout(&self) -> Duration {
        self.queue_timeout.unwrap_or(Duration::from_secs(5))
    }

    /// How many threads tools have that take processor time, where that is said.
    #[must_use]
    pub fn thread_pool_size(&self) -> Option<usize> {
        self.thread_pool_size.map(|threads| threads as usize)
    }

    /// Whether calls are shed.
    #[must_use]
    pub fn shedding(&self) -> Shedding {
        self.shedding.unwrap_or_default()
    }
}

/// Collecting calls for one upstream into one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Batching {
    /// On: calls of tools with http.batch are collected. Off: each is a request of its own. Default: Off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<BatchingMode>,
    /// The most calls in one request, 1 to 1000. Default: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_size: Option<u32>,
    /// How long a call waits for others at most, 0s to 10s; it does not wait where nothing is under way. Default:
    /// 100ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Duration>,
}

/// Whether calls are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BatchingMode {
    On,
    Off,
}

impl Batching {
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mode == Some(BatchingMode::On)
    }

    /// The most calls in one request.
    #[must_use]
    pub fn max_size(&self) -> usize {
        self.max_size.unwrap_or(10) as usize
    }

    /// How long a call waits for others at most.
    #[must_use]
    pub fn max_delay(&self) -> Duration {
        self.max_delay.unwrap_or(Duration::from_millis(100))
    }
}
