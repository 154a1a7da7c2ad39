//! Where Redis is, and how long it may take.

use std::sync::Arc;
use std::time::Duration;

use mcp_server_config::{SecretRef, ServiceConfig};

/// What a connection needs to know. Where the URL itself stands is looked up for each connection, so that a changed
/// password is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub url: SecretRef,
    /// Certificates of the authorities to trust, where they are not the public ones.
    pub ca: Option<SecretRef>,
    pub connect_timeout: Duration,
    pub response_timeout: Duration,
    pub key_prefix: Arc<str>,
}

impl Settings {
    /// The settings, where anything in the configuration is shared through Redis.
    #[must_use]
    pub fn of(service: &ServiceConfig) -> Option<Self> {
        let needed = service.rate_limit.needs_redis() || service.cache.needs_redis();
        let redis = &service.redis;
        Some(Self {
            url: redis.url.clone().filter(|_| needed)?,
            ca: redis.ca.clone(),
            connect_timeout: redis.connect_timeout().as_std(),
            response_timeout: redis.response_timeout().as_std(),
            key_prefix: redis.key_prefix(service.server_name()).into(),
        })
    }
}
