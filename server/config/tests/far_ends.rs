//! The bounds that the documentation of a setting names are the bounds that are in force: both ends are accepted, and what
//! lies beyond them is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;

use mcp_server_config::{ByteSize, Duration, Origin, Path, ProcessConfig, ServiceConfig, load, validate};
use serde_json::{Value, json};

use support::whole;

mod support;

/// A setting with bounds.
#[derive(Debug)]
struct Bounded {
    low: Value,
    high: Value,
    /// What lies beyond; absent where it cannot be written down.
    below: Option<Value>,
    above: Value,
}

/// The values that a description names as bounds, as in "1ms to 10m" or "between 1Ki and 16Mi".
fn bounded(schema: &Value) -> Option<Bounded> {
    let description = schema["description"].as_str()?;
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    let words: Vec<_> = description
        .split_whitespace()
        .map(|word| word.trim_matches([',', ';', '.', ':', '(', ')']))
        .collect();
    words.windows(3).find_map(|words| {
        let [low, "to" | "and", high] = words else { return None };
        if pattern.contains("ms)") {
            let (low, high) = (low.parse::<Duration>().ok()?, high.parse::<Duration>().ok()?);
            let below = low.as_millis().checked_sub(1).map(|millis| json!(Duration::from_millis(millis)));
            let above = json!(Duration::from_millis(high.as_millis() + 1));
            Some(Bounded { low: json!(low), high: json!(high), below, above })
        } else if pattern.contains("Ki") {
            let (low, high) = (low.parse::<ByteSize>().ok()?, high.parse::<ByteSize>().ok()?);
            let below = low.as_bytes().checked_sub(1).map(|bytes| json!(ByteSize::from_bytes(bytes)));
            let above = json!(ByteSize::from_bytes(high.as_bytes() + 1));
            Some(Bounded { low: json!(low), high: json!(high), below, above })
        } else if schema["type"] == "integer" || schema["type"][0] == "integer" {
            let (low, high) = (low.parse::<u64>().ok()?, high.parse::<u64>().ok()?);
            let below = low.checked_sub(1).map(|number| json!(number));
            Some(Bounded { low: json!(low), high: json!(high), below, above: json!(high + 1) })
        } else {
            None
        }
    })
}

/// Every bounded setting, by its pointer in a document that has one item in each list.
fn find(schema: &Value, root: &Value, at: &str, found: &mut BTreeMap<String, Bounded>) {
    if let Some(bounded) = bounded(schema) {
        found.insert(at.to_owned(), bounded);
        return;
    }
    if let Some(name) = schema["$ref"].as_str() {
        return find(root.pointer(name.trim_start_matches('#')).unwrap(), root, at, found);
    }
    for kind in ["anyOf", "oneOf", "allOf"] {
        schema[kind].as_array().into_iter().flatten().for_each(|part| find(part, root, at, found));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        find(property, root, &format!("{at}/{name}"), found);
    }
    if schema["items"].is_object() {
        find(&schema["items"], root, &format!("{at}/0"), found);
    }
}

/// The field that a pointer leads to.
fn path(pointer: &str) -> Path {
    pointer.split('/').skip(1).fold(Path::root(), |path, segment| match segment.parse() {
        Ok(index) => path.index(index),
        Err(_) => path.key(segment),
    })
}

/// What is said of a setting where it has this value.
fn said(pointer: &str, value: &Value) -> Vec<String> {
    let mut document = whole();
    *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not in the document")) =
        value.clone();
    let origin = Origin { name: "a.json".into(), text: document.to_string() };
    let all: Vec<_> = match load(&origin, []) {
        Ok(document) => document.problems(&validate(&document.config)),
        Err(error) => error.problems,
    };
    let of_it = all.into_iter().filter(|problem| problem.path == path(pointer));
    of_it.map(|problem| problem.to_string()).collect()
}

#[test]
fn both_ends_of_every_bounded_setting_are_accepted_and_nothing_beyond() {
    let mut found = BTreeMap::new();
    for schema in [schemars::schema_for!(ServiceConfig), schemars::schema_for!(ProcessConfig)] {
        find(schema.as_value(), schema.as_value(), "", &mut found);
    }
    assert!(found.len() > 30, "{:?}", found.keys());
    for (pointer, Bounded { low, high, below, above }) in found {
        for fits in [&low, &high] {
            assert_eq!(said(&pointer, fits), [""; 0], "{pointer} = {fits}");
        }
        for beyond in below.iter().chain([&above]) {
            assert!(!said(&pointer, beyond).is_empty(), "{pointer} = {beyond} is accepted");
        }
    }
}
