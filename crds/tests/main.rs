//! The schema as an API server sees it, without one: `schema` asks every field for a description and a bound, `accept`
//! says what is refused and with which words, `examples` takes the repository's own resources, `settings` reads the page of settings.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests may, and clippy knows only marked functions as tests"
)]

mod accept;
mod examples;
mod schema;
mod settings;

use std::sync::LazyLock;

use kube::core::cel;
use serde_json::Value;

/// The schema of `v1alpha1`.
fn root() -> Value {
    let crd = mcp_crds::crd();
    let version = crd.spec.versions.first().expect("there is one version");
    assert_eq!(version.name, mcp_crds::VERSION);
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    serde_json::to_value(schema.expect("the version has a schema")).unwrap()
}

/// The part of a schema at a dotted path; `[]` stands for the items of a list.
fn at<'a>(schema: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(schema, |schema, step| match step.strip_suffix("[]") {
        Some(field) => &schema["properties"][field]["items"],
        None => &schema["properties"][step],
    })
}

/// What stands at the door of an API server.
struct Door {
    schema: Value,
    bounds: jsonschema::Validator,
    rules: cel::CompiledSchema,
}

static DOOR: LazyLock<Door> = LazyLock::new(|| {
    let mut schema = root();
    let rules = cel::compile_schema(&schema);
    // An API server knows `metadata` by itself.
    schema["properties"]["metadata"] = serde_json::json!({"type": "object"});
    Door { bounds: jsonschema::draft202012::new(&schema).unwrap(), rules, schema }
});

/// What an API server would say of an object: the bounds of the schema, then its rules. Empty: it takes the object.
fn refusals(object: &Value) -> Vec<String> {
    let (pruned, _) = prune(&DOOR.schema, object, "");
    let bounds: Vec<String> =
        DOOR.bounds.iter_errors(&pruned).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if !bounds.is_empty() {
        return bounds;
    }
    match cel::Validator::new().validate_compiled(&DOOR.rules, &pruned, None) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The object as it would be stored, and the paths of what was dropped because the schema does not know it.
fn prune(schema: &Value, object: &Value, path: &str) -> (Value, Vec<String>) {
    let mut dropped = Vec::new();
    let value = match object {
        Value::Object(map) => {
            let open = schema["x-kubernetes-preserve-unknown-fields"] == true || path == ".metadata";
            let mut kept = serde_json::Map::new();
            for (key, value) in map {
                let path = format!("{path}.{key}");
                let known = schema["properties"]
                    .get(key)
                    .or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()));
                match known {
                    Some(schema) => {
                        let (value, below) = prune(schema, value, &path);
                        dropped.extend(below);
                        kept.insert(key.clone(), value);
                    }
                    None if open || matches!(path.as_str(), ".apiVersion" | ".kind" | ".metadata") => {
                        kept.insert(key.clone(), value.clone());
                    }
                    None => dropped.push(path),
                }
            }
            Value::Object(kept)
        }
        Value::Array(items) => {
            let mut kept = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let (item, below) = prune(&schema["items"], item, &format!("{path}[{index}]"));
                dropped.extend(below);
                kept.push(item);
            }
            Value::Array(kept)
        }
        scalar => scalar.clone(),
    };
    (value, dropped)
}
