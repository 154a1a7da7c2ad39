//! Fills text templates with arguments.
//!
//! Arguments are read from the JSON that the client sent, not from parsed values: a number of thirty digits appears with
//! all thirty, and an object as it was written.

use std::borrow::Cow;
use std::fmt;

use mcp_server_config::compile::{Part, Template};
use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::{self, MAX_RESULT};
use crate::backend::Answer;

/// Answers with the text, or with an error that names every argument that is missing. `parsed` are the same arguments,
/// where somebody had to parse them: strings are taken from there.
pub(super) fn fill(template: &Template, arguments: &str, parsed: Option<&Value>) -> Answer {
    let mut filled = String::with_capacity(arguments.len());
    let mut missing: Vec<String> = Vec::new();
    for part in template.parts() {
        let names = match part {
            Part::Literal(text) => {
                filled.push_str(text);
                continue;
            }
            Part::Argument(names) => names,
        };
        if let Some(text) = parsed.and_then(|parsed| string(parsed, names)) {
            filled.push_str(text);
        } else if let Some(json) = find(arguments, names) {
            push(&mut filled, json);
        } else {
            let name = names.join(".");
            if !missing.contains(&name) {
                missing.push(name);
            }
        }
        if filled.len() > MAX_RESULT {
            return answer::too_large(MAX_RESULT);
        }
    }
    if missing.is_empty() {
        return answer::text(&filled, MAX_RESULT);
    }
    answer::error(&format!("Missing arguments: {}. Call the tool again with them.", missing.join(", ")))
}

/// The argument below `names`, where it is a string.
fn string<'a>(arguments: &'a Value, names: &[String]) -> Option<&'a str> {
    names.iter().try_fold(arguments, |value, name| value.get(name))?.as_str()
}

/// The JSON of the argument below `names`, as it was written.
pub(super) fn find<'a>(arguments: &'a str, names: &[String]) -> Option<&'a str> {
    names.iter().try_fold(arguments, |json, name| match json.trim_start().as_bytes().first() {
        Some(b'{') => {
            let found = serde_json::Deserializer::from_str(json).deserialize_map(Member(name)).ok()?;
            found.map(RawValue::get)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            name.parse().ok().and_then(|index: usize| items.get(index).copied()).map(RawValue::get)
        }
        _ => None,
    })
}

/// Finds the member of this name, and makes nothing of the others.
struct Member<'n>(&'n str);

/// A key, borrowed unless it is escaped.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        // To the end, where the parser expects its reader; the guard at the door has refused a key that comes twice.
        while let Some(Key(key)) = map.next_key()? {
            if key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A string appears without its quotes, anything else as JSON.
fn push(filled: &mut String, json: &str) {
    if json.starts_with('"')
        && let Ok(text) = serde_json::from_str::<String>(json)
    {
        filled.push_str(&text);
    } else {
        filled.push_str(json);
    }
}
