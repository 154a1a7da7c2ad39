//! Documents for tests, made from the types.

use mcp_server_config::{ProcessConfig, ServiceConfig};
use serde_json::{Map, Value, json};

/// A document in which every setting is set, to something of the right type.
fn sample(schema: &Value, root: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        return sample(root.pointer(name.trim_start_matches('#')).unwrap(), root);
    }
    for kind in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[kind].as_array().and_then(|parts| parts.first()) {
            return first.get("const").cloned().unwrap_or_else(|| sample(first, root));
        }
    }
    if let Some(word) = schema["enum"].as_array().and_then(|words| words.first()) {
        return word.clone();
    }
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    match schema["type"].as_str().or_else(|| schema["type"][0].as_str()) {
        Some("object") if schema["properties"].is_object() => {
            let mut members = Map::new();
            for (name, property) in schema["properties"].as_object().unwrap() {
                members.insert(name.clone(), sample(property, root));
            }
            if members.contains_key("secretKeyRef") {
                return json!({"value": "x"});
            }
            Value::Object(members)
        }
        Some("array") => json!([sample(&schema["items"], root)]),
        Some("string") if pattern.contains("ms)") => json!("5s"),
        Some("string") if pattern.contains("Ki") => json!("1Mi"),
        Some("string") => json!("x"),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        _ => json!({"type": "object", "properties": {"x": {"type": "string", "pattern": "x"}}}),
    }
}

/// All settings of a file.
pub(crate) fn whole() -> Value {
    let mut whole = json!({});
    for schema in [schemars::schema_for!(ServiceConfig), schemars::schema_for!(ProcessConfig)] {
        let Value::Object(members) = sample(schema.as_value(), schema.as_value()) else {
            panic!("a section")
        };
        for (key, value) in members {
            match (whole.get_mut(&key).and_then(Value::as_object_mut), value) {
                (Some(before), Value::Object(more)) => before.extend(more),
                (_, value) => {
                    whole[key] = value;
                }
            }
        }
    }
    whole
}
