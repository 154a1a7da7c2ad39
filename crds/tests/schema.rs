//! Rules for every field of ours.

use std::path::Path;

use kube::core::cel;
use serde_json::Value;

use crate::{at, root};

/// What the definition may weigh as JSON, which is how client-side apply copies it into an annotation of at most 256 KiB;
/// the other half is for the versions to come.
const MAX_BYTES: usize = 100 * 1024;

/// Where a type of Kubernetes begins, whose inside is not ours to describe.
const EMBEDDED: [&str; 14] = [
    "spec.runtime.resources",
    "spec.runtime.env",
    "spec.runtime.envFrom",
    "spec.runtime.volumeMounts",
    "spec.volumes[].configMap",
    "spec.volumes[].secret",
    "spec.volumes[].emptyDir",
    "spec.volumes[].persistentVolumeClaim",
    "spec.volumes[].projected",
    "spec.volumes[].csi",
    "spec.pod.tolerations",
    "spec.pod.affinity",
    "spec.pod.topologySpreadConstraints",
    "spec.pod.dnsConfig",
];

struct Field<'a> {
    path: String,
    schema: &'a Value,
    required: bool,
}

/// All fields of ours, those with a type of Kubernetes included, their insides not.
fn fields<'a>(schema: &'a Value, path: &str, all: &mut Vec<Field<'a>>) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        all.push(Field { path: path.clone(), schema, required: required.contains(&name.as_str()) });
        if !EMBEDDED.contains(&path.as_str()) {
            fields(schema, &path, all);
            fields(&schema["items"], &format!("{path}[]"), all);
        }
    }
}

fn broken(rule: impl Fn(&Field<'_>) -> bool) -> Vec<String> {
    let root = root();
    let mut all = Vec::new();
    fields(&root, "", &mut all);
    assert!(all.len() > 100, "only {} fields were looked at", all.len());
    all.iter().filter(|field| !rule(field)).map(|field| field.path.clone()).collect()
}

#[test]
fn every_field_says_what_it_is() {
    let unclear = broken(|field| {
        let described = field.schema["description"].as_str().is_some_and(|text| text.len() >= 15);
        described || matches!(field.path.as_str(), "metadata")
    });
    assert_eq!(unclear, Vec::<String>::new());
}

#[test]
fn every_setting_says_what_holds_without_it() {
    let unclear = broken(|field| {
        let setting = field.path.starts_with("spec.")
            && field.schema["type"] != "object"
            && field.schema["type"] != "array";
        let text = field.schema["description"].as_str().unwrap_or_default();
        !setting || field.required || text.contains("Default")
    });
    // One of several must be set, so that none has a default.
    let one_of = [
        "spec.config.resources[].blob",
        "spec.config.resources[].text",
        "spec.config.tools[].cel",
        "spec.config.tools[].text",
    ];
    assert_eq!(unclear, one_of);
}

#[test]
fn every_field_is_bounded() {
    let unbounded = broken(|field| {
        let has = |keyword: &str| field.schema.get(keyword).is_some();
        match field.schema["type"].as_str() {
            Some("string") => has("maxLength") || has("enum"),
            Some("integer") => has("minimum") && (has("maximum") || field.path.starts_with("status.")),
            Some("array") => has("maxItems"),
            Some("object") if has("additionalProperties") => has("maxProperties"),
            Some("object") if field.schema["x-kubernetes-preserve-unknown-fields"] == true => {
                has("maxProperties")
            }
            Some("object" | "boolean") => true,
            Some(other) => panic!("{}: a {other} is not among what we use", field.path),
            // Any JSON at all: the server bounds its size.
            None if field.schema["x-kubernetes-preserve-unknown-fields"] == true => true,
            None => field.schema["x-kubernetes-int-or-string"] == true && has("maxLength"),
        }
    });
    assert_eq!(unbounded, Vec::<String>::new());
}

#[test]
fn items_of_lists_are_bounded_too() {
    let unbounded = broken(|field| {
        let items = &field.schema["items"];
        match items["type"].as_str() {
            Some("string") => items.get("maxLength").is_some() || items.get("enum").is_some(),
            Some("integer") => items.get("minimum").is_some() && items.get("maximum").is_some(),
            _ => true,
        }
    });
    assert_eq!(unbounded, Vec::<String>::new());
}

#[test]
fn formats_are_those_of_kubernetes() {
    fn walk(value: &Value, path: &str) {
        match value {
            Value::Object(map) => {
                if let Some(format) = map.get("format").and_then(Value::as_str) {
                    assert!(matches!(format, "int32" | "int64" | "date-time"), "{path}: {format}");
                }
                assert!(!map.contains_key("nullable") || path.ends_with("properties"), "{path}: nullable");
                assert_ne!(map.get("type"), Some(&Value::from("number")), "{path}: a float");
                map.iter().for_each(|(key, value)| walk(value, &format!("{path}/{key}")));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, path)),
            _ => {}
        }
    }
    walk(&root(), "");
}

#[test]
fn nothing_below_config_has_a_default() {
    let defaults = broken(|field| {
        let below = field.path.starts_with("spec.config");
        !below || field.schema.get("default").is_none()
    });
    assert_eq!(defaults, Vec::<String>::new());
}

#[test]
fn an_unseen_resource_is_not_taken_for_finished() {
    let root = root();
    let ready = &at(&root, "status")["default"]["conditions"][0];
    assert_eq!(
        (&ready["type"], &ready["status"], &ready["reason"]),
        (&"Ready".into(), &"Unknown".into(), &"Pending".into())
    );
    assert_eq!(at(&root, "spec.replicas")["default"], 1);
}

#[test]
fn entries_of_keyed_lists_can_be_told_apart() {
    fn walk(schema: &Value, path: &str) {
        for key in schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten() {
            let items = &schema["items"];
            let required = items["required"].as_array().is_some_and(|required| required.contains(key));
            let default = items["properties"][key.as_str().unwrap()].get("default").is_some();
            assert!(required || default, "{path}: {key} may be missing");
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            walk(schema, &format!("{path}.{name}"));
        }
        schema.get("items").into_iter().for_each(|items| walk(items, &format!("{path}[]")));
    }
    walk(&root(), "");
    for (path, keys) in [
        ("spec.config.tools", "name"),
        ("spec.runtime.env", "name"),
        ("spec.runtime.volumeMounts", "mountPath"),
        ("spec.runtime.imagePullSecrets", "name"),
        ("spec.volumes", "name"),
        ("status.conditions", "type"),
    ] {
        let root = root();
        assert_eq!(at(&root, path)["x-kubernetes-list-type"], "map", "{path}");
        assert_eq!(at(&root, path)["x-kubernetes-list-map-keys"][0], keys, "{path}");
    }
}

#[test]
fn rules_compile_are_cheap_and_say_what_they_want() {
    fn walk(schema: &Value, path: &str, count: &mut usize) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            *count += 1;
            assert!(rule["message"].as_str().is_some_and(|message| message.len() >= 10), "{path}: {rule}");
            let below = rule["fieldPath"].as_str().map(|field| field.trim_start_matches('.').to_owned());
            if let Some(field) = below.filter(|field| !field.starts_with("metadata")) {
                assert!(at(schema, &field).is_object(), "{path}: there is no {field}");
            }
            let rule = rule["rule"].as_str().unwrap();
            let compiled = cel::compile_schema(schema);
            assert!(!compiled.has_errors(), "{path}: {:?}", compiled.compilation_errors());
            let warnings = cel::estimate_rule_cost(rule, &compiled);
            assert!(warnings.is_empty(), "{path}: {warnings:?}");
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            walk(schema, &format!("{path}.{name}"), count);
        }
        schema.get("items").into_iter().for_each(|items| walk(items, &format!("{path}[]"), count));
    }
    let mut count = 0;
    walk(&root(), "", &mut count);
    assert!(count >= 10, "only {count} rules were looked at");
}

#[test]
fn descriptions_of_embedded_types_are_gone_and_ours_are_there() {
    let root = root();
    assert!(at(&root, "spec.pod.affinity").get("description").is_some());
    assert!(at(&root, "spec.pod.affinity.nodeAffinity").get("description").is_none());
}

#[test]
fn volumes_know_no_host_path() {
    let root = root();
    let kinds: Vec<&String> = at(&root, "spec.volumes[]")["properties"].as_object().unwrap().keys().collect();
    assert_eq!(
        kinds,
        ["configMap", "csi", "emptyDir", "name", "persistentVolumeClaim", "projected", "secret"]
    );
}

#[test]
fn names_and_columns() {
    let crd = serde_json::to_value(mcp_crds::crd()).unwrap();
    assert_eq!(crd["metadata"]["name"], "mcpservers.mcp-operator.dev");
    let names = &crd["spec"]["names"];
    assert_eq!((&names["shortNames"], names.get("categories")), (&serde_json::json!(["mcps"]), None));
    let version = &crd["spec"]["versions"][0];
    let columns = version["additionalPrinterColumns"].as_array().unwrap();
    let shown = |wide: bool| -> Vec<&str> {
        let of = columns.iter().filter(|column| (column["priority"] == 1) == wide);
        of.filter_map(|column| column["name"].as_str()).collect()
    };
    assert_eq!(shown(false), ["Ready", "Replicas", "Status", "URL", "Age"]);
    assert_eq!(shown(true), ["Image", "Key"]);
    let scale = &version["subresources"]["scale"];
    assert_eq!(scale["labelSelectorPath"], ".status.selector");
}

#[test]
fn the_generated_files_are_what_the_types_make_and_small_enough() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let made = mcp_crds::schema::to_yaml(&mcp_crds::crd());
    let plain = std::fs::read_to_string(root.join("crds/generated/mcpservers.yaml")).unwrap();
    assert!(plain.ends_with(&made), "run `make generate`");
    let chart = std::fs::read_to_string(root.join("charts/mcp-operator-crds/files/mcpservers.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&chart).unwrap();
    assert_eq!(chart["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    let plain: Value = serde_saphyr::from_str(&plain).unwrap();
    assert_eq!(chart["spec"], plain["spec"]);
    let weight = plain.to_string().len();
    assert!(weight <= MAX_BYTES, "{weight} bytes");
}
