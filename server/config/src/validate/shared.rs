//! Rules for rate limits, the cache and Redis.

use std::net::IpAddr;

use super::Rules;
use crate::{ByteSize, Cache, Duration, Path, RateLimit, SecretRef, ServiceConfig};

/// The most entries in a list of limits or policies.
const MAX_ENTRIES: usize = 64;

/// Opening a state tries one after the other.
const MAX_STATE_KEYS: usize = 8;

const LONGEST_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

impl Rules {
    pub(super) fn rate_limit(&mut self, limit: &RateLimit) {
        let one_to_a_million = |rules: &mut Self, path: &Path, value: Option<u32>| {
            rules.check_at((1..=1_000_000).contains(&value.unwrap_or(1)), path, || {
                "must be from 1 to 1000000".to_owned()
            });
        };
        one_to_a_million(self, &Path::of("rateLimit.requestsPerMinute"), limit.requests_per_minute);
        one_to_a_million(self, &Path::of("rateLimit.burst"), limit.burst);
        self.between(
            "rateLimit.cleanupInterval",
            limit.cleanup_interval,
            Duration::from_secs(1),
            Duration::from_secs(3600),
        );
        self.at_most("rateLimit.trustedProxies", limit.trusted_proxies.len());
        for (index, network) in limit.trusted_proxies.iter().enumerate() {
            let path = Path::of("rateLimit.trustedProxies").index(index);
            self.check_at(is_network(network), &path, || {
                "is not a network; write an address or a network, as in 10.0.0.0/8".to_owned()
            });
        }
        self.at_most("rateLimit.tools", limit.tools.len());
        for (index, tool) in limit.tools.iter().enumerate() {
            let path = Path::of("rateLimit.tools").index(index);
            self.pattern(&path, &tool.r#match);
            one_to_a_million(self, &path.key("requestsPerMinute"), tool.requests_per_minute);
            one_to_a_million(self, &path.key("burst"), tool.burst);
            let concurrency = tool.concurrency.unwrap_or(1);
            self.check_at((1..=100_000).contains(&concurrency), &path.key("concurrency"), || {
                "must be from 1 to 100000".to_owned()
            });
            let limits = tool.requests_per_minute.is_some() || tool.concurrency.is_some();
            self.check_at(limits, &path, || {
                "limits nothing; set requestsPerMinute or concurrency".to_owned()
            });
        }
    }

    pub(super) fn cache(&mut self, cache: &Cache) {
        self.check((1..=10_000_000).contains(&cache.max_entries()), "cache.maxEntries", || {
            "must be from 1 to 10000000".to_owned()
        });
        let (least, most) = (ByteSize::from_bytes(64 << 10), ByteSize::from_mib(64 << 10));
        self.check((least..=most).contains(&cache.max_memory()), "cache.maxMemory", || {
            format!("must be from {least} to {most}")
        });
        self.between("cache.ttl", cache.ttl, Duration::from_millis(1), LONGEST_TTL);
        self.at_most("cache.tools", cache.tools.len());
        for (index, tool) in cache.tools.iter().enumerate() {
            let path = Path::of("cache.tools").index(index);
            self.pattern(&path, &tool.r#match);
            let ttl = tool.ttl.unwrap_or(LONGEST_TTL);
            self.check_at((Duration::from_millis(1)..=LONGEST_TTL).contains(&ttl), &path.key("ttl"), || {
                format!("must be from 1ms to {LONGEST_TTL}")
            });
        }
    }

    pub(super) fn redis(&mut self, config: &ServiceConfig) {
        let redis = &config.redis;
        if let Some(url) = &redis.url {
            self.secret("redis.url", url);
        }
        if let Some(ca) = &redis.ca {
            self.secret("redis.ca", ca);
        }
        let needed = [
            ("rateLimit.store", config.rate_limit.needs_redis()),
            ("cache.store", config.cache.needs_redis()),
        ];
        for (path, needed) in needed {
            self.check(!needed || redis.url.is_some(), path, || {
                "needs a Redis server; say in redis.url where it is, or use Memory".to_owned()
            });
        }
        let (millis, minute) = (Duration::from_millis(10), Duration::from_secs(60));
        self.between("redis.connectTimeout", redis.connect_timeout, millis, minute);
        let (millis, seconds) = (Duration::from_millis(1), Duration::from_secs(10));
        self.between("redis.responseTimeout", redis.response_timeout, millis, seconds);
        let prefix = redis.key_prefix.as_deref().unwrap_or("mcp");
        let plain = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte));
        self.check(plain && (1..=200).contains(&prefix.len()), "redis.keyPrefix", || {
            "must have from 1 to 200 letters, digits, dashes, underscores, dots, colons and slashes"
                .to_owned()
        });
    }

    pub(super) fn state_keys(&mut self, keys: &[SecretRef]) {
        self.check(keys.len() <= MAX_STATE_KEYS, "stateKeys", || {
            format!(
                "must be at most {MAX_STATE_KEYS}; one that seals nothing any more is of no use after an hour"
            )
        });
        for (index, key) in keys.iter().enumerate() {
            self.secret_at(&Path::of("stateKeys").index(index), key);
        }
    }

    fn at_most(&mut self, path: &str, count: usize) {
        self.check(count <= MAX_ENTRIES, path, || format!("must have at most {MAX_ENTRIES} entries"));
    }

    fn pattern(&mut self, path: &Path, pattern: &str) {
        let fits = (1..=128).contains(&pattern.chars().count());
        self.check_at(fits, &path.key("match"), || {
            "must be the name of a tool, of 1 to 128 characters; * stands for any characters".to_owned()
        });
    }
}

/// An address, or an address with the length of a prefix.
fn is_network(text: &str) -> bool {
    let (address, length) =
        text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|length| length.parse::<u8>().is_ok_and(|length| length <= most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Redis, SecretRef, Store, ToolCache, ToolRateLimit, validate_service};

    #[test]
    fn networks() {
        for (text, expected) in [
            ("10.0.0.0/8", true),
            ("10.0.0.1", true),
            ("fd00::/8", true),
            ("10.0.0.0/33", false),
            ("10.0.0/8", false),
            ("::/129", false),
            ("proxy.example.com", false),
            ("10.0.0.0/", false),
        ] {
            assert_eq!(is_network(text), expected, "{text}");
        }
    }

    #[test]
    fn every_rule_speaks() {
        let config = ServiceConfig {
            rate_limit: RateLimit {
                requests_per_minute: Some(0),
                cleanup_interval: Some(Duration::from_millis(1)),
                trusted_proxies: vec!["10.0.0.0/8".into(), "proxy".into()],
                tools: vec![ToolRateLimit { r#match: "a".into(), ..ToolRateLimit::default() }],
                store: Some(Store::Redis),
                ..RateLimit::default()
            },
            cache: Cache {
                max_entries: Some(0),
                max_memory: Some(ByteSize::from_bytes(1)),
                ttl: Some(Duration::from_secs(0)),
                tools: vec![ToolCache { ttl: Some(Duration::from_secs(0)), ..ToolCache::default() }],
                ..Cache::default()
            },
            redis: Redis { key_prefix: Some("a b".into()), ..Redis::default() },
            state_keys: vec![SecretRef::default(); 9],
            ..ServiceConfig::default()
        };
        let shown = validate_service(&config).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(shown, @r#"
        rateLimit.requestsPerMinute: must be from 1 to 1000000
        rateLimit.cleanupInterval: must be from 1s to 1h
        rateLimit.trustedProxies[1]: is not a network; write an address or a network, as in 10.0.0.0/8
        rateLimit.tools[0]: limits nothing; set requestsPerMinute or concurrency
        cache.maxEntries: must be from 1 to 10000000
        cache.maxMemory: must be from 64Ki to 64Gi
        cache.ttl: must be from 1ms to 168h
        cache.tools[0].match: must be the name of a tool, of 1 to 128 characters; * stands for any characters
        cache.tools[0].ttl: must be from 1ms to 168h
        rateLimit.store: needs a Redis server; say in redis.url where it is, or use Memory
        redis.keyPrefix: must have from 1 to 200 letters, digits, dashes, underscores, dots, colons and slashes
        stateKeys: must be at most 8; one that seals nothing any more is of no use after an hour
        stateKeys[0]: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        stateKeys[1]: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        stateKeys[2]: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        stateKeys[3]: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        stateKeys[4]: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        stateKeys[5]: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        stateKeys[6]: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        stateKeys[7]: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        stateKeys[8]: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        "#);
        let with_url = ServiceConfig {
            redis: Redis { url: Some(SecretRef::from_env("REDIS_URL")), ..Redis::default() },
            cache: Cache { store: Some(Store::Redis), ..Cache::default() },
            ..ServiceConfig::default()
        };
        assert!(validate_service(&with_url).is_empty());
    }
}
