//! What other writers added to the pods of a Deployment beside what the operator applies.
//!
//! Server-side apply leaves what others own alone, lists' entries included. Of what decides what runs that would be an open
//! door: `kubectl set env` could switch authentication off. So these parts are the operator's as a whole: variables,
//! volumes, mounts, containers, security contexts, commands and the namespaces of the host. Sidecars that are known to be
//! injected are kept, with the volumes that they mount, and named in the status.

use std::collections::BTreeSet;

use kube::Resource;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::names::CONTAINER;

/// Containers that service meshes and agents inject: Istio, Linkerd, Consul, Kuma, Dapr, Vault.
const SIDECARS: [&str; 16] = [
    "istio-init",
    "istio-proxy",
    "istio-validation",
    "linkerd-init",
    "linkerd-network-validator",
    "linkerd-proxy",
    "consul-connect-inject-init",
    "consul-dataplane",
    "envoy-sidecar",
    "kuma-init",
    "kuma-sidecar",
    "kuma-validation",
    "daprd",
    "vault-agent",
    "vault-agent-init",
    "opentelemetry-auto-instrumentation",
];

/// Fields of a pod that share namespaces of the host or of its containers.
const SHARED: [&str; 4] = ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"];
/// Fields of a container that change what it runs or can reach, where the operator sets none.
const EXECUTION: [&str; 5] = ["command", "lifecycle", "workingDir", "envFrom", "volumeDevices"];
/// Values that the API server fills in, below the entries of `volumes` and in security contexts.
const DEFAULTS: [&str; 4] = ["defaultMode", "expirationSeconds", "apiVersion", "procMount"];

/// What is foreign in a Deployment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Foreign {
    /// The fields, from the root of the object.
    pub(crate) fields: Vec<String>,
    /// What takes them out: a strategic merge patch of the pod template's `spec`.
    removal: Map<String, Value>,
}

/// A strategic merge patch that takes out of `live` what is foreign; none where nothing is.
#[must_use]
pub fn removal<K: Resource + Serialize>(desired: &K, live: &K) -> Option<Value> {
    let as_value = |object: &K| serde_json::to_value(object).expect("an object is JSON");
    let Foreign { removal, .. } = foreign(&as_value(desired), &as_value(live));
    if removal.is_empty() {
        return None;
    }
    // The uid makes the patch fail on an object that was made anew under the same name.
    Some(json!({
        "metadata": {"uid": live.meta().uid},
        "spec": {"template": {"spec": removal}},
    }))
}

/// The injected sidecars of a Deployment, which are kept.
#[must_use]
pub fn sidecars(live: &k8s_openapi::api::apps::v1::Deployment) -> Vec<String> {
    let pod = live.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let containers =
        pod.into_iter().flat_map(|pod| pod.init_containers.iter().flatten().chain(&pod.containers));
    containers.map(|container| container.name.clone()).filter(|name| is_sidecar(name)).collect()
}

fn is_sidecar(name: &str) -> bool {
    SIDECARS.contains(&name)
}

/// What is foreign, given a wanted and a live object of any kind: nothing unless it is a Deployment.
pub(crate) fn foreign(desired: &Value, live: &Value) -> Foreign {
    const POD: &str = "/spec/template/spec";
    let mut found = Foreign::default();
    if desired["kind"] != "Deployment" {
        return found;
    }
    let (Some(desired), Some(live)) = (desired.pointer(POD), live.pointer(POD)) else { return found };
    let at = "spec.template.spec";
    for field in SHARED {
        if live[field] == true && desired[field] != true {
            found.takes(at, field);
        }
    }
    let removal = extras(&desired["securityContext"], &live["securityContext"], true);
    found.nested(at, "securityContext", removal);
    found.containers(at, desired, live);
    found.volumes(at, desired, live);
    found
}

impl Foreign {
    fn takes(&mut self, at: &str, field: &str) {
        self.fields.push(format!("{at}.{field}"));
        self.removal.insert(field.to_owned(), Value::Null);
    }

    fn nested(&mut self, at: &str, field: &str, removal: Option<Value>) {
        if let Some(removal) = removal {
            self.fields.push(format!("{at}.{field}"));
            self.removal.insert(field.to_owned(), removal);
        }
    }

    fn containers(&mut self, at: &str, desired: &Value, live: &Value) {
        for list in ["initContainers", "containers"] {
            let mut removal = Vec::new();
            for container in items(live, list) {
                let name = name(container);
                if name == CONTAINER && list == "containers" {
                    let wanted = items(desired, list).find(|wanted| self::name(wanted) == CONTAINER);
                    let at = format!("{at}.{list}[{name}]");
                    let below =
                        wanted.map(|wanted| self.container(&at, wanted, container)).unwrap_or_default();
                    if !below.is_empty() {
                        let mut entry = Map::from_iter([("name".to_owned(), json!(name))]);
                        entry.extend(below);
                        removal.push(Value::Object(entry));
                    }
                } else if !is_sidecar(name) {
                    self.fields.push(format!("{at}.{list}[{name}]"));
                    removal.push(json!({"name": name, "$patch": "delete"}));
                }
            }
            if !removal.is_empty() {
                self.removal.insert(list.to_owned(), Value::Array(removal));
            }
        }
    }

    /// What is foreign in the container of the server.
    fn container(&mut self, at: &str, desired: &Value, live: &Value) -> Map<String, Value> {
        let mut below = Self::default();
        for field in EXECUTION {
            match (desired.get(field), live.get(field)) {
                (None, Some(live)) if !is_empty(live) => below.takes(at, field),
                // A list that is replaced as a whole: applying it is enough.
                (Some(Value::Array(desired)), Some(Value::Array(live)))
                    if desired
                        .iter()
                        .zip(live)
                        .any(|(desired, live)| extras(desired, live, true).is_some()) =>
                {
                    below.fields.push(format!("{at}.{field}"));
                }
                _ => {}
            }
        }
        below.nested(
            at,
            "securityContext",
            extras(&desired["securityContext"], &live["securityContext"], true),
        );
        below.list(at, "env", "name", desired, live, &["value", "valueFrom"]);
        let mount = ["mountPropagation", "readOnly", "recursiveReadOnly", "subPath", "subPathExpr"];
        below.list(at, "volumeMounts", "mountPath", desired, live, &mount);
        // Ports beyond ours only inform; a port of the host is another way in.
        let mut ports = Vec::new();
        for port in items(live, "ports") {
            let (number, protocol) = (&port["containerPort"], &port["protocol"]);
            for field in ["hostPort", "hostIP"] {
                if port.get(field).is_some_and(|value| !is_empty(value)) {
                    below
                        .fields
                        .push(format!("{at}.ports[{number},{}].{field}", protocol.as_str().unwrap_or("TCP")));
                    ports.push(json!({"containerPort": number, "protocol": protocol, field: null}));
                }
            }
        }
        if !ports.is_empty() {
            below.removal.insert("ports".to_owned(), Value::Array(ports));
        }
        self.fields.append(&mut below.fields);
        below.removal
    }

    /// A list whose entries `key` tells apart: foreign entries, and of common ones the foreign fields among `fields`.
    fn list(&mut self, at: &str, list: &str, key: &str, desired: &Value, live: &Value, fields: &[&str]) {
        let mut removal = Vec::new();
        for entry in items(live, list) {
            let id = &entry[key];
            let at = format!("{at}.{list}[{}]", id.as_str().unwrap_or_default());
            let Some(wanted) = items(desired, list).find(|wanted| wanted[key] == *id) else {
                self.fields.push(at);
                removal.push(json!({key: id, "$patch": "delete"}));
                continue;
            };
            for field in fields {
                let foreign = entry.get(*field).is_some_and(|value| !is_empty(value));
                if foreign && wanted.get(*field).is_none() {
                    self.fields.push(format!("{at}.{field}"));
                    removal.push(json!({key: id, *field: null}));
                }
            }
        }
        if !removal.is_empty() {
            self.removal.insert(list.to_owned(), Value::Array(removal));
        }
    }

    fn volumes(&mut self, at: &str, desired: &Value, live: &Value) {
        let sidecars = ["initContainers", "containers"].into_iter().flat_map(|list| items(live, list));
        let mounted: BTreeSet<&str> = sidecars
            .filter(|container| is_sidecar(name(container)))
            .flat_map(|container| items(container, "volumeMounts"))
            .map(name)
            .collect();
        let mut removal = Vec::new();
        for volume in items(live, "volumes") {
            let name = name(volume);
            match items(desired, "volumes").find(|wanted| self::name(wanted) == name) {
                Some(wanted) => {
                    if let Some(Value::Object(mut below)) = extras(wanted, volume, false) {
                        self.fields.push(format!("{at}.volumes[{name}]"));
                        below.insert("name".to_owned(), json!(name));
                        removal.push(Value::Object(below));
                    }
                }
                None if mounted.contains(name) => {}
                None => {
                    self.fields.push(format!("{at}.volumes[{name}]"));
                    removal.push(json!({"name": name, "$patch": "delete"}));
                }
            }
        }
        if !removal.is_empty() {
            self.removal.insert("volumes".to_owned(), Value::Array(removal));
        }
    }
}

/// The keys of `live` that `desired` has not, each as null, where it says something; `deep` looks below common keys too.
fn extras(desired: &Value, live: &Value, deep: bool) -> Option<Value> {
    let live = live.as_object()?;
    let mut found = Map::new();
    for (key, value) in live.iter().filter(|(key, _)| !DEFAULTS.contains(&key.as_str())) {
        match desired.get(key) {
            None if !is_empty(value) => {
                found.insert(key.clone(), Value::Null);
            }
            Some(desired) if deep => {
                found.extend(extras(desired, value, deep).map(|below| (key.clone(), below)));
            }
            _ => {}
        }
    }
    (!found.is_empty()).then_some(Value::Object(found))
}

/// Whether a value says nothing, as the API server drops it.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        // 0 is a user or a group: root.
        Value::Number(_) => false,
    }
}

fn items<'a>(object: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object[list].as_array().into_iter().flatten()
}

fn name(object: &Value) -> &str {
    object["name"].as_str().unwrap_or_default()
}
