//! What counts as a difference and what does not, over every feature that can be set.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;
use crate::{fixtures::built, objects::tests::features};

/// What the API server adds to an object, rewrites and drops.
fn server_defaults(object: &Value) -> Value {
    let mut live = object.clone();
    drop_zeros(&mut live);
    fill(
        &mut live["metadata"],
        json!({
            "uid": "1", "resourceVersion": "5", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "mcp-operator", "operation": "Apply"}],
        }),
    );
    match object["kind"].as_str().unwrap() {
        "Deployment" => {
            fill(&mut live["metadata"], json!({"annotations": {"deployment.kubernetes.io/revision": "1"}}));
            fill(&mut live["status"], json!({"replicas": 1, "observedGeneration": 2}));
            pod_defaults(&mut live["spec"]["template"]["spec"]);
        }
        "Service" => {
            fill(
                &mut live["spec"],
                json!({
                    "clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ipFamilies": ["IPv4"],
                    "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": true,
                    "externalTrafficPolicy": "Cluster", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
                }),
            );
            live["spec"]["ports"][0]["nodePort"] = json!(30123);
            fill(&mut live["status"], json!({"loadBalancer": {}}));
        }
        _ => {}
    }
    live
}

fn pod_defaults(pod: &mut Value) {
    let account = pod["serviceAccountName"].clone();
    fill(
        pod,
        json!({
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
            "serviceAccount": account,
        }),
    );
    let container = &mut pod["containers"][0];
    fill(container, json!({"terminationMessagePath": "/dev/termination-log"}));
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        fill(&mut container[probe], json!({"successThreshold": 1, "httpGet": {"scheme": "HTTP"}}));
    }
    for variable in container["env"].as_array_mut().into_iter().flatten() {
        if variable["valueFrom"]["fieldRef"].is_object() {
            fill(&mut variable["valueFrom"]["fieldRef"], json!({"apiVersion": "v1"}));
        } else if let Some(variable) = variable.as_object_mut() {
            variable.retain(|_, value| !value.is_null());
        }
    }
    for section in ["requests", "limits"] {
        for amount in
            container["resources"][section].as_object_mut().into_iter().flat_map(|map| map.values_mut())
        {
            *amount = canonical(amount);
        }
    }
    for volume in pod["volumes"].as_array_mut().into_iter().flatten() {
        for kind in ["configMap", "secret", "projected"] {
            if volume.get(kind).is_some() {
                fill(&mut volume[kind], json!({"defaultMode": 420}));
            }
        }
        if let Some(limit) = volume.get_mut("emptyDir").and_then(|dir| dir.get_mut("sizeLimit")) {
            *limit = canonical(limit);
        }
    }
}

fn canonical(amount: &Value) -> Value {
    match amount.as_str() {
        Some("0.5") => json!("500m"),
        Some("1.5Gi") => json!("1536Mi"),
        Some("1024Mi") => json!("1Gi"),
        _ => amount.clone(),
    }
}

/// Adds what is missing, and leaves what is there.
fn fill(object: &mut Value, defaults: Value) {
    if object.is_null() {
        *object = json!({});
    }
    let Value::Object(defaults) = defaults else { return };
    for (key, default) in defaults {
        match object.get_mut(&key) {
            Some(there) if there.is_object() && default.is_object() => fill(there, default),
            Some(_) => {}
            None => object[&key] = default,
        }
    }
}

/// Drops what Go's `omitempty` drops from fields that are no pointers: the ones that users can set.
fn drop_zeros(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (field, zero) in [("readOnly", json!(false)), ("value", json!("")), ("subPath", json!(""))] {
                if map.get(field) == Some(&zero) {
                    map.remove(field);
                }
            }
            map.values_mut().for_each(drop_zeros);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_zeros),
        _ => {}
    }
}

fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap()
}

fn typed<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn settles<K: Resource + Serialize + DeserializeOwned>(desired: &K) {
    let live: K = typed(server_defaults(&value(desired)));
    assert_eq!(difference(desired, Some(&live)), Difference::None);
    // The other way round would be no comparison at all.
    assert!(!needs_apply(desired, &live));
}

#[test]
fn what_the_api_server_adds_is_no_difference() {
    for (_, spec) in features() {
        let objects = built(spec);
        settles(&objects.config_map);
        settles(&objects.service);
        settles(&objects.deployment);
        objects.service_account.as_ref().into_iter().for_each(settles);
    }
}

#[test]
fn what_is_not_there_is_missing_and_what_is_old_is_outdated() {
    let (old, new) = (built(json!({})), built(json!({"replicas": 2})));
    assert_eq!(difference(&new.deployment, None), Difference::Missing);
    assert_eq!(
        difference(&new.deployment, Some(&old.deployment)),
        Difference::Outdated(vec!["spec.replicas".into()])
    );
    assert_eq!(difference(&new.service, Some(&old.service)), Difference::None);
}

/// The places of all leaves of a value.
fn leaves(value: &Value, place: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                place.push(key.clone());
                leaves(value, place, all);
                place.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                place.push(index.to_string());
                leaves(value, place, all);
                place.pop();
            }
        }
        _ => all.push(place.clone()),
    }
}

fn edited(value: &Value, place: &[String], edit: &dyn Fn(&Value) -> Value) -> Value {
    let pointer = place
        .iter()
        .fold(String::new(), |pointer, step| pointer + "/" + &step.replace('~', "~0").replace('/', "~1"));
    let mut value = value.clone();
    let leaf = value.pointer_mut(&pointer).unwrap();
    *leaf = edit(leaf);
    value
}

fn another(leaf: &Value) -> Value {
    match leaf {
        Value::Bool(set) => json!(!set),
        Value::Number(number) => json!(number.as_i64().unwrap() + 1),
        Value::String(text) if crate::quantity::nanos(text).is_some() => json!("77"),
        Value::String(text) => json!(format!("{text}x")),
        Value::Object(_) => json!({"medium": "Memory"}),
        other => panic!("{other} is no leaf of ours"),
    }
}

fn every_edit_is_seen<K: Resource + Serialize + DeserializeOwned>(desired: &K) {
    let wanted = value(desired);
    let live = server_defaults(&wanted);
    let mut all = Vec::new();
    leaves(&wanted, &mut Vec::new(), &mut all);
    for place in all {
        // What an object is called cannot be edited; and an empty directory of ours with another's options is still one.
        let shown = place.join(".");
        let there = wanted
            .pointer(&format!(
                "/{}",
                place
                    .iter()
                    .map(|step| step.replace('~', "~0").replace('/', "~1"))
                    .collect::<Vec<_>>()
                    .join("/")
            ))
            .unwrap();
        let fixed = ["apiVersion", "kind", "metadata.name", "metadata.namespace"].contains(&shown.as_str());
        if fixed
            || there.is_object()
            || live
                .pointer(&format!(
                    "/{}",
                    place
                        .iter()
                        .map(|step| step.replace('~', "~0").replace('/', "~1"))
                        .collect::<Vec<_>>()
                        .join("/")
                ))
                .is_none()
        {
            continue;
        }
        let changed: K = typed(edited(&live, &place, &another));
        assert!(needs_apply(desired, &changed), "an edit of {shown} went unseen");
    }
}

#[test]
fn a_hand_edit_of_any_field_of_ours_is_seen() {
    for (_, spec) in features() {
        let objects = built(spec);
        every_edit_is_seen(&objects.config_map);
        every_edit_is_seen(&objects.service);
        every_edit_is_seen(&objects.deployment);
        objects.service_account.as_ref().into_iter().for_each(every_edit_is_seen);
    }
}

#[test]
fn fields_of_others_are_no_difference() {
    let desired = built(json!({})).deployment;
    let mut live = server_defaults(&value(&desired));
    live["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!("now");
    live["metadata"]["labels"]["team"] = json!("x");
    live["spec"]["template"]["metadata"]["annotations"]["sidecar.istio.io/status"] = json!("injected");
    live["spec"]["template"]["spec"]["hostAliases"] = json!([{"ip": "10.0.0.1"}]);
    let containers = live["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
    containers.insert(0, json!({"name": "istio-proxy", "image": "x", "volumeMounts": [{"name": "istio-data", "mountPath": "/d"}]}));
    containers[1]["ports"].as_array_mut().unwrap().insert(0, json!({"containerPort": 1, "protocol": "TCP"}));
    let volumes = live["spec"]["template"]["spec"]["volumes"].as_array_mut().unwrap();
    volumes.push(json!({"name": "istio-data", "emptyDir": {}}));
    live["spec"]["template"]["spec"]["initContainers"] = json!([{"name": "istio-init", "image": "x"}]);
    let live: Deployment = typed(live);
    assert_eq!(difference(&desired, Some(&live)), Difference::None);
    assert_eq!(crate::foreign::sidecars(&live), ["istio-init", "istio-proxy"]);

    let desired = built(json!({})).service;
    let mut live = server_defaults(&value(&desired));
    live["spec"]["ports"].as_array_mut().unwrap().push(json!({"port": 9090, "protocol": "TCP", "name": "x"}));
    let live: Service = typed(live);
    assert_eq!(difference(&desired, Some(&live)), Difference::None);
}

/// Edits that change what runs, each with the field that is named and what takes it out again.
#[test]
fn what_others_add_to_what_runs_is_a_difference_and_is_taken_out() {
    const CONTAINER: &str = "spec.template.spec.containers[mcp-server]";
    let ours = |below: Value| {
        let mut entry = json!({"name": "mcp-server"});
        entry.as_object_mut().unwrap().extend(below.as_object().unwrap().clone());
        json!({"containers": [entry]})
    };
    type Edit = fn(&mut Value);
    let table: Vec<(Edit, String, Value)> = vec![
        (
            |pod| pod["containers"][0]["env"] = json!([{"name": "MCP_AUTH_MODE", "value": "Disabled"}]),
            format!("{CONTAINER}.env[MCP_AUTH_MODE]"),
            ours(json!({"env": [{"name": "MCP_AUTH_MODE", "$patch": "delete"}]})),
        ),
        (
            |pod| pod["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": "x"}}]),
            format!("{CONTAINER}.envFrom"),
            ours(json!({"envFrom": null})),
        ),
        (
            |pod| pod["containers"][0]["command"] = json!(["/bin/sh"]),
            format!("{CONTAINER}.command"),
            ours(json!({"command": null})),
        ),
        (
            |pod| pod["containers"][0]["securityContext"]["privileged"] = json!(true),
            format!("{CONTAINER}.securityContext"),
            ours(json!({"securityContext": {"privileged": null}})),
        ),
        (
            |pod| pod["containers"][0]["securityContext"]["capabilities"]["add"] = json!(["NET_ADMIN"]),
            format!("{CONTAINER}.securityContext"),
            ours(json!({"securityContext": {"capabilities": {"add": null}}})),
        ),
        (
            |pod| pod["containers"][0]["volumeMounts"][0]["subPath"] = json!("other"),
            format!("{CONTAINER}.volumeMounts[/app/config].subPath"),
            ours(json!({"volumeMounts": [{"mountPath": "/app/config", "subPath": null}]})),
        ),
        (
            |pod| {
                pod["containers"][0]["volumeMounts"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({"name": "mcp-tmp", "mountPath": "/x"}));
            },
            format!("{CONTAINER}.volumeMounts[/x]"),
            ours(json!({"volumeMounts": [{"mountPath": "/x", "$patch": "delete"}]})),
        ),
        (
            |pod| pod["containers"][0]["ports"][0]["hostPort"] = json!(8080),
            format!("{CONTAINER}.ports[8080,TCP].hostPort"),
            ours(json!({"ports": [{"containerPort": 8080, "protocol": "TCP", "hostPort": null}]})),
        ),
        (
            |pod| pod["containers"].as_array_mut().unwrap().push(json!({"name": "miner", "image": "x"})),
            "spec.template.spec.containers[miner]".to_owned(),
            json!({"containers": [{"name": "miner", "$patch": "delete"}]}),
        ),
        (
            |pod| pod["initContainers"] = json!([{"name": "first", "image": "x"}]),
            "spec.template.spec.initContainers[first]".to_owned(),
            json!({"initContainers": [{"name": "first", "$patch": "delete"}]}),
        ),
        (
            |pod| pod["hostNetwork"] = json!(true),
            "spec.template.spec.hostNetwork".to_owned(),
            json!({"hostNetwork": null}),
        ),
        (
            |pod| pod["hostPID"] = json!(true),
            "spec.template.spec.hostPID".to_owned(),
            json!({"hostPID": null}),
        ),
        (
            |pod| pod["hostIPC"] = json!(true),
            "spec.template.spec.hostIPC".to_owned(),
            json!({"hostIPC": null}),
        ),
        (
            |pod| pod["securityContext"]["runAsUser"] = json!(0),
            "spec.template.spec.securityContext".to_owned(),
            json!({"securityContext": {"runAsUser": null}}),
        ),
        (
            |pod| {
                pod["volumes"].as_array_mut().unwrap().push(json!({"name": "h", "hostPath": {"path": "/"}}));
            },
            "spec.template.spec.volumes[h]".to_owned(),
            json!({"volumes": [{"name": "h", "$patch": "delete"}]}),
        ),
    ];
    let desired = built(json!({})).deployment;
    for (edit, field, removal) in table {
        let mut live = server_defaults(&value(&desired));
        edit(&mut live["spec"]["template"]["spec"]);
        let live: Deployment = typed(live);
        assert_eq!(difference(&desired, Some(&live)), Difference::Drifted(vec![field.clone()]));
        let patch = crate::foreign::removal(&desired, &live).unwrap();
        assert_eq!(
            patch,
            json!({"metadata": {"uid": "1"}, "spec": {"template": {"spec": removal}}}),
            "{field}"
        );
    }
    let live: Deployment = typed(server_defaults(&value(&desired)));
    assert_eq!(crate::foreign::removal(&desired, &live), None);
}

#[test]
fn a_difference_says_where() {
    let desired = built(json!({})).deployment;
    let mut live = server_defaults(&value(&desired));
    live["spec"]["replicas"] = json!(5);
    live["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other");
    live["spec"]["template"]["spec"]["volumes"].as_array_mut().unwrap().remove(0);
    let live: Deployment = typed(live);
    assert_eq!(
        difference(&desired, Some(&live)),
        Difference::Drifted(vec![
            "spec.replicas".into(),
            "spec.template.spec.containers[mcp-server].image".into(),
            "spec.template.spec.volumes[mcp-config]".into(),
        ])
    );
}

#[test]
fn a_false_of_ours_that_somebody_removed_is_seen() {
    let desired = built(json!({})).deployment;
    for field in ["automountServiceAccountToken", "enableServiceLinks"] {
        let mut live = server_defaults(&value(&desired));
        live["spec"]["template"]["spec"].as_object_mut().unwrap().remove(field);
        assert!(needs_apply(&desired, &typed::<Deployment>(live)), "{field}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_mix_of_features_settles(picks in proptest::collection::vec(any::<bool>(), 32), replicas in 0..1000) {
        let mut spec = json!({"replicas": replicas});
        for ((_, feature), picked) in features().into_iter().zip(picks) {
            if picked {
                crate::fixtures::merge(&mut spec, feature);
            }
        }
        // Some features exclude each other.
        if let Ok(valid) = crate::validate(&crate::fixtures::server(spec), &crate::Observed::default()) {
            let objects = crate::objects(&valid, &crate::fixtures::settings());
            settles(&objects.config_map);
            settles(&objects.service);
            settles(&objects.deployment);
        }
    }
}
