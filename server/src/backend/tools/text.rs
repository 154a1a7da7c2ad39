//! Fills text templates with arguments.
//!
//! Arguments are read from the JSON that the client sent, not from parsed values: a number of thirty digits appears with
//! all thirty, and an object as it was written.

use std::collections::BTreeMap;

use mcp_server_config::compile::{Part, Template};
use serde_json::value::RawValue;

use super::answer::{self, MAX_RESULT};
use crate::backend::Answer;

/// Answers with the text, or with an error that names every argument that is missing.
pub(super) fn fill(template: &Template, arguments: &str) -> Answer {
    let mut filled = String::new();
    let mut missing: Vec<String> = Vec::new();
    for part in template.parts() {
        match part {
            Part::Literal(text) => filled.push_str(text),
            Part::Argument(names) => match find(arguments, names) {
                Some(json) => push(&mut filled, json),
                None => {
                    let name = names.join(".");
                    if !missing.contains(&name) {
                        missing.push(name);
                    }
                }
            },
        }
        if filled.len() > MAX_RESULT {
            return answer::too_large();
        }
    }
    if missing.is_empty() {
        return answer::text(&filled);
    }
    answer::error(&format!("Missing arguments: {}. Call the tool again with them.", missing.join(", ")))
}

/// The JSON of the argument below `names`, as it was written.
pub(super) fn find<'a>(arguments: &'a str, names: &[String]) -> Option<&'a str> {
    names.iter().try_fold(arguments, |json, name| match json.trim_start().as_bytes().first() {
        Some(b'{') => {
            let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
            fields.remove(name).map(RawValue::get)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            name.parse().ok().and_then(|index: usize| items.get(index).copied()).map(RawValue::get)
        }
        _ => None,
    })
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
