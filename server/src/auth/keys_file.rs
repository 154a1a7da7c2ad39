//! The file of API keys, `{"keys": [{"id": "ci", "sha256": "…"}]}`, or nothing but one key.

use std::collections::HashSet;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::auth::fingerprint::Fingerprint;
use crate::auth::keyring::Key;
use crate::auth::principal::Limit;

/// The id of a key that was given without one.
pub const DEFAULT_ID: &str = "default";

/// Why a text is no list of keys. Says nothing of what the keys are.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeysError {
    #[error("line {line}, column {column}: expected {{\"keys\": [{{\"id\": \"…\", \"sha256\": \"…\"}}]}}")]
    Shape { line: usize, column: usize },
    #[error(
        "line {line}, column {column}: unknown member {name:?}; the file has keys, and a key has id, sha256, key, scopes, expires and limits"
    )]
    Member { line: usize, column: usize, name: String },
    #[error(
        "it holds neither a list, {{\"keys\": [{{\"id\": \"…\", \"sha256\": \"…\"}}]}}, nor a single key of 1 to 4096 visible ASCII characters without spaces"
    )]
    Neither,
    #[error("keys[{0}] has no id")]
    NoId(usize),
    #[error("keys[{0}] has an id of more than 256 characters, or with control characters in it")]
    BadId(usize),
    #[error("keys[{index}] (id {id:?}) has both key and sha256, or neither; set one of them")]
    OneOf { index: usize, id: String },
    #[error(
        "keys[{index}] (id {id:?}) is not usable: a key is 1 to 4096 visible ASCII characters without spaces"
    )]
    BadKey { index: usize, id: String },
    #[error("keys[{index}] (id {id:?}) has a sha256 that is not 32 bytes in hexadecimal or base64")]
    BadDigest { index: usize, id: String },
    #[error("keys[{index}] (id {id:?}) expires at no time; write one as in 2027-01-31T00:00:00Z")]
    BadExpiry { index: usize, id: String },
    #[error("keys[{index}] (id {id:?}) has an empty scope, or one with a space in it")]
    BadScope { index: usize, id: String },
    #[error("keys[{index}] (id {id:?}) has a limit of 0; set expires, or remove the key")]
    BadLimit { index: usize, id: String },
    #[error("two keys have the id {0:?}")]
    SameId(String),
    #[error("two ids ({0:?} and {1:?}) have the same key")]
    SameKey(String, String),
}

/// The file as it is written.
// An unknown member may restrict a key in a later version: a server that ignored it would let in whom it should not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub keys: Vec<Entry>,
}

/// One key as it is written.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// How often a caller may ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Reads keys. A text that does not begin like JSON is one key, whose id is `default`.
///
/// # Errors
/// Where it is neither, or ids or keys are not unique.
pub fn parse(text: &str) -> Result<Vec<Key>, KeysError> {
    let text = text.trim();
    if text.starts_with(['{', '[', '"']) {
        return read(text).and_then(|file| check(&file));
    }
    check(&bare(text)?)
}

/// The list with nothing but one key, given by itself.
///
/// # Errors
/// Where the text is no key.
pub fn bare(text: &str) -> Result<File, KeysError> {
    let file = File { keys: vec![Entry { key: Some(text.to_owned()), ..Entry::named(DEFAULT_ID) }] };
    check(&file).map(|_| file).map_err(|_| KeysError::Neither)
}

/// Reads the file as it is written.
///
/// # Errors
/// Where it has another shape.
pub fn read(text: &str) -> Result<File, KeysError> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match unknown_member(&error.to_string()) {
            Some(name) => KeysError::Member { line, column, name },
            None => KeysError::Shape { line, column },
        }
    })
}

/// The member that a message of the parser complains of. One that may be a key in the wrong place is not repeated.
fn unknown_member(message: &str) -> Option<String> {
    let name = message.strip_prefix("unknown field `")?.split('`').next()?;
    let word = name.len() <= 24 && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'-');
    word.then(|| name.to_owned())
}

/// The keys of a file, if all of them are good.
///
/// # Errors
/// With the first one that is not.
pub fn check(file: &File) -> Result<Vec<Key>, KeysError> {
    let mut ids = HashSet::new();
    let mut keys: Vec<Key> = Vec::with_capacity(file.keys.len());
    for (index, entry) in file.keys.iter().enumerate() {
        let key = entry.check(index)?;
        if !ids.insert(&entry.id) {
            return Err(KeysError::SameId(entry.id.clone()));
        }
        if let Some(other) = keys.iter().find(|other| other.fingerprint == key.fingerprint) {
            return Err(KeysError::SameKey(other.id.clone(), entry.id.clone()));
        }
        keys.push(key);
    }
    Ok(keys)
}

impl Entry {
    /// An entry without a key.
    #[must_use]
    pub fn named(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    fn check(&self, index: usize) -> Result<Key, KeysError> {
        if self.id.trim().is_empty() {
            return Err(KeysError::NoId(index));
        }
        if self.id.chars().count() > 256 || self.id.chars().any(char::is_control) {
            return Err(KeysError::BadId(index));
        }
        let id = || self.id.clone();
        let key = match (&self.key, &self.sha256) {
            (Some(key), None) => {
                let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
                if !visible || !(1..=4096).contains(&key.len()) {
                    return Err(KeysError::BadKey { index, id: id() });
                }
                Key::new(id(), key.as_str())
            }
            (None, Some(digest)) => {
                let fingerprint = Fingerprint::parse(digest.trim())
                    .ok_or_else(|| KeysError::BadDigest { index, id: id() })?;
                Key::hashed(id(), fingerprint)
            }
            (None, None) | (Some(_), Some(_)) => return Err(KeysError::OneOf { index, id: id() }),
        };
        if self.scopes.iter().any(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
            return Err(KeysError::BadScope { index, id: id() });
        }
        let expires = match &self.expires {
            Some(text) => Some(timestamp(text).ok_or_else(|| KeysError::BadExpiry { index, id: id() })?),
            None => None,
        };
        let limit = self
            .limits
            .map(|limits| Limit { requests_per_minute: limits.requests_per_minute, burst: limits.burst });
        if limit.is_some_and(|limit| limit.requests_per_minute == Some(0) || limit.burst == Some(0)) {
            return Err(KeysError::BadLimit { index, id: id() });
        }
        Ok(Key { scopes: self.scopes.clone(), expires, limit, ..key })
    }
}

/// A time as RFC 3339 writes it.
#[must_use]
pub fn timestamp(text: &str) -> Option<SystemTime> {
    text.trim().parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

/// The text of a file with one key, in clear: this user's other programs are to find it.
#[must_use]
pub fn render(id: &str, key: &str) -> String {
    write(&File { keys: vec![Entry { key: Some(key.to_owned()), ..Entry::named(id) }] })
}

/// The text of a file.
#[must_use]
pub fn write(file: &File) -> String {
    let mut text = serde_json::to_string_pretty(file).expect("a file of keys is JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn reads_both_shapes() {
        let ids = |text| parse(text).unwrap().into_iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(ids(r#"{"keys":[{"id":"ci","key":"a"},{"id":"ops","key":"b"}]}"#), ["ci", "ops"]);
        assert_eq!(ids(r#"{"keys":[]}"#), Vec::<String>::new());
        assert_eq!(ids("just-a-key\n"), ["default"]);
        let key = &parse(&render("x", "k-1")).unwrap()[0];
        assert_eq!((key.id.as_str(), key.plain.as_ref().unwrap().expose_secret()), ("x", "k-1"));
    }

    #[test]
    fn reads_everything_that_is_known_of_a_key() {
        let text = r#"{"keys":[{"id":"ci","sha256":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","scopes":["read"],
            "expires":"2027-01-31T00:00:00Z","limits":{"requestsPerMinute":6,"burst":2}}]}"#;
        let key = &parse(text).unwrap()[0];
        assert!(key.plain.is_none() && key.fingerprint == Fingerprint::of(b"abc"));
        assert_eq!(key.scopes, ["read"]);
        let seconds = key.expires.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds, 1_801_353_600);
        assert_eq!(key.limit, Some(Limit { requests_per_minute: Some(6), burst: Some(2) }));
        assert_eq!(parse(&write(&read(text).unwrap())).unwrap().len(), 1);
    }

    #[test]
    fn says_what_was_not_understood() {
        for (text, expected) in [
            (r#"{"keys":[{"id":"a","key":"b","colour":"red"}]}"#, ": unknown member \"colour\""),
            (r#"{"key":[]}"#, "unknown member \"key\""),
            (r#"{"keys":[{"key":"b"}]}"#, "expected {\"keys\": ["),
            ("two words", "it holds neither a list"),
            ("keys:\n- id: a\n", "it holds neither a list"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        // It may be a key.
        let error = parse(r#"{"Zm9vYmFyYmF6cXV4cXV1eHF1dXV4cXV1dXV4":"ci"}"#).unwrap_err().to_string();
        assert!(!error.contains("Zm9v"), "{error}");
    }

    #[test]
    fn refuses_without_telling_the_key() {
        let hex = Fingerprint::of(b"canary").to_hex();
        for text in [
            "",
            "two words",
            "{",
            "[]",
            r#"{"keys":{}}"#,
            r#"{"keys":[{"id":"a","key":"canary","admin":true}]}"#,
            r#"{"keys":[{"id":"a","key":"canary","expires":"tomorrow"}]}"#,
            r#"{"keys":[{"id":"a","key":"canary","scopes":["a b"]}]}"#,
            r#"{"keys":[{"id":"a","key":"canary","limits":{"requestsPerMinute":0}}]}"#,
            r#"{"keys":[{"id":"a","key":"canary","limits":{"perDay":1}}]}"#,
            r#"{"keys":[{"id":"a"}]}"#,
            r#"{"keys":[{"id":"a","sha256":"canary"}]}"#,
            &format!(r#"{{"keys":[{{"id":"a","key":"canary","sha256":"{hex}"}}]}}"#),
            r#"{"keys":[{"id":" ","key":"canary"}]}"#,
            r#"{"keys":[{"id":"a\n","key":"canary"}]}"#,
            r#"{"keys":[{"id":"a","key":""}]}"#,
            r#"{"keys":[{"id":"a","key":"canary\n"}]}"#,
            r#"{"keys":[{"id":"a","key":"canary"},{"id":"a","key":"x"}]}"#,
            r#"{"keys":[{"id":"a","key":"canary"},{"id":"b","key":"canary"}]}"#,
            &format!(r#"{{"keys":[{{"id":"a","key":"canary"}},{{"id":"b","sha256":"{hex}"}}]}}"#),
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
