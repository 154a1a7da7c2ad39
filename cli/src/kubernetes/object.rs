//! Kubernetes objects as JSON, as kubectl prints them.

use std::fmt;

use serde_json::{Map, Value, json};

/// The annotation in which `kubectl apply` keeps what it applied last; its size is bounded.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Above this size an object is applied on the server's side, which needs no such annotation: all annotations of an
/// object may have 256 KiB together.
const LARGEST: usize = 200 * 1024;

/// An object with a kind and a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object(Value);

/// What identifies an object within a deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl Key {
    /// As kubectl's arguments have it: the full name, since other groups may have the same kind.
    pub(super) fn argument(&self) -> String {
        let Self { group, kind, name, .. } = self;
        if group.is_empty() { format!("{kind}/{name}") } else { format!("{kind}.{group}/{name}") }
    }
}

impl Object {
    pub(super) fn key(&self) -> Key {
        let api_version = self.text("/apiVersion");
        Key {
            group: api_version.split_once('/').map_or("", |(group, _)| group).to_owned(),
            kind: self.text("/kind").to_owned(),
            namespace: self.text("/metadata/namespace").to_owned(),
            name: self.text("/metadata/name").to_owned(),
        }
    }

    pub(super) fn value(&self) -> &Value {
        &self.0
    }

    /// A text at a JSON pointer; empty where there is none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn number(&self, pointer: &str) -> Option<i64> {
        self.0.pointer(pointer).and_then(Value::as_i64)
    }

    pub(super) fn is_large(&self) -> bool {
        self.0.to_string().len() > LARGEST
    }

    /// The object without what the cluster adds by itself: what it takes to bring it back.
    pub(super) fn restorable(&self) -> Self {
        let mut value = self.0.clone();
        if let Some(object) = value.as_object_mut() {
            object.remove("status");
        }
        if let Some(metadata) = value.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            for field in
                ["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink"]
            {
                metadata.remove(field);
            }
        }
        Self(value)
    }

    /// Whether two states of an object want the same; what `apply` notes for itself does not count.
    pub(super) fn wants_the_same(&self, other: &Self) -> bool {
        let bare = |object: &Self| {
            let mut value = object.restorable().0;
            let metadata = value.pointer_mut("/metadata").and_then(Value::as_object_mut);
            if let Some(metadata) = metadata
                && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
            {
                annotations.remove(LAST_APPLIED);
                // Counted by the cluster at each rollout.
                annotations.remove("deployment.kubernetes.io/revision");
                if annotations.is_empty() {
                    metadata.remove("annotations");
                }
            }
            value
        };
        bare(self) == bare(other)
    }
}

/// The objects in what kubectl prints: one, a list, or several of these after each other.
pub(super) fn parse(text: &str) -> Result<Vec<Object>, String> {
    let mut objects = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        flatten(value.map_err(|error| error.to_string())?, &mut objects)?;
    }
    Ok(objects)
}

fn flatten(value: Value, objects: &mut Vec<Object>) -> Result<(), String> {
    match value {
        Value::Object(mut object) if is_list(&object) => match object.remove("items") {
            Some(Value::Array(items)) => items.into_iter().try_for_each(|item| flatten(item, objects)),
            _ => Err("a list has no items".to_owned()),
        },
        Value::Object(object) => {
            objects.push(Object(Value::Object(object)));
            Ok(())
        }
        _ => Err("it holds something that is no object".to_owned()),
    }
}

fn is_list(object: &Map<String, Value>) -> bool {
    object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"))
        && object.contains_key("items")
}

/// The objects as one document for kubectl's standard input.
pub(super) fn list<'a>(objects: impl IntoIterator<Item = &'a Object>) -> String {
    let items: Vec<_> = objects.into_iter().map(|object| object.0.clone()).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[cfg(test)]
pub(super) fn object(value: Value) -> Object {
    Object(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_a_list_and_several_documents_are_read() {
        let one = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}"#;
        let list = format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{one}, {one}]}}"#);
        for (text, expected) in [("", 0), (one, 1), (list.as_str(), 2), (&format!("{one}\n{list}\n{one}"), 4)]
        {
            assert_eq!(parse(text).unwrap().len(), expected);
        }
        assert!(parse("error").is_err());
        assert!(parse("[1]").is_err());
    }

    #[test]
    fn a_key_names_the_group() {
        let key = |version: &str| {
            object(json!({"apiVersion": version, "kind": "Kind", "metadata": {"name": "n"}})).key().argument()
        };
        assert_eq!(key("v1"), "Kind/n");
        assert_eq!(key("mcp-operator.dev/v1alpha1"), "Kind.mcp-operator.dev/n");
    }

    #[test]
    fn what_is_brought_back_is_what_was_wanted() {
        let before = object(json!({
            "kind": "K", "spec": {"a": 1}, "status": {"ready": true},
            "metadata": {"name": "n", "labels": {"l": "1"}, "annotations": {LAST_APPLIED: "{}"},
                "resourceVersion": "7", "uid": "u", "generation": 3, "managedFields": [], "creationTimestamp": "t"}}));
        assert_eq!(
            before.restorable(),
            object(json!({
                "kind": "K", "spec": {"a": 1},
                "metadata": {"name": "n", "labels": {"l": "1"}, "annotations": {LAST_APPLIED: "{}"}}}))
        );
        let same =
            object(json!({"kind": "K", "spec": {"a": 1}, "metadata": {"name": "n", "labels": {"l": "1"}}}));
        let other =
            object(json!({"kind": "K", "spec": {"a": 2}, "metadata": {"name": "n", "labels": {"l": "1"}}}));
        assert!(before.wants_the_same(&same));
        assert!(!before.wants_the_same(&other));
    }
}
