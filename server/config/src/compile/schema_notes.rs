//! Schemas that are valid and that no value, or no call without the argument, can satisfy.

use serde_json::{Map, Value};

use super::schema::{DATA, NAMED};
use super::shape::whole;
use crate::path::Path;
use crate::validate::Violation;

/// The most notes of one schema.
const MOST: usize = 20;

/// Notes every `enum`, `const` and `default` in a schema that does not fit the `type` beside it.
pub(super) fn notes(schema: &Map<String, Value>, path: &Path, notes: &mut Vec<Violation>) {
    let most = notes.len() + MOST;
    each_schema(schema, path, &mut |schema, path| {
        let Some(types) = types(schema) else { return };
        let mut misfit = |value: &Value, path: Path, consequence: &str| {
            if notes.len() < most && !types.iter().any(|name| fits(value, name)) {
                notes.push(Violation { path, message: message(value, &types, consequence) });
            }
        };
        for (index, value) in schema.get("enum").and_then(Value::as_array).into_iter().flatten().enumerate() {
            misfit(value, path.key("enum").index(index), "no argument can be both");
        }
        if let Some(value) = schema.get("const") {
            misfit(value, path.key("const"), "no argument can be both");
        }
        if let Some(value) = schema.get("default") {
            misfit(value, path.key("default"), "a call that leaves the argument out is refused");
        }
    });
}

fn message(value: &Value, types: &[&str], consequence: &str) -> String {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let next = match value {
        Value::Bool(_) if types.contains(&"string") => {
            "put the word in quotes, for YAML reads y, n, yes, no, on and off without them as true and false"
        }
        Value::Number(_) if types.contains(&"string") => "put it in quotes",
        _ => "correct the value or the type",
    };
    format!("is {kind}, and the type is {}: {consequence}; {next}", types.join(" or "))
}

/// What `type` says, if it says anything.
fn types(schema: &Map<String, Value>) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn fits(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64() || (value.is_f64() && whole(value).is_some()),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        // A type that does not exist is refused elsewhere.
        _ => true,
    }
}

/// Visits a schema and those in it.
fn each_schema(schema: &Map<String, Value>, path: &Path, visit: &mut dyn FnMut(&Map<String, Value>, &Path)) {
    visit(schema, path);
    for (keyword, value) in schema.iter().filter(|(keyword, _)| !DATA.contains(&keyword.as_str())) {
        let path = path.key(keyword);
        match value {
            Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                for (name, schema) in named {
                    schema
                        .as_object()
                        .into_iter()
                        .for_each(|schema| each_schema(schema, &path.key(name), visit));
                }
            }
            Value::Object(schema) => each_schema(schema, &path, visit),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.as_object()
                        .into_iter()
                        .for_each(|item| each_schema(item, &path.index(index), visit));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(schema: &Value) -> Vec<String> {
        let mut found = Vec::new();
        notes(schema.as_object().unwrap(), &Path::of("s"), &mut found);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_that_their_type_never_has_are_told() {
        let schema = json!({"type": "object", "properties": {
            "state": {"type": "string", "enum": [true, "off"]},
            "type": {"type": ["integer", "null"], "default": 1.5},
            "list": {"type": "array", "items": {"anyOf": [{"type": "string", "const": 5}]}}
        }});
        assert_eq!(
            of(&schema),
            [
                "s.properties.list.items.anyOf[0].const: is a number, and the type is string: no argument can be both; put it in quotes",
                "s.properties.state.enum[0]: is true or false, and the type is string: no argument can be both; put the word in quotes, for YAML reads y, n, yes, no, on and off without them as true and false",
                "s.properties.type.default: is a number, and the type is integer or null: a call that leaves the argument out is refused; correct the value or the type",
            ]
        );
    }

    #[test]
    fn values_that_fit_are_not_told_of() {
        let schema = json!({"type": "object", "default": {}, "properties": {
            "a": {"type": "string", "enum": ["on", "off"], "default": "on"},
            "b": {"type": "integer", "default": 2.0, "enum": [1, 2]},
            "c": {"type": ["number", "null"], "default": null},
            "d": {"enum": [true, "x"], "default": 5},
            "e": {"type": "object", "default": {"type": "string", "default": 5}}
        }});
        assert_eq!(of(&schema), [""; 0]);
    }
}
