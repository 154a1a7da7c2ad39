//! The limits in force, as the configuration says them.

use mcp_server_config::rate_limit::ToolRateLimit;
use mcp_server_config::{OnStoreLoss, RateLimit, RateLimitMode, Refusal, ServerConfig, Store};

use crate::limit::gcra::Rate;

/// What counts for a request, worked out once for each configuration.
#[derive(Clone, Debug)]
pub struct Policy {
    pub mode: RateLimitMode,
    /// For each caller who has no limit of their own.
    pub rate: Rate,
    /// Whether the general limit counts for the client behind standard input and output, too. It has the whole process
    /// to itself, so there it counts only where the configuration sets another limit than the default.
    pub limits_local: bool,
    pub store: Store,
    pub on_store_loss: OnStoreLoss,
    pub refusal: Refusal,
    /// How many replicas there are, as far as the configuration knows.
    pub replicas: u32,
}

impl Policy {
    #[must_use]
    pub fn new(config: &ServerConfig) -> Self {
        let limit = &config.service.rate_limit;
        Self {
            mode: limit.mode(),
            rate: Rate::per_minute(limit.requests_per_minute(), limit.burst()),
            limits_local: !limit.is_default(),
            store: limit.store(),
            on_store_loss: limit.on_store_loss(),
            refusal: limit.refusal(),
            replicas: config.process.replicas.unwrap_or(1),
        }
    }
}

/// The limit for calls of a tool by one caller, where there is one besides the general one.
#[must_use]
pub fn of_tool(limit: &RateLimit, name: &str) -> Option<Rate> {
    let entry: &ToolRateLimit = limit.tool(name)?;
    let requests = entry.requests_per_minute?;
    Some(Rate::per_minute(requests, entry.burst.unwrap_or(limit.burst())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_that_matches_counts() {
        let entry = |pattern: &str, requests| ToolRateLimit {
            r#match: pattern.into(),
            requests_per_minute: requests,
            ..ToolRateLimit::default()
        };
        let tools = vec![entry("report-daily", None), entry("report-*", Some(6)), entry("*", Some(60))];
        let limit = RateLimit { burst: Some(3), tools, ..RateLimit::default() };
        assert_eq!(of_tool(&limit, "report-daily"), None);
        assert_eq!(of_tool(&limit, "report-x"), Some(Rate::per_minute(6, 3)));
        assert_eq!(of_tool(&limit, "greet"), Some(Rate::per_minute(60, 3)));
        assert_eq!(of_tool(&RateLimit::default(), "greet"), None);
    }
}
