//! Every feature, as a pair: what the resource says, and what that changes in the children.

use std::collections::BTreeMap;

use mcp_server_config::sha256;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{built, hash, settings, valid};

/// One resource for each feature; a feature that is missing here is not done.
pub(crate) fn features() -> Vec<(&'static str, Value)> {
    vec![
        ("smallest", json!({})),
        ("replicas", json!({"replicas": 3})),
        ("scaled_to_zero", json!({"replicas": 0})),
        ("server_version", json!({"config": {"serverVersion": "2.0.0+build 7"}})),
        (
            "own_keys",
            json!({"config": {"auth": {"apiKeys": {"secretKeyRef": {"name": "clients", "key": "our.json"}}}}}),
        ),
        (
            "secrets",
            json!({"config": {
                "redis": {"url": {"secretKeyRef": {"name": "redis", "key": "url"}}, "ca": {"secretKeyRef": {"name": "redis", "key": "ca.pem"}}},
                "auth": {"oauth2": {"issuer": "https://id.example.com", "audiences": ["https://mcp.example.com/mcp"], "introspection": {
                    "url": "https://id.example.com/introspect", "clientID": "mcp", "clientSecret": {"secretKeyRef": {"name": "oauth", "key": "secret"}},
                }}},
            }}),
        ),
        ("open_to_all", json!({"config": {"auth": {"mode": "Disabled"}}})),
        ("log_format", json!({"config": {"logging": {"format": "Text"}}})),
        ("request_timeout", json!({"config": {"performance": {"requestTimeout": "2m"}}})),
        (
            "image",
            json!({"runtime": {"image": "example.com/own:1", "imagePullPolicy": "Always", "imagePullSecrets": [{"name": "registry"}]}}),
        ),
        ("resources", json!({"runtime": {"resources": {"requests": {"cpu": "0.5", "memory": "1.5Gi"}}}})),
        ("limits", json!({"runtime": {"resources": {"limits": {"memory": "32Mi", "cpu": 1}}}})),
        (
            "env",
            json!({"runtime": {
                "env": [
                    {"name": "TEAM", "value": "orders"},
                    {"name": "EMPTY", "value": ""},
                    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "github", "key": "token"}}},
                ],
                "envFrom": [{"configMapRef": {"name": "team"}}],
            }}),
        ),
        (
            "volumes",
            json!({
                "volumes": [
                    {"name": "catalogue", "configMap": {"name": "catalogue"}},
                    {"name": "certs", "secret": {"secretName": "certs"}},
                    {"name": "scratch", "emptyDir": {}},
                    {"name": "big", "emptyDir": {"sizeLimit": "1024Mi"}},
                    {"name": "documents", "persistentVolumeClaim": {"claimName": "documents", "readOnly": false}},
                    {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "vault"}}]}},
                    {"name": "vault", "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": true}},
                ],
                "runtime": {"volumeMounts": [
                    {"name": "catalogue", "mountPath": "/catalogue", "readOnly": true},
                    {"name": "scratch", "mountPath": "/scratch", "readOnly": false, "subPath": ""},
                ]},
            }),
        ),
        (
            "pod_labels",
            json!({"pod": {"labels": {"team": "orders", "empty": ""}, "annotations": {"example.com/contact": "a@example.com"}}}),
        ),
        (
            "scheduling",
            json!({"pod": {
                "nodeSelector": {"kubernetes.io/arch": "amd64"},
                "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
                "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}},
                ]}},
                "priorityClassName": "high",
                "runtimeClassName": "gvisor",
            }}),
        ),
        (
            "topology_spread",
            json!({"pod": {"topologySpreadConstraints": [
                {"maxSkew": 2, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"},
                {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"a": "b"}}},
            ]}}),
        ),
        (
            "pod_security",
            json!({"pod": {"securityContext": {
                "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001, "fsGroupChangePolicy": "OnRootMismatch",
                "supplementalGroups": [20001], "seLinuxOptions": {"level": "s0:c1,c2"},
            }}}),
        ),
        (
            "dns",
            json!({"pod": {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.0.0.53"], "options": [{"name": "ndots", "value": "2"}]}}}),
        ),
        ("own_service_account", json!({"pod": {"serviceAccount": {"name": "orders"}}})),
        (
            "service_account_annotations",
            json!({"pod": {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn"}}}}),
        ),
        (
            "service",
            json!({"service": {
                "type": "LoadBalancer", "port": 443, "loadBalancerClass": "example.com/lb", "sessionAffinity": "ClientIP",
                "labels": {"team": "orders", "app.example.com/x": "y"}, "annotations": {"example.com/internal": "true"},
            }}),
        ),
        ("node_port", json!({"service": {"type": "NodePort"}})),
        (
            "probes",
            json!({"probes": {
                "startup": {"periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 4},
                "readiness": {"periodSeconds": 5, "timeoutSeconds": 6, "failureThreshold": 7, "successThreshold": 8},
                "liveness": {"periodSeconds": 9, "timeoutSeconds": 10, "failureThreshold": 11},
            }}),
        ),
        (
            "rollout",
            json!({"rollout": {
                "maxSurge": "25%", "maxUnavailable": 1, "minReadySeconds": 0, "drainDelay": "0s", "drainTimeout": "1m",
                "progressDeadline": "90500ms",
            }}),
        ),
    ]
}

#[test]
fn the_smallest_resource() {
    insta::assert_snapshot!(crate::to_yaml(&built(json!({}))));
}

/// The leaves of all children by their place; hashes left out, since they change with anything.
fn flat(objects: &Objects) -> BTreeMap<String, String> {
    fn walk(value: &Value, place: &str, all: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                map.iter().for_each(|(key, value)| walk(value, &format!("{place}.{key}"), all));
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, value) in items.iter().enumerate() {
                    let index = value["name"].as_str().map_or_else(|| index.to_string(), str::to_owned);
                    walk(value, &format!("{place}[{index}]"), all);
                }
            }
            Value::String(text) if place.ends_with("production.json") => {
                walk(&serde_json::from_str(text).unwrap(), place, all);
            }
            leaf => {
                if !place.contains(annotations::DESIRED_HASH) {
                    all.insert(place.to_owned(), leaf.to_string());
                }
            }
        }
    }
    let mut all = BTreeMap::new();
    let Objects { service_account, config_map, api_key, service, deployment } = objects;
    let as_value = |object: &dyn erased::Json| object.json();
    for (name, value) in [
        ("ServiceAccount", service_account.as_ref().map(|object| as_value(object))),
        ("ConfigMap", Some(as_value(config_map))),
        ("Secret", api_key.as_ref().map(|secret| as_value(&secret.with_key(&[0; 32])))),
        ("Service", Some(as_value(service))),
        ("Deployment", Some(as_value(deployment))),
    ] {
        if let Some(value) = value {
            walk(&value, name, &mut all);
        }
    }
    all
}

/// Serialisation behind a trait object, so that children of all kinds fit into one list.
mod erased {
    pub(super) trait Json {
        fn json(&self) -> serde_json::Value;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> serde_json::Value {
            serde_json::to_value(self).unwrap()
        }
    }
}

#[test]
fn what_each_feature_changes() {
    let smallest = flat(&built(json!({})));
    for (name, spec) in features() {
        let changed = flat(&built(spec.clone()));
        let places: std::collections::BTreeSet<_> = smallest.keys().chain(changed.keys()).collect();
        let mut text = format!("{spec:#}\n\n");
        for place in places {
            match (smallest.get(place), changed.get(place)) {
                (None, Some(new)) => text.push_str(&format!("+ {place} = {new}\n")),
                (Some(old), None) => text.push_str(&format!("- {place} = {old}\n")),
                (Some(old), Some(new)) if old != new => {
                    text.push_str(&format!("~ {place} = {old} -> {new}\n"))
                }
                _ => {}
            }
        }
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn a_thousand_renderings_are_one() {
    let (_, spec) = features().into_iter().find(|(name, _)| *name == "volumes").unwrap();
    let server = valid(spec);
    let first = objects(&server, &settings());
    assert!((0..1000).all(|_| objects(&server, &settings()) == first));
}

#[test]
fn a_tools_text_changes_the_config_map_and_nothing_else() {
    let (one, other) =
        (built(json!({})), built(json!({"config": {"tools": [{"name": "greet", "text": "Good day"}]}})));
    assert_ne!(hash(&one.config_map), hash(&other.config_map));
    assert_eq!(one.deployment, other.deployment);
    assert_eq!(one.service, other.service);
    assert_eq!(one.service_account, other.service_account);
}

#[test]
fn scaling_changes_no_pod() {
    let template = |replicas: i32| built(json!({"replicas": replicas})).deployment.spec.unwrap().template;
    assert_eq!(template(1), template(5));
}

#[test]
fn a_newer_image_of_the_operators_changes_pods_unless_the_resource_names_one() {
    let newer = Settings { runtime_image: "localhost/mcp-server:0.2.0".into(), ..settings() };
    let pinned = valid(json!({"runtime": {"image": "example.com/own:1"}}));
    assert_ne!(
        objects(&valid(json!({})), &settings()).deployment,
        objects(&valid(json!({})), &newer).deployment
    );
    assert_eq!(objects(&pinned, &settings()), objects(&pinned, &newer));
}

#[test]
fn labels_of_the_user_never_hide_ours() {
    let spec = json!({"pod": {"labels": {"team": "x"}}, "service": {"labels": {"team": "x"}}});
    let objects = built(spec);
    let pod = objects.deployment.spec.unwrap().template.metadata.unwrap().labels.unwrap();
    let selector = labels::selector("hello");
    assert!(selector.iter().all(|(key, value)| pod.get(key) == Some(value)));
    let service = objects.service.metadata.labels.unwrap();
    assert_eq!(service["app.kubernetes.io/managed-by"], "mcp-operator");
    assert_eq!(service["team"], "x");
}

#[test]
fn a_key_is_made_of_the_bytes_given_and_the_servers_file_holds_only_its_digest() {
    let secret = built(json!({})).api_key.unwrap();
    assert_eq!((secret.name(), secret.namespace()), ("hello-api-key", "shop"));
    let data = secret.with_key(&[0xab; 32]).data.unwrap();
    let key = format!("mcp_{}", "ab".repeat(32));
    assert_eq!(data["key"].0, key.as_bytes());
    let file: Value = serde_json::from_slice(&data["keys.json"].0).unwrap();
    assert_eq!(file, json!({"keys": [{"id": "default", "sha256": sha256(&key)}]}));
    // As `printf %s abc | sha256sum` has it, and the page on keys.
    assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_ne!(secret.with_key(&[1; 32]), secret.with_key(&[2; 32]));
}

#[test]
fn a_resource_outside_a_cluster_has_children_without_owner() {
    let mut server = crate::fixtures::server(json!({}));
    server.metadata.uid = None;
    server.metadata.namespace = None;
    let objects = objects(&crate::validate(&server, &crate::Observed::default()).unwrap(), &settings());
    assert_eq!(objects.config_map.metadata.owner_references, None);
    assert_eq!(objects.config_map.metadata.namespace.as_deref(), Some("default"));
}
