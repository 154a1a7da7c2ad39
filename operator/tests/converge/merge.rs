//! What server-side apply does to an object, as far as the operator's objects need it: merges by field, lists of objects by their key,
//! and takes away what the manager applied before and no longer does.

use serde_json::{Map, Value};

/// The field that tells the items of a list apart, for the lists that Kubernetes merges by one.
fn key(list: &str) -> Option<&'static str> {
    match list {
        "ownerReferences" => Some("uid"),
        "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "conditions" => Some("type"),
        "ports" => Some("port"),
        _ => None,
    }
}

/// The value of an item's key; container ports and service ports are both called `ports`.
fn id<'a>(key: &str, item: &'a Value) -> Option<&'a Value> {
    item.get(key).or_else(|| (key == "port").then(|| item.get("containerPort")).flatten())
}

/// Merges `new` into `live`, after taking out of `live` what was in `old` and is not in `new`.
pub(crate) fn apply(name: &str, live: &mut Value, old: Option<&Value>, new: &Value) {
    match (&mut *live, new) {
        (Value::Object(live), Value::Object(new)) => maps(live, old.and_then(Value::as_object), new),
        (Value::Array(items), Value::Array(wanted)) => match key(name) {
            Some(key) => keyed(key, items, old.and_then(Value::as_array), wanted),
            None => *live = new.clone(),
        },
        _ => *live = new.clone(),
    }
}

fn maps(live: &mut Map<String, Value>, old: Option<&Map<String, Value>>, new: &Map<String, Value>) {
    for (name, _) in old.into_iter().flatten().filter(|(name, _)| !new.contains_key(*name)) {
        live.remove(name);
    }
    for (name, value) in new {
        let before = old.and_then(|old| old.get(name));
        match live.get_mut(name) {
            Some(live) => apply(name, live, before, value),
            None => {
                live.insert(name.clone(), value.clone());
            }
        }
    }
}

fn keyed(key: &str, live: &mut Vec<Value>, old: Option<&Vec<Value>>, new: &[Value]) {
    let wanted = |item: &Value| new.iter().any(|new| id(key, new) == id(key, item));
    let gone: Vec<Value> = old.into_iter().flatten().filter(|item| !wanted(item)).cloned().collect();
    live.retain(|item| !gone.iter().any(|gone| id(key, gone) == id(key, item)));
    for item in new {
        let before = old.and_then(|old| old.iter().find(|old| id(key, old) == id(key, item)));
        match live.iter_mut().find(|live| id(key, live) == id(key, item)) {
            Some(live) => apply("", live, before, item),
            None => live.push(item.clone()),
        }
    }
}

/// RFC 7386.
pub(crate) fn merge_patch(live: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *live = patch.clone();
        return;
    };
    if !live.is_object() {
        *live = Value::Object(Map::new());
    }
    let Some(live) = live.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            live.remove(name);
        } else {
            merge_patch(live.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Kubernetes' strategic merge patch: as a merge patch, but lists of objects are merged by their key, and `$patch: delete` takes
/// an entry out.
pub(crate) fn strategic_patch(name: &str, live: &mut Value, patch: &Value) {
    match (&mut *live, patch) {
        (Value::Object(live), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    live.remove(name);
                } else {
                    strategic_patch(name, live.entry(name.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (Value::Array(items), Value::Array(patch)) if key(name).is_some() => {
            let key = key(name).unwrap();
            for entry in patch {
                let at = items.iter().position(|item| id(key, item) == id(key, entry));
                match (at, entry["$patch"] == "delete") {
                    (Some(at), true) => drop(items.remove(at)),
                    (None, true) => {}
                    (Some(at), false) => strategic_patch("", &mut items[at], entry),
                    (None, false) => items.push(entry.clone()),
                }
            }
        }
        _ => *live = patch.clone(),
    }
}

#[test]
fn what_the_manager_no_longer_says_goes_and_what_others_said_stays() {
    use serde_json::json;
    let mut live =
        json!({"a": 1, "other": 2, "env": [{"name": "X", "value": "1"}, {"name": "OURS", "value": "2"}]});
    let old = json!({"a": 1, "b": 0, "env": [{"name": "OURS", "value": "2"}]});
    let new = json!({"b": 3, "env": [{"name": "NEW", "value": "4"}]});
    apply("", &mut live, Some(&old), &new);
    assert_eq!(
        live,
        json!({"other": 2, "b": 3, "env": [{"name": "X", "value": "1"}, {"name": "NEW", "value": "4"}]})
    );
}
