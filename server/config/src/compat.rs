//! The classic `production.json` in snake_case, key by key.
//!
//! A table, because units differ: `ttl_seconds: 3600` is not another spelling of `ttl: 1h`, it has to be converted.

use serde_json::{Map, Value, json};

use crate::{Path, Violation, path::Segment};

/// How a classic value becomes one of today.
#[derive(Clone, Copy, Debug)]
enum Conversion {
    /// The same value under another name.
    Same,
    /// A number of seconds, possibly a fraction, becomes a duration.
    Seconds,
    /// A number of MiB becomes a size.
    Mebibytes,
    /// true and false become two words.
    Switch(&'static str, &'static str),
    /// One word becomes another.
    Words(&'static [(&'static str, &'static str)]),
    /// A string becomes `{file: …}`.
    File,
    /// A string becomes `{value: …}`.
    Secret,
    /// A format in Python's %-style; a word of today's stays where it is.
    PythonFormat,
}

use Conversion::{File, Mebibytes, PythonFormat, Same, Seconds, Secret, Switch, Words};

/// Python's names of log levels, and ours. Python's CRITICAL is the most severe level that there is here, too.
pub(crate) const LEVELS: &[(&str, &str)] = &[
    ("NOTSET", "Trace"),
    ("TRACE", "Trace"),
    ("DEBUG", "Debug"),
    ("INFO", "Info"),
    ("WARN", "Warn"),
    ("WARNING", "Warn"),
    ("ERROR", "Error"),
    ("CRITICAL", "Error"),
    ("FATAL", "Error"),
];
const STORES: &[(&str, &str)] = &[("memory", "Memory"), ("redis", "Redis")];

/// Classic path, path of today, conversion.
const TABLE: &[(&str, &str, Conversion)] = &[
    ("server_name", "serverName", Same),
    ("server_version", "serverVersion", Same),
    ("metrics_interval", "metrics.interval", Seconds),
    ("auth.enabled", "auth.mode", Switch("Required", "Disabled")),
    ("auth.api_keys_file", "auth.apiKeys", File),
    ("auth.api_key", "auth.apiKey", Secret),
    ("auth.oauth2_auth_server", "auth.oauth2.issuer", Same),
    ("auth.oauth2_client_id", "auth.oauth2.introspection.clientID", Same),
    ("auth.oauth2_client_secret", "auth.oauth2.introspection.clientSecret", Secret),
    ("cache.enabled", "cache.mode", Switch("On", "Off")),
    ("cache.cache_type", "cache.store", Words(STORES)),
    ("cache.max_size", "cache.maxEntries", Same),
    ("cache.max_memory_mb", "cache.maxMemory", Mebibytes),
    ("cache.ttl_seconds", "cache.ttl", Seconds),
    ("cache.redis_url", "redis.url", Secret),
    ("rate_limit.enabled", "rateLimit.mode", Switch("Enforce", "Off")),
    ("rate_limit.requests_per_minute", "rateLimit.requestsPerMinute", Same),
    ("rate_limit.burst_size", "rateLimit.burst", Same),
    ("rate_limit.cleanup_interval", "rateLimit.cleanupInterval", Seconds),
    ("logging.level", "logging.level", Words(LEVELS)),
    ("logging.format", "logging.textFormat", PythonFormat),
    ("logging.json_format", "logging.format", Switch("JSON", "Text")),
    ("logging.file_path", "logging.file.path", Same),
    ("logging.max_file_size_mb", "logging.file.maxSize", Mebibytes),
    ("logging.backup_count", "logging.file.backups", Same),
    ("performance.max_concurrent_requests", "performance.maxConcurrentRequests", Same),
    ("performance.request_timeout", "performance.requestTimeout", Seconds),
    ("performance.thread_pool_size", "performance.threadPoolSize", Same),
    ("performance.connection_pool_size", "performance.connectionPoolSize", Same),
    ("performance.cache_ttl", "cache.ttl", Seconds),
    ("performance.enable_request_batching", "performance.batching.mode", Switch("On", "Off")),
    ("performance.batch_size", "performance.batching.maxSize", Same),
    ("performance.batch_timeout", "performance.batching.maxDelay", Seconds),
];

/// The file of keys that classic files name, and that is made with a key in it where it does not exist.
const KEYS_FILE: (&str, &str) = ("auth.api_keys_file", "config/api_keys.json");

/// What a classic server calls the file of its errors.
const ERRORS_FILE: &str = "errors.log";

/// Decides about several settings at once, so it is no row of the table.
const AUTH_TYPE: &str = "auth.auth_type";

/// Every classic key that is understood. For tests, which are to know each of them.
#[doc(hidden)]
pub fn keys() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(classic, ..)| *classic).chain([AUTH_TYPE])
}

/// A document in the keys of today.
#[derive(Debug, Default)]
pub struct Modern {
    pub value: Value,
    /// What was said under another name: (path of today, classic path).
    pub renamed: Vec<(Path, Path)>,
    /// What was dropped, and why.
    pub notes: Vec<String>,
    /// Values that cannot be converted, under the names as written. They are in the document no more.
    pub wrong: Vec<Violation>,
}

/// The path under which the user wrote what is now at `path`, given what was [`Modern::renamed`].
#[must_use]
pub fn written_as(renamed: &[(Path, Path)], path: &Path) -> Path {
    let classic = renamed.iter().find(|(today, _)| path.segments().starts_with(today.segments()));
    classic.map_or_else(|| path.clone(), |(_, classic)| classic.clone())
}

/// Whether `file` is what every classic configuration calls its keys file, in the classic spelling. Any other name is
/// somebody's own, and may be mistyped.
#[must_use]
pub fn is_classic_keys_file(renamed: &[(Path, Path)], file: Option<&str>) -> bool {
    let (classic, usual) = KEYS_FILE;
    file == Some(usual) && renamed.iter().any(|(_, written)| *written == Path::of(classic))
}

/// Converts every classic key of `document`; everything else stays as it is.
#[must_use]
pub fn modernise(mut document: Value) -> Modern {
    let mut modern = Modern::default();
    let uses_oauth = take_auth_type(&mut document, &mut modern.wrong);
    // Take everything out first: today's name of one key is the classic name of another (logging.format).
    let taken: Vec<_> = TABLE
        .iter()
        .filter_map(|(classic, today, conversion)| {
            let value = take(&mut document, classic, *conversion)?;
            Some((*classic, *today, *conversion, value))
        })
        .collect();
    for (classic, today, conversion, value) in taken {
        if value.is_null() || is_unset(conversion, &value) {
            continue;
        }
        if uses_oauth == Some(false) && today.starts_with("auth.oauth2") {
            modern.notes.push(format!("{classic} has no effect while auth.auth_type is \"api_key\""));
            continue;
        }
        // Who chose one way in did not choose the other beside it.
        if uses_oauth == Some(true) && ["auth.apiKeys", "auth.apiKey"].contains(&today) {
            modern.notes.push(format!("{classic} has no effect while auth.auth_type is \"oauth2\""));
            continue;
        }
        match convert(conversion, &value) {
            Ok(converted) => {
                if insert(&mut document, today, converted) {
                    modern.renamed.push((Path::of(today), Path::of(classic)));
                } else {
                    modern.notes.push(format!("{classic} has no effect: {today} is set by another key"));
                }
            }
            Err(wanted) => {
                let message = format!("is not {wanted}");
                modern.wrong.push(Violation { path: Path::of(classic), message });
            }
        }
    }
    if uses_oauth == Some(true) {
        insert(&mut document, "auth.oauth2", json!({}));
        modern.renamed.push((Path::of("auth.oauth2"), Path::of(AUTH_TYPE)));
    }
    if !modern.renamed.is_empty() {
        // The programs that read a classic log know Python's names.
        insert(&mut document, "logging.levelNames", json!("Python"));
    }
    remove_emptied(&mut document);
    modern.value = document;
    modern
}

/// The classic dataclasses write an empty string for a text that is not set.
fn is_unset(conversion: Conversion, value: &Value) -> bool {
    let is_text = matches!(conversion, Same | Words(_) | File | Secret | PythonFormat);
    is_text && value.as_str() == Some("")
}

/// Gives errors a file of their own beside the classic log file, as the classic server did. Called once the environment
/// is laid over the document, so that the file follows a log file that a variable has moved.
pub(crate) fn add_errors_file(document: &mut Value, renamed: &[(Path, Path)]) {
    let log = Path::of("logging.file.path");
    if !renamed.iter().any(|(today, _)| *today == log) {
        return;
    }
    let Some(path) = document.pointer("/logging/file/path").and_then(Value::as_str) else { return };
    let (directory, name) = path.rsplit_once('/').map_or(("", path), |(above, name)| (above, name));
    if name != ERRORS_FILE {
        let beside =
            if path.contains('/') { format!("{directory}/{ERRORS_FILE}") } else { ERRORS_FILE.into() };
        insert(document, "logging.file.errorsPath", json!(beside));
    }
}

/// Takes `auth.auth_type` out of the document: whether it says OAuth.
fn take_auth_type(document: &mut Value, violations: &mut Vec<Violation>) -> Option<bool> {
    let auth_type = document.get_mut("auth")?.as_object_mut()?.remove("auth_type")?;
    match auth_type.as_str() {
        Some("api_key") => Some(false),
        Some("oauth2") => Some(true),
        Some("") => None,
        _ if auth_type.is_null() => None,
        _ => {
            let message = "is not one of \"api_key\" and \"oauth2\"".to_owned();
            violations.push(Violation { path: Path::of(AUTH_TYPE), message });
            None
        }
    }
}

/// Takes the value of a classic key out of the document, unless it is already in today's words.
fn take(document: &mut Value, classic: &str, conversion: Conversion) -> Option<Value> {
    let path = Path::of(classic);
    let (Segment::Key(last), above) = path.segments().split_last()? else { return None };
    let mut map = document.as_object_mut()?;
    for segment in above {
        let Segment::Key(key) = segment else { return None };
        map = map.get_mut(key)?.as_object_mut()?;
    }
    let value = map.get(last)?;
    let of_today = match (conversion, value.as_str()) {
        (PythonFormat, Some(text)) => !text.is_empty() && !text.contains("%("),
        (Words(_), Some(text)) if classic == "logging.level" => {
            LEVELS.iter().any(|(_, today)| *today == text)
        }
        _ => false,
    };
    if of_today { None } else { map.remove(last) }
}

/// Puts a value where nothing is yet; false where something is.
fn insert(document: &mut Value, today: &str, value: Value) -> bool {
    let path = Path::of(today);
    let mut place = document;
    for segment in path.segments() {
        let Segment::Key(key) = segment else { return false };
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let Some(map) = place.as_object_mut() else { return false };
        place = map.entry(key.as_str()).or_insert(Value::Null);
    }
    if place.is_null() {
        *place = value;
        return true;
    }
    // A section made by its own fields is no conflict.
    place.is_object() && value == json!({})
}

/// A section of which nothing is left was a classic one.
fn remove_emptied(document: &mut Value) {
    if let Some(map) = document.as_object_mut() {
        map.retain(|key, value| !(key == "rate_limit" && value.as_object().is_some_and(Map::is_empty)));
    }
}

fn convert(conversion: Conversion, value: &Value) -> Result<Value, String> {
    match conversion {
        Same => Ok(value.clone()),
        Seconds => {
            let seconds = value.as_f64().filter(|s| (0.0..=359_996_400.0).contains(s));
            let seconds = seconds.ok_or("a number of seconds")?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
            let millis = (seconds * 1000.0).round() as u64;
            Ok(json!(crate::Duration::from_millis(millis)))
        }
        Mebibytes => {
            let mib = value.as_u64().filter(|mib| *mib <= 1 << 30).ok_or("a whole number of MiB")?;
            Ok(json!(crate::ByteSize::from_mib(mib)))
        }
        Switch(on, off) => {
            let on_or_off = value.as_bool().ok_or("true or false")?;
            Ok(json!(if on_or_off { on } else { off }))
        }
        Words(words) => {
            let word =
                value.as_str().and_then(|text| words.iter().find(|(old, _)| old.eq_ignore_ascii_case(text)));
            let allowed = || words.iter().map(|(old, _)| *old).collect::<Vec<_>>().join(", ");
            word.map(|(_, today)| json!(today)).ok_or_else(|| format!("one of {}", allowed()))
        }
        File => value.as_str().map(|path| json!({"file": path})).ok_or_else(|| "a path".to_owned()),
        Secret => value.as_str().map(|text| json!({"value": text})).ok_or_else(|| "a string".to_owned()),
        PythonFormat => value.as_str().map(|text| json!(text)).ok_or_else(|| "a format".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_converts() {
        let document = json!({
            "server_name": "n", "server_version": "v", "metrics_interval": 60,
            "auth": {"enabled": true, "api_keys_file": "config/api_keys.json", "api_key": "k", "auth_type": "api_key"},
            "cache": {"enabled": false, "cache_type": "redis", "max_size": 10, "max_memory_mb": 100,
                      "ttl_seconds": 3600, "redis_url": "redis://r"},
            "rate_limit": {"enabled": true, "requests_per_minute": 100, "burst_size": 10, "cleanup_interval": 300},
            "logging": {"level": "WARNING", "format": "%(message)s", "json_format": true, "file_path": "l",
                        "max_file_size_mb": 10, "backup_count": 5},
            "performance": {"max_concurrent_requests": 7, "request_timeout": 2.5, "thread_pool_size": 4,
                            "connection_pool_size": 5, "enable_request_batching": true, "batch_size": 6,
                            "batch_timeout": 0.1},
        });
        let modern = modernise(document);
        let expected = json!({
            "serverName": "n", "serverVersion": "v", "metrics": {"interval": "1m"},
            "auth": {"mode": "Required", "apiKeys": {"file": "config/api_keys.json"}, "apiKey": {"value": "k"}},
            "cache": {"mode": "Off", "store": "Redis", "maxEntries": 10, "maxMemory": "100Mi", "ttl": "1h"},
            "redis": {"url": {"value": "redis://r"}},
            "rateLimit": {"mode": "Enforce", "requestsPerMinute": 100, "burst": 10, "cleanupInterval": "5m"},
            "logging": {"level": "Warn", "textFormat": "%(message)s", "format": "JSON", "levelNames": "Python",
                        "file": {"path": "l", "maxSize": "10Mi", "backups": 5}},
            "performance": {"maxConcurrentRequests": 7, "requestTimeout": "2s500ms", "threadPoolSize": 4,
                            "connectionPoolSize": 5, "batching": {"mode": "On", "maxSize": 6, "maxDelay": "100ms"}},
        });
        assert_eq!(modern.value, expected);
        assert!(modern.notes.is_empty(), "{:?}", modern.notes);
        assert_eq!(written_as(&modern.renamed, &Path::of("metrics.interval")), Path::of("metrics_interval"));
    }

    #[test]
    fn today_s_words_stay() {
        let document = json!({"logging": {"level": "Info", "format": "Text"}, "serverName": "x"});
        assert_eq!(modernise(document.clone()).value, document);
    }

    #[test]
    fn a_wrong_value_names_its_classic_key() {
        let violations =
            modernise(json!({"auth": {"enabled": "yes", "auth_type": "saml"}, "cache": {"ttl_seconds": -1}}));
        let shown: Vec<_> = violations.wrong.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                r#"auth.auth_type: is not one of "api_key" and "oauth2""#,
                "auth.enabled: is not true or false",
                "cache.ttl_seconds: is not a number of seconds",
            ]
        );
    }

    #[test]
    fn oauth_fails_closed_and_leftovers_are_told() {
        let modern = modernise(json!({"auth": {"auth_type": "oauth2", "oauth2_client_id": "c"}}));
        assert_eq!(modern.value["auth"]["oauth2"]["introspection"]["clientID"], "c");
        assert_eq!(modernise(json!({"auth": {"auth_type": "oauth2"}})).value["auth"]["oauth2"], json!({}));
        let modern = modernise(json!({"auth": {"auth_type": "api_key", "oauth2_client_id": "c"}}));
        assert_eq!(modern.notes, ["auth.oauth2_client_id has no effect while auth.auth_type is \"api_key\""]);
        assert!(modern.value["auth"].get("oauth2").is_none());
        let modern = modernise(json!({"auth": {
            "auth_type": "oauth2", "api_keys_file": "config/api_keys.json", "api_key": "k",
        }}));
        assert_eq!(modern.value["auth"], json!({"oauth2": {}}));
        assert_eq!(
            modern.notes,
            [
                "auth.api_keys_file has no effect while auth.auth_type is \"oauth2\"",
                "auth.api_key has no effect while auth.auth_type is \"oauth2\""
            ]
        );
    }

    #[test]
    fn the_dataclasses_own_defaults_load() {
        let modern = modernise(json!({
            "auth": {"enabled": true, "auth_type": "", "api_keys_file": "config/api_keys.json", "api_key": "",
                     "oauth2_auth_server": "", "oauth2_client_id": "", "oauth2_client_secret": ""},
            "cache": {"enabled": true, "cache_type": "memory", "redis_url": ""},
            "logging": {"level": "", "format": "", "file_path": "", "json_format": true},
        }));
        assert!(modern.wrong.is_empty() && modern.notes.is_empty(), "{:?} {:?}", modern.wrong, modern.notes);
        let expected = json!({
            "auth": {"mode": "Required", "apiKeys": {"file": "config/api_keys.json"}},
            "cache": {"mode": "On", "store": "Memory"},
            "logging": {"format": "JSON", "levelNames": "Python"},
        });
        assert_eq!(modern.value, expected);
    }

    #[test]
    fn errors_have_a_file_beside_the_log() {
        let errors = |classic: &str, moved: Option<&str>| {
            let Modern { mut value, renamed, .. } = modernise(json!({"logging": {"file_path": classic}}));
            if let Some(moved) = moved {
                value["logging"]["file"]["path"] = json!(moved);
            }
            add_errors_file(&mut value, &renamed);
            value.pointer("/logging/file/errorsPath").cloned()
        };
        assert_eq!(errors("logs/production.log", None), Some(json!("logs/errors.log")));
        assert_eq!(errors("production.log", None), Some(json!("errors.log")));
        assert_eq!(errors("/production.log", None), Some(json!("/errors.log")));
        assert_eq!(errors("logs/production.log", Some("/tmp/x.log")), Some(json!("/tmp/errors.log")));
        assert_eq!(errors("logs/errors.log", None), None, "it is the log itself");
        assert_eq!(errors("", None), None, "there is no log file");
        let mut own = json!({"logging": {"file": {"path": "logs/a.log"}}});
        add_errors_file(&mut own, &[]);
        assert_eq!(own.pointer("/logging/file/errorsPath"), None, "today's spelling says it by itself");
    }

    #[test]
    fn two_keys_for_one_setting_are_told() {
        let modern = modernise(json!({"cache": {"ttl_seconds": 60}, "performance": {"cache_ttl": 30}}));
        assert_eq!(modern.value["cache"]["ttl"], "1m");
        assert_eq!(modern.notes, ["performance.cache_ttl has no effect: cache.ttl is set by another key"]);
    }
}
