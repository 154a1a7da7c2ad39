//! The file of API keys: `{"keys": [{"id": "ci", "key": "…"}]}`, or nothing but one key.

use std::collections::HashSet;

use serde::Deserialize;

use crate::auth::keyring::Key;

/// The id of a key that was given without one.
pub const DEFAULT_ID: &str = "default";

/// Why a text is no list of keys. Says nothing of what the keys are.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeysError {
    #[error("line {line}, column {column}: expected {{\"keys\": [{{\"id\": \"…\", \"key\": \"…\"}}]}}")]
    Shape { line: usize, column: usize },
    #[error("keys[{0}] has no id")]
    NoId(usize),
    #[error(
        "keys[{index}] (id {id:?}) is not usable: a key is 1 to 4096 visible ASCII characters without spaces"
    )]
    BadKey { index: usize, id: String },
    #[error("two keys have the id {0:?}")]
    SameId(String),
    #[error("two ids ({0:?} and {1:?}) have the same key")]
    SameKey(String, String),
}

// An unknown member may restrict a key (an expiry, a scope) in a later version: a server that ignored it would let in
// whom it should not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    key: String,
}

/// Reads keys. A text that does not begin like JSON is one key, whose id is `default`.
///
/// # Errors
/// Where it is neither, or ids or keys are not unique.
pub fn parse(text: &str) -> Result<Vec<Key>, KeysError> {
    let text = text.trim();
    let entries = if text.starts_with(['{', '[', '"']) {
        let file: File = serde_json::from_str(text)
            .map_err(|error| KeysError::Shape { line: error.line(), column: error.column() })?;
        file.keys
    } else {
        vec![Entry { id: DEFAULT_ID.to_owned(), key: text.to_owned() }]
    };
    let mut ids = HashSet::new();
    for (index, entry) in entries.iter().enumerate() {
        if entry.id.trim().is_empty() {
            return Err(KeysError::NoId(index));
        }
        let visible = entry.key.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=4096).contains(&entry.key.len()) {
            return Err(KeysError::BadKey { index, id: entry.id.clone() });
        }
        if !ids.insert(&entry.id) {
            return Err(KeysError::SameId(entry.id.clone()));
        }
        if let Some(other) = entries[..index].iter().find(|other| other.key == entry.key) {
            return Err(KeysError::SameKey(other.id.clone(), entry.id.clone()));
        }
    }
    Ok(entries.into_iter().map(|entry| Key::new(entry.id, entry.key)).collect())
}

/// The text of a file with one key.
#[must_use]
pub fn render(id: &str, key: &str) -> String {
    let mut text = format!("{:#}", serde_json::json!({"keys": [{"id": id, "key": key}]}));
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn reads_both_shapes() {
        let ids = |text| parse(text).unwrap().into_iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(ids(r#"{"keys":[{"id":"ci","key":"a"},{"id":"ops","key":"b"}]}"#), ["ci", "ops"]);
        assert_eq!(ids(r#"{"keys":[]}"#), Vec::<String>::new());
        assert_eq!(ids("just-a-key\n"), ["default"]);
        let key = &parse(&render("x", "k-1")).unwrap()[0];
        assert_eq!((key.id.as_str(), key.key.expose_secret()), ("x", "k-1"));
    }

    #[test]
    fn refuses_without_telling_the_key() {
        for text in [
            "",
            "two words",
            "{",
            "[]",
            r#"{"keys":{}}"#,
            r#"{"keys":[{"id":"a","key":"canary","expires":"tomorrow"}]}"#,
            r#"{"keys":[{"id":" ","key":"canary"}]}"#,
            r#"{"keys":[{"id":"a","key":""}]}"#,
            r#"{"keys":[{"id":"a","key":"canary\n"}]}"#,
            r#"{"keys":[{"id":"a","key":"canary"},{"id":"a","key":"x"}]}"#,
            r#"{"keys":[{"id":"a","key":"canary"},{"id":"b","key":"canary"}]}"#,
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
