//! How a process stops.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// How a process stops. The operator renders `spec.rollout` into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shutdown {
    /// How long the server goes on accepting after it was told to stop, until clients and load balancers have
    /// heard of it. Default: 0s on a bare machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// How long calls in flight may take to finish after that. Default: the request timeout and 5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

impl Shutdown {
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.delay.unwrap_or(Duration::from_secs(0))
    }

    /// The drain timeout in force, given the request timeout in force.
    #[must_use]
    pub fn timeout(&self, request_timeout: Duration) -> Duration {
        self.timeout.unwrap_or(Duration::from_millis(request_timeout.as_millis() + 5000))
    }
}
