//! Whether a child has to be applied.
//!
//! Skipping is an economy, never a matter of correctness: where in doubt, the answer is that it differs. But it must
//! never differ for ever, or the operator would write without end; so what the API server adds or rewrites by itself
//! (defaults, quantities, dropped zero values) does not count. What others added does not count either, but for what decides
//! what a pod runs ([`crate::foreign`]).

use kube::Resource;
use mcp_crds::annotations;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{foreign::foreign, quantity};

/// How a live child differs from the wanted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Nothing has to be written.
    None,
    /// There is no such child.
    Missing,
    /// It was made for other wishes than today's, and these fields differ.
    Outdated(Vec<String>),
    /// It was made for today's wishes, and somebody changed these fields since.
    Drifted(Vec<String>),
}

/// Compares a wanted child with the live one.
#[must_use]
pub fn difference<K>(desired: &K, live: Option<&K>) -> Difference
where
    K: Resource + Serialize,
{
    let Some(live) = live else { return Difference::Missing };
    let as_value = |object: &K| serde_json::to_value(object).expect("an object is JSON");
    let mut differing = Vec::new();
    let (wanted, found) = (as_value(desired), as_value(live));
    Walk { differing: &mut differing }.value(&mut Vec::new(), &wanted, Some(&found));
    for field in foreign(&wanted, &found).fields {
        if !differing.contains(&field) {
            differing.push(field);
        }
    }
    if hash(desired) != hash(live) {
        differing.retain(|field| !field.ends_with(annotations::DESIRED_HASH));
        Difference::Outdated(differing)
    } else if differing.is_empty() {
        Difference::None
    } else {
        Difference::Drifted(differing)
    }
}

/// The hash of what was wanted of an object when it was written, as the object says.
#[must_use]
pub fn hash(object: &impl Resource) -> Option<&str> {
    object.meta().annotations.as_ref()?.get(annotations::DESIRED_HASH).map(String::as_str)
}

/// Whether a child has to be applied: skip it iff the hash on it equals ours and every field that we set equals the
/// live one.
#[must_use]
pub fn needs_apply<K>(desired: &K, live: &K) -> bool
where
    K: Resource + Serialize,
{
    difference(desired, Some(live)) != Difference::None
}

/// Lists merged entry by entry, with the fields that tell entries apart, as in the types of Kubernetes. Every other
/// list is replaced as a whole. `ports` stands twice: of containers, and of Services.
const KEYED_LISTS: [(&str, &[&str]); 9] = [
    ("containers", &["name"]),
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("ownerReferences", &["uid"]),
    ("ports", &["containerPort", "protocol"]),
    ("ports", &["port", "protocol"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];

/// Maps whose keys are somebody's words: an empty value means something there.
const MAPS: [&str; 8] =
    ["annotations", "data", "labels", "limits", "matchLabels", "nodeSelector", "requests", "selector"];

/// Fields in which `false`, `0` or `{}` says something else than nothing, so that the API server keeps it.
const MEANINGFUL_ZEROS: [&str; 10] = [
    "allowPrivilegeEscalation",
    "automountServiceAccountToken",
    "emptyDir",
    "enableServiceLinks",
    "maxSurge",
    "maxUnavailable",
    "optional",
    "replicas",
    "revisionHistoryLimit",
    "terminationGracePeriodSeconds",
];

struct Walk<'a> {
    differing: &'a mut Vec<String>,
}

impl Walk<'_> {
    fn value(&mut self, path: &mut Vec<String>, desired: &Value, live: Option<&Value>) {
        let Some(live) = live else {
            if is_kept(path, desired) {
                self.differs(path);
            }
            return;
        };
        match (desired, live) {
            (Value::Object(desired), Value::Object(live)) => {
                for (key, value) in desired {
                    path.push(key.clone());
                    self.value(path, value, live.get(key));
                    path.pop();
                }
            }
            (Value::Array(desired), Value::Array(live)) => match list_keys(path, desired) {
                Some(keys) => self.keyed(path, keys, desired, live),
                None => self.whole(path, desired, live),
            },
            (desired, live) if same_scalar(path, desired, live) => {}
            _ => self.differs(path),
        }
    }

    /// Entries of others do not count, nor does the order.
    fn keyed(&mut self, path: &mut Vec<String>, keys: &[&str], desired: &[Value], live: &[Value]) {
        for entry in desired {
            let same = |other: &&Value| keys.iter().all(|key| other.get(key) == entry.get(key));
            let shown: Vec<String> = keys.iter().filter_map(|key| entry.get(key)).map(plain).collect();
            path.push(format!("[{}]", shown.join(",")));
            self.value(path, entry, live.iter().find(same));
            path.pop();
        }
    }

    fn whole(&mut self, path: &mut Vec<String>, desired: &[Value], live: &[Value]) {
        if desired.len() != live.len() {
            return self.differs(path);
        }
        for (index, (desired, live)) in desired.iter().zip(live).enumerate() {
            path.push(format!("[{index}]"));
            self.value(path, desired, Some(live));
            path.pop();
        }
    }

    fn differs(&mut self, path: &[String]) {
        let mut text = String::new();
        for step in path {
            if !text.is_empty() && !step.starts_with('[') {
                text.push('.');
            }
            text.push_str(step);
        }
        self.differing.push(text);
    }
}

/// Whether the API server keeps this value, rather than dropping it as saying nothing.
fn is_kept(path: &[String], value: &Value) -> bool {
    let field = path.last().map_or("", String::as_str);
    let in_map = path.iter().rev().nth(1).is_some_and(|above| MAPS.contains(&above.as_str()));
    let meaningful = in_map || MEANINGFUL_ZEROS.contains(&field);
    match value {
        Value::Null => false,
        Value::Bool(set) => *set || meaningful,
        Value::Number(number) => number.as_f64() != Some(0.0) || meaningful,
        Value::String(text) => !text.is_empty() || meaningful,
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => meaningful || has_content(path, map),
    }
}

fn has_content(path: &[String], map: &Map<String, Value>) -> bool {
    map.iter().any(|(key, value)| {
        let mut below = path.to_vec();
        below.push(key.clone());
        is_kept(&below, value)
    })
}

fn list_keys(path: &[String], entries: &[Value]) -> Option<&'static [&'static str]> {
    let field = path.last()?;
    let fits = |keys: &[&str]| entries.iter().all(|entry| keys.iter().all(|key| entry.get(key).is_some()));
    KEYED_LISTS.iter().find(|(list, keys)| list == field && fits(keys)).map(|(_, keys)| *keys)
}

fn same_scalar(path: &[String], desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::String(desired), Value::String(live)) => {
            desired == live || (is_quantity(path) && quantity::same(desired, live))
        }
        (Value::Number(desired), Value::Number(live)) => desired == live || desired.as_f64() == live.as_f64(),
        (desired, live) => desired == live,
    }
}

fn is_quantity(path: &[String]) -> bool {
    let step = |back: usize| path.iter().rev().nth(back).map_or("", String::as_str);
    matches!(step(0), "sizeLimit" | "divisor")
        || (matches!(step(1), "requests" | "limits") && step(2) == "resources")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
