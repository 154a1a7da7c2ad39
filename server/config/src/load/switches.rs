//! Words that YAML does not read as words: `On`, `Off`, `Yes` and `No` are true and false to it, unless they are quoted.

use serde_json::{Value, json};

use crate::{Path, Violation};

/// Every setting of which one value is `Off`, with its values.
const SWITCHES: [(&str, &[&str]); 7] = [
    ("cache.mode", &["On", "Off"]),
    ("logging.requests.mode", &["Off", "Errors", "All"]),
    ("metrics.mode", &["On", "Off"]),
    ("metrics.otlp.traces", &["On", "Off"]),
    ("performance.batching.mode", &["On", "Off"]),
    ("performance.shedding", &["Adaptive", "Off"]),
    ("rateLimit.mode", &["Enforce", "Report", "Off"]),
];

/// Takes true and false for the words that they stand for. A cluster would refuse them in a resource, and so they are
/// refused there; and where there is no `On`, nobody can know what true was to mean. What is refused is taken out.
pub(super) fn read(document: &mut Value, of_resource: bool) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (dotted, words) in SWITCHES {
        let (section, name) = dotted.rsplit_once('.').expect("every switch is in a section");
        let pointer = format!("/{}", section.replace('.', "/"));
        let Some(map) = document.pointer_mut(&pointer).and_then(Value::as_object_mut) else { continue };
        let Some(given) = map.get(name).and_then(Value::as_bool) else { continue };
        let word = if given { "On" } else { "Off" };
        if words.contains(&word) && !of_resource {
            map.insert(name.to_owned(), json!(word));
            continue;
        }
        map.remove(name);
        let message = if words.contains(&word) {
            format!("YAML reads {word} as {given}; write \"{word}\", with the quotes")
        } else {
            format!("{given} is not one of {}", words.join(", "))
        };
        violations.push(Violation { path: Path::of(dotted), message });
    }
    violations
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ServiceConfig;

    /// Paths in the schema of which one value is `Off`.
    fn of_schema(schema: &Value, definitions: &Value, path: &str, found: &mut BTreeSet<String>) {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
            return of_schema(&definitions[name], definitions, path, found);
        }
        if schema["enum"].as_array().is_some_and(|words| words.contains(&json!("Off"))) {
            found.insert(path.to_owned());
        }
        for kind in ["anyOf", "allOf", "oneOf"] {
            for part in schema[kind].as_array().into_iter().flatten() {
                of_schema(part, definitions, path, found);
            }
        }
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            of_schema(property, definitions, &below, found);
        }
        if schema["items"].is_object() {
            of_schema(&schema["items"], definitions, &format!("{path}[]"), found);
        }
    }

    #[test]
    fn no_switch_of_the_schema_is_forgotten() {
        let schema = serde_json::to_value(schemars::schema_for!(ServiceConfig)).unwrap();
        let mut found = BTreeSet::new();
        of_schema(&schema, &schema["$defs"], "", &mut found);
        assert_eq!(found, SWITCHES.iter().map(|(path, _)| (*path).to_owned()).collect());
    }
}
