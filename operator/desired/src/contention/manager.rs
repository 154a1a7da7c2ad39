//! Who wrote a field, from the child's `managedFields`.
//!
//! Format: kubernetes.io/docs/reference/using-api/server-side-apply and the `FieldsV1` type of sigs.k8s.io/structured-merge-diff.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use mcp_crds::FIELD_MANAGER;
use serde_json::{Map, Value};

use super::{Contention, ContentionReason, reverts::WHOLE};

/// The contention about a field. `overruled`: the API server answered a write of the field with another value.
#[must_use]
pub fn explain(
    kind: &str,
    name: &str,
    field: &str,
    overruled: bool,
    managed: &[ManagedFieldsEntry],
) -> Contention {
    let writer = writer(managed, field);
    let manager = writer.and_then(|entry| entry.manager.clone());
    let reason = if overruled {
        ContentionReason::AdmissionWebhook
    } else if field == WHOLE || manager.as_deref() == Some(FIELD_MANAGER) {
        ContentionReason::SecondOperator
    } else if field == "spec.replicas" && manager.as_deref().is_some_and(is_autoscaler) {
        ContentionReason::Autoscaler
    } else {
        ContentionReason::FieldManager
    };
    // After an overruled write, and of another operator, the manager on record is our own.
    let manager = manager.filter(|manager| manager != FIELD_MANAGER);
    Contention { reason, kind: kind.to_owned(), name: name.to_owned(), field: field.to_owned(), manager }
}

/// The field managers of the horizontal pod autoscaler, which runs in the controller manager, and of others that scale.
fn is_autoscaler(manager: &str) -> bool {
    manager == "kube-controller-manager" || ["autoscal", "keda"].iter().any(|word| manager.contains(word))
}

/// The last entry that owns the field; one that is not ours goes before ours.
fn writer<'a>(managed: &'a [ManagedFieldsEntry], field: &str) -> Option<&'a ManagedFieldsEntry> {
    let owners = managed.iter().filter(|entry| {
        entry
            .fields_v1
            .as_ref()
            .is_some_and(|fields| fields.0.as_object().is_some_and(|set| owns(set, field)))
    });
    owners.max_by_key(|entry| (entry.manager.as_deref() != Some(FIELD_MANAGER), entry.time.clone()))
}

/// Whether a set of fields holds this one. Keys of maps may contain dots, so that the path is followed along the set and not
/// split first.
fn owns(set: &Map<String, Value>, path: &str) -> bool {
    set.iter().any(|(key, below)| {
        let Some(rest) = step(key, path) else { return false };
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        // A key of a map, such as an annotation's: what follows is part of another key.
        if !rest.is_empty() && key.contains(['.', '/']) && key.starts_with("f:") {
            return false;
        }
        let below = below.as_object();
        // A set without anything below it owns the value as a whole, as of an atomic list.
        rest.is_empty() || below.is_none_or(|below| below.is_empty() || owns(below, rest))
    })
}

/// The path behind this key of a set, if the path leads there.
fn step<'a>(key: &str, path: &'a str) -> Option<&'a str> {
    let rest = match key.split_once(':')? {
        ("f", field) => path.strip_prefix(field)?,
        ("k", keys) => path.strip_prefix(&entry(keys)?)?,
        _ => return None,
    };
    (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
}

/// How a difference writes the entry of a list: the values of its keys, in the order of the keys.
fn entry(keys: &str) -> Option<String> {
    let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
    let values = keys.values().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    Some(format!("[{}]", values.collect::<Vec<_>>().join(",")))
}
