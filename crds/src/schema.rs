//! Schemas by hand where the derive cannot know better, and the last touches to the whole.
//!
//! Types of Kubernetes embedded in ours lose their descriptions (`kubectl explain pod.spec…` has them, and together
//! they are several times the size of the rest), get a bound on the outer list, and keep the list-map keys that
//! they have upstream, so that two appliers can own different entries.

use k8s_openapi::{
    api::core::v1::{
        EnvFromSource, EnvVar, ResourceRequirements, Toleration, TopologySpreadConstraint, VolumeMount,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// A quantity as the API machinery writes it: what controller-gen puts into every schema.
const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// An embedded type of Kubernetes without its descriptions.
pub fn embedded<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator).to_value();
    strip(&mut schema);
    Schema::try_from(schema).expect("the schema of an object is an object")
}

/// A list of an embedded type: at most `max_items`, merged by `keys`, or replaced as a whole where there are none.
fn list<T: JsonSchema>(generator: &mut SchemaGenerator, max_items: usize, keys: &[&str]) -> Schema {
    let items = embedded::<T>(generator);
    if keys.is_empty() {
        return json_schema!({
            "type": "array", "maxItems": max_items, "items": items, "x-kubernetes-list-type": "atomic",
        });
    }
    json_schema!({
        "type": "array", "maxItems": max_items, "items": items,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys,
    })
}

pub(crate) fn env(generator: &mut SchemaGenerator) -> Schema {
    bounded(list::<EnvVar>(generator, 128, &["name"]), &[("name", 256), ("value", 65_536)])
}

pub(crate) fn env_from(generator: &mut SchemaGenerator) -> Schema {
    list::<EnvFromSource>(generator, 32, &[])
}

pub(crate) fn volume_mounts(generator: &mut SchemaGenerator) -> Schema {
    bounded(list::<VolumeMount>(generator, 32, &["mountPath"]), &[("name", 63), ("mountPath", 1024)])
}

pub(crate) fn tolerations(generator: &mut SchemaGenerator) -> Schema {
    list::<Toleration>(generator, 32, &[])
}

pub(crate) fn topology_spread_constraints(generator: &mut SchemaGenerator) -> Schema {
    bounded(
        list::<TopologySpreadConstraint>(generator, 8, &["topologyKey", "whenUnsatisfiable"]),
        &[("topologyKey", 317), ("whenUnsatisfiable", 32)],
    )
}

/// Resources without `claims`: device claims belong to a pod's `resourceClaims`, which ours do not have.
pub(crate) fn resources(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = embedded::<ResourceRequirements>(generator).to_value();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove("claims");
        for map in properties.values_mut().filter_map(Value::as_object_mut) {
            map.insert("maxProperties".into(), json!(16));
        }
    }
    Schema::try_from(schema).expect("the schema of an object is an object")
}

pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {
            "type": "string", "maxLength": 63, "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
        },
    })
}

pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 16384},
    })
}

pub(crate) fn number_or_percentage(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "minimum": 0,
        "maximum": 1000,
        "maxLength": 4,
        "pattern": "^(100|[1-9]?[0-9])%$",
    })
}

/// Conditions as the API conventions want them: one entry for each type.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "description": "What it speaks of. Example: Ready.",
                    "type": "string", "minLength": 1, "maxLength": 316,
                    "pattern": "^[A-Za-z]([A-Za-z0-9]*[A-Za-z0-9])?$",
                },
                "status": {
                    "description": "Whether it is so: True, False or Unknown.",
                    "type": "string", "maxLength": 7, "enum": ["True", "False", "Unknown"],
                },
                "reason": {
                    "description": "Why, in one word for programs. Example: ImagePull.",
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {
                    "description": "Why, in a sentence for people: what, where, and what to do next.",
                    "type": "string", "maxLength": 32768,
                },
                "lastTransitionTime": {
                    "description": "When the status last changed.",
                    "type": "string", "format": "date-time", "maxLength": 64,
                },
                "observedGeneration": {
                    "description": "The generation of the resource that this condition speaks of.",
                    "type": "integer", "format": "int64", "minimum": 0,
                },
            },
        },
    })
}

/// What the API server says of a resource that no operator has seen yet. Without it, tools that wait (kstatus, Argo
/// CD, helm --wait) would take a resource without any condition for finished.
pub(crate) fn unseen_status() -> Value {
    json!({"summary": "Not seen by the operator yet (see describe)", "conditions": [{
        "type": "Ready",
        "status": "Unknown",
        "reason": "Pending",
        "message": "The operator has not seen this resource yet; if this stays, see whether mcp-operator runs and watches this namespace.",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }]})
}

/// The last touches to the whole schema.
///
/// - No `nullable`: the API server then prunes nulls, and `has()` in a rule means what it says.
/// - No `null` among the values of an enumeration, for the same reason.
/// - No `title`: nothing shows it.
/// - Descriptions without the line breaks of the source: `kubectl explain` breaks lines itself.
pub(crate) fn in_order(schema: JSONSchemaProps) -> JSONSchemaProps {
    let mut value = serde_json::to_value(schema).expect("a schema is JSON");
    each_schema(&mut value, &mut |schema| {
        schema.remove("nullable");
        schema.remove("title");
        if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            values.retain(|value| !value.is_null());
        }
        if let Some(Value::String(text)) = schema.get_mut("description") {
            let paragraphs: Vec<String> =
                text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
            *text = paragraphs.join("\n\n");
        }
    });
    serde_json::from_value(value).expect("what was a schema before is one still")
}

/// Bounds on some string properties of a list's items.
fn bounded(list: Schema, bounds: &[(&str, usize)]) -> Schema {
    let mut list = list.to_value();
    for (property, max_length) in bounds {
        list["items"]["properties"][property]["maxLength"] = json!(max_length);
    }
    Schema::try_from(list).expect("the schema of a list is an object")
}

fn strip(schema: &mut Value) {
    each_schema(schema, &mut |schema| {
        schema.remove("description");
        if schema.contains_key("x-kubernetes-int-or-string") {
            schema.insert("anyOf".into(), json!([{"type": "integer"}, {"type": "string"}]));
            schema.insert("pattern".into(), json!(QUANTITY));
            schema.insert("maxLength".into(), json!(32));
        }
        if schema.get("type").and_then(Value::as_str) == Some("array") {
            schema.insert("x-kubernetes-list-type".into(), json!("atomic"));
        }
    });
}

/// Visits a schema and all schemas in it, and nothing that merely looks like one: a property may be called `items`
/// or `description`.
fn each_schema(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Some(object) = schema.as_object_mut() else { return };
    visit(object);
    for (keyword, value) in object.iter_mut() {
        match keyword.as_str() {
            "properties" => {
                for property in
                    value.as_object_mut().into_iter().flat_map(|properties| properties.values_mut())
                {
                    each_schema(property, visit);
                }
            }
            "items" | "additionalProperties" => each_schema(value, visit),
            _ => {}
        }
    }
}

/// The definition as YAML text, in the order of its keys, with whole numbers written as such.
#[must_use]
pub fn to_yaml(crd: &impl serde::Serialize) -> String {
    let mut value = serde_json::to_value(crd).expect("a definition is JSON");
    whole_numbers(&mut value);
    serde_saphyr::to_string(&value).expect("JSON can be written as YAML")
}

/// Kubernetes' types hold bounds as floating-point numbers; `1000.0` reads badly and `1000` means the same.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number
                .as_f64()
                .filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 9.0e15);
            if let Some(whole) = whole {
                #[allow(clippy::cast_possible_truncation)] // whole and within 53 bits
                let whole = whole as i64;
                *value = json!(whole);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        _ => {}
    }
}
