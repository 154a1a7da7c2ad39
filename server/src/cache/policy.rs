//! Which answers may be kept, as the configuration says it.

use std::time::Duration;

use mcp_server_config::{Cache, CacheMode, ServiceConfig, Sharing};

use crate::auth::principal::Caller;
use crate::cache::key::{Audience, fingerprint};

/// How answers of one tool are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub ttl: Duration,
    pub sharing: Sharing,
    /// Changes with the tool, and with nothing else: a reload loses no answer that is still right.
    pub fingerprint: [u8; 32],
}

impl Policy {
    /// The policy for a tool, where the configuration has one.
    #[must_use]
    pub fn of(service: &ServiceConfig, name: &str, definition: &[u8]) -> Option<Self> {
        let cache: &Cache = &service.cache;
        let entry = cache.tool(name).filter(|_| cache.mode() == CacheMode::On)?;
        // What a declared tool does stands in the configuration only, not in its definition.
        let declared = service.tools.iter().find(|tool| tool.name == name);
        let declared = declared
            .map_or_else(String::new, |tool| serde_json::to_string(tool).expect("a configuration is JSON"));
        Some(Self {
            ttl: entry.ttl.unwrap_or(cache.ttl()).as_std(),
            sharing: entry.scope.unwrap_or_default(),
            fingerprint: fingerprint(&[definition, declared.as_bytes()]),
        })
    }

    #[must_use]
    pub fn audience<'a>(&self, caller: &'a Caller) -> Audience<'a> {
        match self.sharing {
            Sharing::Public => Audience::Everybody,
            Sharing::Private => Audience::Only(caller),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_server_config::{Tool, ToolCache};

    fn service() -> ServiceConfig {
        let entry = |pattern: &str, ttl| ToolCache { r#match: pattern.into(), ttl, ..ToolCache::default() };
        let tools = vec![entry("geo-*", Some(mcp_server_config::Duration::from_secs(5))), entry("now", None)];
        let tool = Tool { name: "now".into(), text: Some("one".into()), ..Tool::default() };
        ServiceConfig {
            cache: Cache { tools, ..Cache::default() },
            tools: vec![tool],
            ..ServiceConfig::default()
        }
    }

    #[test]
    fn only_tools_with_an_entry() {
        let service = service();
        assert_eq!(Policy::of(&service, "geo-code", b"{}").unwrap().ttl, Duration::from_secs(5));
        assert_eq!(Policy::of(&service, "now", b"{}").unwrap().ttl, Duration::from_secs(3600));
        assert_eq!(Policy::of(&service, "other", b"{}"), None);
        let mut off = service;
        off.cache.mode = Some(CacheMode::Off);
        assert_eq!(Policy::of(&off, "now", b"{}"), None);
    }

    #[test]
    fn the_fingerprint_changes_with_the_tool_and_with_nothing_else() {
        let before = Policy::of(&service(), "now", b"{}").unwrap();
        let mut other = service();
        other.server_name = Some("other".into());
        other.cache.ttl = Some(mcp_server_config::Duration::from_secs(1));
        assert_eq!(Policy::of(&other, "now", b"{}").unwrap().fingerprint, before.fingerprint);
        assert_ne!(Policy::of(&service(), "now", b"{ }").unwrap().fingerprint, before.fingerprint);
        let mut changed = service();
        changed.tools[0].text = Some("two".into());
        assert_ne!(Policy::of(&changed, "now", b"{}").unwrap().fingerprint, before.fingerprint);
    }
}
