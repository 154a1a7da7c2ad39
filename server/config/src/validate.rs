//! What values must be, beyond their types. Every rule speaks, not just the first that is broken.

mod shared;

use std::{collections::BTreeSet, fmt, net::SocketAddr};

use crate::{
    ByteSize, Duration, Path, Performance, SecretRef, ServerConfig, ServiceConfig, constants::MAX_TOOLS,
    logging, outbound::Exception, tools::check::is_variable,
};

mod auth;
mod content;
mod observe;

/// One rule that a configuration breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub path: Path,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Checks what a process is told.
#[must_use]
pub fn validate(config: &ServerConfig) -> Vec<Violation> {
    let mut rules = Rules { violations: validate_service(&config.service) };
    let process = &config.process;
    rules.address("http.address", process.http.address());
    rules.address("http.adminAddress", process.http.admin_address());
    // Port 0 is a free port of the system's choice, another one each time.
    let (address, admin_address) = (process.http.address(), process.http.admin_address());
    rules.check(address != admin_address || address.ends_with(":0"), "http.adminAddress", || {
        "is the same as http.address; health and metrics need a port of their own".to_owned()
    });
    let path = process.http.path();
    rules.check(path.starts_with('/') && !path.contains(['?', '#', ' ']), "http.path", || {
        "is not a path; write one that begins with a slash, as in /mcp".to_owned()
    });
    rules.check((1..=1_000_000).contains(&process.http.max_connections()), "http.maxConnections", || {
        "must be from 1 to 1000000".to_owned()
    });
    if let Some(key) = &process.auth.api_key {
        rules.secret("auth.apiKey", key);
    }
    rules.between("shutdown.delay", process.shutdown.delay, Duration::from_secs(0), Duration::from_secs(600));
    rules.between(
        "shutdown.timeout",
        process.shutdown.timeout,
        Duration::from_millis(1),
        Duration::from_secs(3600),
    );
    let replicas = process.replicas.unwrap_or(1);
    rules.check((1..=10_000).contains(&replicas), "replicas", || "must be from 1 to 10000".to_owned());
    rules.file_resources(config);
    rules.violations.extend(logging::validate_process(&process.logging));
    rules.violations
}

/// Checks what a service is told: all that stands in `spec.config`.
#[must_use]
pub fn validate_service(config: &ServiceConfig) -> Vec<Violation> {
    let mut rules = Rules { violations: Vec::new() };
    rules.length("serverName", config.server_name.as_deref(), 128);
    rules.length("serverVersion", config.server_version.as_deref(), 64);
    rules.length("instructions", config.instructions.as_deref(), 16_384);
    rules.length("environment", config.environment.as_deref(), 63);
    for (index, host) in config.http.allowed_hosts.iter().enumerate() {
        let plain = !host.is_empty() && !host.contains(['/', ' ', '*', '@']);
        rules.check_at(plain, &Path::of("http.allowedHosts").index(index), || {
            "is not a host name; write it without scheme, path or wildcard, as in mcp.example.com".to_owned()
        });
    }
    for (index, origin) in config.http.allowed_origins.iter().enumerate() {
        let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let plain = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', ' ', '*']));
        rules.check_at(plain, &Path::of("http.allowedOrigins").index(index), || {
            "is not an origin; write scheme, host and perhaps a port, as in https://app.example.com"
                .to_owned()
        });
    }
    let (least, most) = (ByteSize::from_bytes(1024), ByteSize::from_mib(64));
    rules.check((least..=most).contains(&config.http.max_body()), "http.maxBody", || {
        format!("must be from {least} to {most}")
    });
    let (least, most) = (Duration::from_millis(100), Duration::from_secs(3600));
    rules.between("http.streamAfter", config.http.stream_after, least, most);
    rules.auth(config);
    rules.metrics(&config.metrics);
    rules.health(&config.health);
    rules.check(
        (1..=100_000).contains(&config.performance.max_concurrent_requests()),
        "performance.maxConcurrentRequests",
        || "must be from 1 to 100000".to_owned(),
    );
    let timeout = config.performance.request_timeout;
    rules.between("performance.requestTimeout", timeout, Duration::from_millis(1), Duration::from_secs(600));
    rules.performance(&config.performance);
    rules.rate_limit(&config.rate_limit);
    rules.cache(&config.cache);
    rules.redis(config);
    rules.state_keys(&config.state_keys);
    rules.outbound(config);
    rules.violations.extend(logging::validate_service(&config.logging));
    rules.tools(config);
    rules.prompts(config);
    rules.resources(config);
    rules.violations
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// What is wrong with a reference to a secret.
pub(crate) fn secret_rule(path: &Path, secret: &SecretRef) -> Option<Violation> {
    if let Some(name) = &secret.env
        && !is_variable(name)
    {
        let message = "is not the name of an environment variable; write letters, digits and underscores";
        return Some(Violation { path: path.key("env"), message: message.to_owned() });
    }
    let message = match secret.alternatives() {
        1 => return None,
        0 => "says nowhere to look; set one of file, env and (in a resource) secretKeyRef",
        _ => "says several places at once; set one of file, env and (in a resource) secretKeyRef",
    };
    Some(Violation { path: path.clone(), message: message.to_owned() })
}

struct Rules {
    violations: Vec<Violation>,
}

impl Rules {
    fn check(&mut self, holds: bool, path: &str, message: impl FnOnce() -> String) {
        self.check_at(holds, &Path::of(path), message);
    }

    fn check_at(&mut self, holds: bool, path: &Path, message: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(Violation { path: path.clone(), message: message() });
        }
    }

    fn length(&mut self, path: &str, text: Option<&str>, most: usize) {
        let length = text.map_or(1, |text| text.chars().count());
        self.check((1..=most).contains(&length), path, || format!("must have from 1 to {most} characters"));
    }

    fn between(&mut self, path: &str, value: Option<Duration>, least: Duration, most: Duration) {
        self.between_at(&Path::of(path), value, least, most);
    }

    fn between_at(&mut self, path: &Path, value: Option<Duration>, least: Duration, most: Duration) {
        let fits = value.is_none_or(|value| (least..=most).contains(&value));
        self.check_at(fits, path, || format!("must be from {least} to {most}"));
    }

    fn address(&mut self, path: &str, address: &str) {
        self.check(address.parse::<SocketAddr>().is_ok(), path, || {
            "is not an address; write an IP address and a port, as in 127.0.0.1:8080".to_owned()
        });
    }

    fn secret(&mut self, path: &str, secret: &SecretRef) {
        self.secret_at(&Path::of(path), secret);
    }

    fn secret_at(&mut self, path: &Path, secret: &SecretRef) {
        self.violations.extend(secret_rule(path, secret));
    }

    fn performance(&mut self, performance: &Performance) {
        let (least, most) = (Duration::from_millis(1), Duration::from_secs(600));
        self.between("performance.queueTimeout", performance.queue_timeout, least, most);
        self.check(performance.max_queued() <= 100_000, "performance.maxQueued", || {
            "must be from 0 to 100000".to_owned()
        });
        let threads = performance.thread_pool_size;
        self.check(
            threads.is_none_or(|threads| (1..=64).contains(&threads)),
            "performance.threadPoolSize",
            || "must be from 1 to 64".to_owned(),
        );
    }

    /// Connections that the server itself makes.
    fn outbound(&mut self, config: &ServiceConfig) {
        for (index, entry) in config.outbound.allow_private.iter().enumerate() {
            let path = Path::of("outbound.allowPrivate").index(index);
            self.check_at(Exception::parse(entry).is_some(), &path, || {
                "is neither a network, an address nor a host name; write 10.1.0.0/16, idp.example.com, or .example.com for all below it".to_owned()
            });
        }
        let performance = &config.performance;
        self.check(
            (1..=1000).contains(&performance.connection_pool_size()),
            "performance.connectionPoolSize",
            || "must be from 1 to 1000".to_owned(),
        );
        self.check(
            (1..=1000).contains(&performance.batching.max_size()),
            "performance.batching.maxSize",
            || "must be from 1 to 1000".to_owned(),
        );
        let (none, most) = (Duration::from_secs(0), Duration::from_secs(10));
        self.between("performance.batching.maxDelay", performance.batching.max_delay, none, most);
    }

    /// The compiler of declared tools says more about each; here is what needs no compiler.
    fn tools(&mut self, config: &ServiceConfig) {
        self.check(config.tools.len() <= MAX_TOOLS, "tools", || format!("must be at most {MAX_TOOLS}"));
        let mut names = BTreeSet::new();
        for (index, tool) in config.tools.iter().enumerate() {
            let path = Path::of("tools").index(index);
            let of_letters = tool.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            self.check_at(of_letters && (1..=128).contains(&tool.name.len()), &path.key("name"), || {
                "must have from 1 to 128 letters, digits, dots, dashes and underscores".to_owned()
            });
            self.check_at(names.insert(&tool.name), &path.key("name"), || crate::tools::REPEATED.to_owned());
            self.violations.extend(crate::tools::check::check(tool, &path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Http, HttpProcess, OAuth2, Shutdown, Tool};

    fn shown(config: &ServerConfig) -> Vec<String> {
        validate(config).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_are_valid_and_so_are_two_free_ports() {
        let mut config = ServerConfig::default();
        assert_eq!(shown(&config), Vec::<String>::new());
        (config.process.http.address, config.process.http.admin_address) =
            (Some("127.0.0.1:0".into()), Some("127.0.0.1:0".into()));
        assert_eq!(shown(&config), Vec::<String>::new());
    }

    #[test]
    fn all_violations_at_once() {
        let mut config = ServerConfig::default();
        config.service.server_name = Some(String::new());
        config.service.http = Http {
            allowed_hosts: vec!["ok.example.com".into(), "https://no".into()],
            allowed_origins: vec!["app.example.com".into()],
            max_body: Some(ByteSize::from_mib(65)),
            stream_after: Some(Duration::from_millis(1)),
            ..Http::default()
        };
        config.service.auth.api_keys = Some(SecretRef::default());
        config.service.performance = Performance {
            max_concurrent_requests: Some(0),
            request_timeout: Some(Duration::from_secs(601)),
            max_queued: Some(100_001),
            queue_timeout: Some(Duration::from_secs(601)),
            thread_pool_size: Some(0),
            ..Performance::default()
        };
        config.service.tools = vec![
            Tool { name: "a b".into(), text: Some("x".into()), ..Tool::default() },
            Tool { name: "c".into(), ..Tool::default() },
            Tool { name: "c".into(), cel: Some("1".into()), text: Some("x".into()), ..Tool::default() },
        ];
        config.process.http = HttpProcess {
            address: Some("localhost".into()),
            path: Some("mcp".into()),
            max_connections: Some(0),
            ..HttpProcess::default()
        };
        config.service.auth.oauth2 = Some(OAuth2::default());
        config.process.shutdown = Shutdown { delay: Some(Duration::from_secs(601)), timeout: None };
        config.service.rate_limit.burst = Some(0);
        insta::assert_snapshot!(shown(&config).join("\n"), @r#"
        serverName: must have from 1 to 128 characters
        http.allowedHosts[1]: is not a host name; write it without scheme, path or wildcard, as in mcp.example.com
        http.allowedOrigins[0]: is not an origin; write scheme, host and perhaps a port, as in https://app.example.com
        http.maxBody: must be from 1Ki to 64Mi
        http.streamAfter: must be from 100ms to 1h
        auth.apiKeys: says nowhere to look; set one of file, env and (in a resource) secretKeyRef
        auth.oauth2.issuer: must be set: the URL of the authorization server, exactly as its tokens write it
        auth.oauth2.audiences: must be set, or http.publicURL: without an audience, tokens made for other servers would be accepted
        performance.maxConcurrentRequests: must be from 1 to 100000
        performance.requestTimeout: must be from 1ms to 10m
        performance.queueTimeout: must be from 1ms to 10m
        performance.maxQueued: must be from 0 to 100000
        performance.threadPoolSize: must be from 1 to 64
        rateLimit.burst: must be from 1 to 1000000
        tools[0].name: must have from 1 to 128 letters, digits, dots, dashes and underscores
        tools[1]: exactly one of cel, text, http and command must be set
        tools[2].name: is the name of an earlier tool; give each tool a name of its own
        tools[2]: exactly one of cel, text, http and command must be set
        http.address: is not an address; write an IP address and a port, as in 127.0.0.1:8080
        http.path: is not a path; write one that begins with a slash, as in /mcp
        http.maxConnections: must be from 1 to 1000000
        shutdown.delay: must be from 0s to 10m
        "#);
    }
}
