//! What is taken and what is refused at admission, and whether the words name the field.

use serde_json::{Value, json};

use crate::{DOOR, prune, refusals};

/// The smallest resource, with one field replaced.
fn with(path: &str, value: Value) -> Value {
    let mut object = json!({
        "apiVersion": "mcp-operator.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": "hello", "namespace": "default"},
        "spec": {"config": {"tools": [{"name": "greet", "text": "Hello"}]}},
    });
    if path.is_empty() {
        return object;
    }
    let mut place = &mut object;
    for step in path.split('.') {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    *place = value;
    object
}

#[test]
fn taken() {
    for (path, value) in [
        ("", json!(null)),
        ("spec.replicas", json!(0)),
        ("spec.replicas", json!(1000)),
        ("spec.paused", json!(true)),
        ("spec.config.auth", json!({"apiKeys": {"secretKeyRef": {"name": "clients", "key": "keys.json"}}})),
        ("spec.config.auth", json!({"mode": "Disabled"})),
        ("spec.config.performance", json!({"requestTimeout": "1m30s"})),
        (
            "spec.config.tools.0.inputSchema",
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "$defs": {}}),
        ),
        (
            "spec.runtime.resources",
            json!({"requests": {"cpu": 1, "memory": "64Mi"}, "limits": {"memory": "1.5Gi"}}),
        ),
        (
            "spec.runtime.env",
            json!([{"name": "A", "value": "b"}, {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
        ),
        ("spec.service", json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/lb", "port": 443})),
        (
            "spec.rollout",
            json!({"maxSurge": "25%", "maxUnavailable": 0, "drainDelay": "10m", "drainTimeout": "1h"}),
        ),
        ("spec.rollout", json!({"maxSurge": 0, "maxUnavailable": 1})),
        ("spec.pod.serviceAccount", json!({"name": "orders"})),
        ("spec.pod.tolerations", json!([{"key": "a", "operator": "Exists"}])),
        (
            "spec.pod.topologySpreadConstraints",
            json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]),
        ),
        ("metadata.name", json!("a".repeat(52))),
    ] {
        assert_eq!(refusals(&with(path, value.clone())), Vec::<String>::new(), "{path} = {value}");
    }
    let mut mounted = with("spec.volumes", json!([{"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}]));
    mounted["spec"]["runtime"] = json!({"volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    assert_eq!(refusals(&mounted), Vec::<String>::new());
}

#[test]
fn refused() {
    for (path, value, words) in [
        ("spec.config.tools", json!([]), "spec.config.tools: a server needs at least one tool"),
        ("spec.config", json!({}), "spec.config.tools: a server needs at least one tool"),
        ("spec", json!({}), "\"config\" is a required property"),
        ("spec.replicas", json!(-1), "/spec/replicas: -1 is less than the minimum of 0"),
        ("spec.replicas", json!(1001), "/spec/replicas: 1001 is greater than the maximum of 1000"),
        ("spec.replicas", json!("3"), "/spec/replicas: \"3\" is not of type \"integer\""),
        ("metadata.name", json!("a".repeat(53)), "metadata.name: the name must have at most 52 characters"),
        (
            "metadata.name",
            json!("1st"),
            "metadata.name: the name must be a DNS label that starts with a letter",
        ),
        (
            "metadata.name",
            json!("a.b"),
            "metadata.name: the name must be a DNS label that starts with a letter",
        ),
        (
            "spec.config.tools.0.name",
            json!("two words"),
            "/spec/config/tools/0/name: \"two words\" does not match",
        ),
        (
            "spec.config.tools.0.cel",
            json!("'a'"),
            "spec.config.tools[0].cel: exactly one of cel, text and http must be set",
        ),
        (
            "spec.config.tools.0.inputSchema",
            json!({"type": "array"}),
            "/spec/config/tools/0/inputSchema/type",
        ),
        ("spec.config.tools.0.inputSchema", json!({"properties": {}}), "\"type\" is a required property"),
        (
            "spec.config.performance",
            json!({"requestTimeout": "30"}),
            "/spec/config/performance/requestTimeout",
        ),
        ("spec.config.auth", json!({"mode": "Sometimes"}), "/spec/config/auth/mode"),
        (
            "spec.config.auth",
            json!({"apiKeys": {"value": "secret"}}),
            "\"secretKeyRef\" is a required property",
        ),
        ("spec.config.http", json!({"maxBody": "4 MB"}), "/spec/config/http/maxBody"),
        ("spec.runtime.image", json!("a b"), "/spec/runtime/image"),
        ("spec.runtime.imagePullPolicy", json!("Sometimes"), "/spec/runtime/imagePullPolicy"),
        (
            "spec.runtime.resources",
            json!({"limits": {"memory": "much"}}),
            "/spec/runtime/resources/limits/memory",
        ),
        (
            "spec.runtime.volumeMounts",
            json!([{"name": "data", "mountPath": "/data"}]),
            "spec.runtime.volumeMounts: every volume mount must name one of spec.volumes",
        ),
        ("spec.volumes", json!([{"name": "data"}]), "exactly one of configMap, secret, emptyDir"),
        (
            "spec.volumes",
            json!([{"name": "data", "hostPath": {"path": "/"}}]),
            "exactly one of configMap, secret, emptyDir",
        ),
        (
            "spec.volumes",
            json!([{"name": "data", "emptyDir": {}, "secret": {"secretName": "a"}}]),
            "exactly one of configMap, secret, emptyDir",
        ),
        ("spec.pod.securityContext", json!({"runAsUser": 0}), "/spec/pod/securityContext/runAsUser"),
        ("spec.pod.labels", json!({"team": "a b"}), "/spec/pod/labels/team"),
        (
            "spec.pod.serviceAccount",
            json!({"name": "a", "annotations": {"b": "c"}}),
            "spec.pod.serviceAccount.annotations: annotations are for",
        ),
        ("spec.service.port", json!(0), "/spec/service/port"),
        (
            "spec.service.loadBalancerClass",
            json!("x"),
            "spec.service.loadBalancerClass: loadBalancerClass needs type: LoadBalancer",
        ),
        ("spec.probes.readiness", json!({"periodSeconds": 0}), "/spec/probes/readiness/periodSeconds"),
        (
            "spec.rollout",
            json!({"maxSurge": 0}),
            "spec.rollout.maxSurge: maxSurge and maxUnavailable must not both be 0",
        ),
        (
            "spec.rollout",
            json!({"maxSurge": "0%", "maxUnavailable": "0%"}),
            "spec.rollout.maxSurge: maxSurge and maxUnavailable must not both be 0",
        ),
        ("spec.rollout", json!({"maxSurge": "150%"}), "/spec/rollout/maxSurge"),
        ("spec.rollout", json!({"drainDelay": "11m"}), "spec.rollout.drainDelay: must be at most 10m"),
        ("spec.rollout", json!({"drainTimeout": "2h"}), "spec.rollout.drainTimeout: must be at most 1h"),
        (
            "spec.rollout",
            json!({"progressDeadline": "1s"}),
            "spec.rollout.progressDeadline: must be 10s to 24h",
        ),
        ("spec.rollout", json!({"drainDelay": "5 seconds"}), "/spec/rollout/drainDelay"),
    ] {
        let said = refusals(&with(path, value.clone()));
        assert!(said.iter().any(|text| text.contains(words)), "{path} = {value}: {said:?}");
    }
}

#[test]
fn secrets_in_clear_are_never_stored() {
    let keys = json!({"secretKeyRef": {"name": "a", "key": "b"}, "value": "canary", "file": "/etc/passwd", "env": "HOME"});
    let (stored, dropped) = prune(&DOOR.schema, &with("spec.config.auth", json!({"apiKeys": keys})), "");
    assert_eq!(
        stored["spec"]["config"]["auth"]["apiKeys"],
        json!({"secretKeyRef": {"name": "a", "key": "b"}})
    );
    assert_eq!(dropped.len(), 3, "{dropped:?}");
}

#[test]
fn an_object_without_optional_fields_writes_no_nulls() {
    let server: mcp_crds::McpServer = serde_json::from_value(with("", json!(null))).unwrap();
    let written = serde_json::to_value(&server).unwrap();
    assert!(!written.to_string().contains("null"), "{written}");
    assert_eq!(
        written["spec"],
        json!({"replicas": 1, "config": {"tools": [{"name": "greet", "text": "Hello"}]}})
    );
}
