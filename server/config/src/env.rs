//! `MCP_*` environment variables, laid over the file.
//!
//! One rule gives the names: `MCP_` and the path of the setting in capitals, words apart:
//! `performance.maxConcurrentRequests` is `MCP_PERFORMANCE_MAX_CONCURRENT_REQUESTS`. The classic short names are
//! understood too.

use serde_json::{Map, Value, json};

use crate::{LogLevel, Path, Violation, path::Segment};

/// How the text of a variable becomes a value.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Integer,
    /// Words apart by commas.
    List,
    /// One of some words, in any case.
    Word(&'static [&'static str]),
    /// The name of a log level, ours or Python's, in any case.
    Level,
    /// `true`, `false` and their like, for a setting of two words.
    Switch(&'static str, &'static str),
    /// Not the text, but the name of the variable: the secret stays where it is.
    Reference,
    /// The same for a list of secrets: one of them.
    References,
}

use Kind::{Integer, Level, List, Reference, References, Switch, Text, Word};

const STORES: &[&str] = &["Memory", "Redis"];
const MODES: &[&str] = &["Required", "Optional", "Disabled"];

/// Settings that a variable can change.
const TABLE: &[(&str, Kind)] = &[
    ("serverName", Text),
    ("serverVersion", Text),
    ("instructions", Text),
    ("environment", Text),
    ("http.address", Text),
    ("http.adminAddress", Text),
    ("http.path", Text),
    ("http.maxConnections", Integer),
    ("http.allowedHosts", List),
    ("http.allowedOrigins", List),
    ("http.maxBody", Text),
    ("http.streamAfter", Text),
    ("http.publicURL", Text),
    ("auth.mode", Word(MODES)),
    ("auth.apiKeys.file", Text),
    ("auth.maxFailuresPerMinute", Integer),
    ("auth.oauth2.issuer", Text),
    ("auth.oauth2.audiences", List),
    ("auth.oauth2.jwksURL", Text),
    ("auth.oauth2.algorithms", List),
    ("auth.oauth2.requiredScopes", List),
    ("auth.oauth2.clockSkew", Text),
    ("auth.oauth2.introspection.url", Text),
    ("auth.oauth2.introspection.clientID", Text),
    ("auth.oauth2.introspection.clientSecret.file", Text),
    ("auth.oauth2.introspection.clientSecret", Reference),
    ("logging.level", Level),
    ("logging.levelNames", Word(&["Short", "Python"])),
    ("logging.format", Word(&["JSON", "Text"])),
    ("logging.textFormat", Text),
    ("logging.file.path", Text),
    ("logging.file.maxSize", Text),
    ("logging.file.backups", Integer),
    ("logging.file.errorsPath", Text),
    ("logging.requests.mode", Word(&["Off", "Errors", "All"])),
    ("logging.requests.arguments", Word(&["Omit", "Redact", "Full"])),
    ("logging.requests.sampleEvery", Integer),
    ("metrics.mode", Word(&["On", "Off"])),
    ("metrics.interval", Text),
    ("metrics.pushGateway.url", Text),
    ("metrics.pushGateway.interval", Text),
    ("metrics.pushGateway.job", Text),
    ("metrics.otlp.endpoint", Text),
    ("metrics.otlp.interval", Text),
    ("metrics.otlp.traces", Word(&["On", "Off"])),
    ("metrics.otlp.samplePercent", Integer),
    ("health.interval", Text),
    ("performance.maxConcurrentRequests", Integer),
    ("performance.requestTimeout", Text),
    ("performance.maxQueued", Integer),
    ("performance.queueTimeout", Text),
    ("performance.shedding", Word(&["Adaptive", "Off"])),
    ("performance.threadPoolSize", Integer),
    ("rateLimit.mode", Word(&["Enforce", "Report", "Off"])),
    ("rateLimit.requestsPerMinute", Integer),
    ("rateLimit.burst", Integer),
    ("rateLimit.cleanupInterval", Text),
    ("rateLimit.store", Word(STORES)),
    ("rateLimit.onStoreLoss", Word(&["LocalShare", "Deny", "Full"])),
    ("rateLimit.refusal", Word(&["Error", "ToolResult"])),
    ("rateLimit.trustedProxies", List),
    ("cache.mode", Word(&["On", "Off"])),
    ("cache.store", Word(STORES)),
    ("cache.maxEntries", Integer),
    ("cache.maxMemory", Text),
    ("cache.ttl", Text),
    ("redis.url", Reference),
    ("redis.url.file", Text),
    ("redis.ca.file", Text),
    ("redis.connectTimeout", Text),
    ("redis.responseTimeout", Text),
    ("redis.keyPrefix", Text),
    ("stateKeys", References),
    ("replicas", Integer),
    ("performance.connectionPoolSize", Integer),
    ("performance.batching.mode", Word(&["On", "Off"])),
    ("performance.batching.maxSize", Integer),
    ("performance.batching.maxDelay", Text),
    ("outbound.allowPrivate", List),
    ("shutdown.delay", Text),
    ("shutdown.timeout", Text),
];

/// Classic short names.
const ALIASES: &[(&str, &str, Kind)] = &[
    ("MCP_AUTH_ENABLED", "auth.mode", Switch("Required", "Disabled")),
    ("MCP_API_KEY", "auth.apiKey", Reference),
    ("MCP_LOG_LEVEL", "logging.level", Level),
    ("MCP_METRICS_ENABLED", "metrics.mode", Switch("On", "Off")),
];

/// Allows programs to be run. It is no setting: a configuration cannot allow itself what only whoever starts the process may.
pub const ALLOW_COMMANDS: &str = "MCP_ALLOW_COMMANDS";

/// Names the file for the last word of a process that cannot start; no setting either.
pub const TERMINATION_LOG: &str = "MCP_TERMINATION_LOG";

/// What the environment says.
#[derive(Debug, Default)]
pub struct Overlay {
    /// Settings, in the shape of the file.
    pub value: Value,
    /// Where the settings come from: the path of each, with the name of its variable.
    pub from: Vec<(Path, String)>,
    /// Variables that look like ours and are not: a misspelling, perhaps.
    pub unknown: Vec<String>,
}

/// Every variable that is understood, with the path of its setting.
pub fn names() -> impl Iterator<Item = (String, &'static str)> {
    let aliases = ALIASES.iter().map(|(name, path, _)| ((*name).to_owned(), *path));
    TABLE.iter().map(|(path, _)| (name_of(path), *path)).chain(aliases)
}

/// Reads the variables that begin with `MCP_`; an empty one counts as not set.
///
/// # Errors
/// One violation for each variable whose text does not fit its setting.
pub fn overlay(variables: impl IntoIterator<Item = (String, String)>) -> Result<Overlay, Vec<Violation>> {
    let mut overlay = Overlay { value: Value::Object(Map::new()), ..Overlay::default() };
    let mut violations = Vec::new();
    let mut ours: Vec<_> =
        variables.into_iter().filter(|(name, text)| is_ours(name) && !text.is_empty()).collect();
    // The systematic name is the more exact one: it comes later, and wins over a short one.
    ours.sort_by_key(|(name, _)| (!ALIASES.iter().any(|(alias, ..)| alias == name), name.clone()));
    for (name, text) in ours {
        let alias = ALIASES.iter().find(|(alias, ..)| *alias == name).map(|(_, path, kind)| (*path, *kind));
        let systematic = || TABLE.iter().copied().find(|(path, _)| name_of(path) == name);
        let Some((path, kind)) = alias.or_else(systematic) else {
            overlay.unknown.push(name);
            continue;
        };
        match read(kind, &name, &text) {
            Ok(value) => {
                let path = Path::of(path);
                set(&mut overlay.value, &path, value);
                // Of two names for one setting the later one wins.
                overlay.from.retain(|(other, _)| *other != path);
                overlay.from.push((path, name));
            }
            Err(message) => violations.push(Violation { path: Path::root().key(name), message }),
        }
    }
    if violations.is_empty() { Ok(overlay) } else { Err(violations) }
}

/// The operator's own variables, and those that Kubernetes makes for a Service called `mcp`, are none of ours.
fn is_ours(name: &str) -> bool {
    name.starts_with("MCP_")
        && !name.starts_with("MCP_OPERATOR_")
        && name != ALLOW_COMMANDS
        && name != TERMINATION_LOG
        // What programs of the documentation call the address of a server.
        && name != "MCP_URL"
        && !name.starts_with("MCP_SERVICE_")
        && !name.starts_with("MCP_PORT")
}

fn name_of(path: &str) -> String {
    let mut name = String::from("MCP_");
    let mut before = '.';
    for c in path.chars() {
        match c {
            '.' => name.push('_'),
            // A word begins; several capitals in a row (URL, ID) are one.
            c if c.is_ascii_uppercase() && !before.is_ascii_uppercase() => name.extend(['_', c]),
            c => name.push(c.to_ascii_uppercase()),
        }
        before = c;
    }
    name
}

fn read(kind: Kind, name: &str, text: &str) -> Result<Value, String> {
    match kind {
        Text => Ok(json!(text)),
        Integer => text.parse::<u64>().map(|n| json!(n)).map_err(|_| "is not a whole number".to_owned()),
        List => Ok(json!(text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect::<Vec<_>>())),
        Word(words) => {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
            word.map(|word| json!(word)).ok_or_else(|| format!("is not one of {}", words.join(", ")))
        }
        Level => match text.parse::<LogLevel>() {
            Ok(level) => Ok(json!(level)),
            Err(error) => Err(error.to_string()),
        },
        Switch(on, off) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(json!(on)),
            "false" | "0" | "no" | "off" => Ok(json!(off)),
            _ => Err("is not true or false".to_owned()),
        },
        Reference => Ok(json!({"env": name})),
        References => Ok(json!([{"env": name}])),
    }
}

fn set(document: &mut Value, path: &Path, value: Value) {
    let mut place = document;
    for segment in path.segments() {
        let Segment::Key(key) = segment else { return };
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Some(map) = place.as_object_mut() else { return };
        place = map.entry(key.as_str()).or_insert(Value::Null);
    }
    *place = value;
}

/// Lays `above` over `below`: maps are merged key by key, everything else is replaced.
pub fn merge(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Overlay, Vec<Violation>> {
        overlay(variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
    }

    #[test]
    fn one_rule_gives_the_names() {
        assert_eq!(name_of("performance.maxConcurrentRequests"), "MCP_PERFORMANCE_MAX_CONCURRENT_REQUESTS");
        assert_eq!(name_of("environment"), "MCP_ENVIRONMENT");
        let mut all: Vec<_> = names().map(|(name, _)| name).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "two settings share a name");
    }

    #[test]
    fn classic_names_work() {
        let overlay = of(&[
            ("MCP_SERVER_NAME", "n"),
            ("MCP_AUTH_ENABLED", "false"),
            ("MCP_API_KEY", "canary"),
            ("MCP_LOG_LEVEL", "DEBUG"),
            ("MCP_METRICS_ENABLED", "0"),
            ("MCP_ENVIRONMENT", "staging"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        let expected = json!({
            "serverName": "n", "auth": {"mode": "Disabled", "apiKey": {"env": "MCP_API_KEY"}},
            "logging": {"level": "Debug"}, "metrics": {"mode": "Off"}, "environment": "staging",
        });
        assert_eq!(overlay.value, expected);
        assert!(overlay.unknown.is_empty());
    }

    #[test]
    fn a_log_level_has_the_names_that_the_file_takes_in_any_case() {
        for (text, expected) in [
            ("NOTSET", "Trace"),
            ("debug", "Debug"),
            ("Info", "Info"),
            ("WARN", "Warn"),
            ("WARNING", "Warn"),
            ("warning", "Warn"),
            ("Error", "Error"),
            ("CRITICAL", "Error"),
            ("critical", "Error"),
            ("Fatal", "Error"),
        ] {
            for name in ["MCP_LOG_LEVEL", "MCP_LOGGING_LEVEL"] {
                assert_eq!(of(&[(name, text)]).unwrap().value["logging"]["level"], expected, "{name}={text}");
            }
        }
    }

    #[test]
    fn the_exact_name_wins() {
        let overlay = of(&[("MCP_AUTH_MODE", "optional"), ("MCP_AUTH_ENABLED", "true")]).unwrap();
        assert_eq!(overlay.value["auth"]["mode"], "Optional");
    }

    #[test]
    fn mistakes_are_told_all_at_once() {
        let violations = of(&[("MCP_LOG_LEVEL", "loud"), ("MCP_HTTP_MAX_CONNECTIONS", "many")]).unwrap_err();
        let shown: Vec<_> = violations.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "MCP_LOG_LEVEL: is not a log level; the levels are Trace, Debug, Info, Warn, Error, and Python's NOTSET, WARNING, CRITICAL and FATAL",
                "MCP_HTTP_MAX_CONNECTIONS: is not a whole number",
            ]
        );
        assert_eq!(
            of(&[("MCP_LOGLEVEL", "x"), ("MCP_SERVICE_HOST", "10.0.0.1")]).unwrap().unknown,
            ["MCP_LOGLEVEL"]
        );
    }

    #[test]
    fn maps_merge_and_the_rest_is_replaced() {
        let mut below = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge(&mut below, json!({"a": {"c": [3]}, "e": {}}));
        assert_eq!(below, json!({"a": {"b": 1, "c": [3]}, "d": 1, "e": {}}));
    }
}
