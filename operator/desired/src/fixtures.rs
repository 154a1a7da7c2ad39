//! Resources and pods for tests.

use std::sync::Arc;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use mcp_crds::{McpServer, annotations};
use serde_json::{Value, json};

use crate::{Applied, Objects, Observed, Settings, Timestamp, ValidatedServer, Verdict, objects, validate};

/// The smallest resource, with `spec` laid over it.
pub(crate) fn server(spec: Value) -> McpServer {
    let mut object = json!({
        "apiVersion": "mcp-operator.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": "hello", "namespace": "shop", "uid": "0c8d5a54", "generation": 3},
        "spec": {"config": {"tools": [{"name": "greet", "text": "Hello"}]}},
    });
    merge(&mut object["spec"], spec);
    serde_json::from_value(object).unwrap()
}

pub(crate) fn valid(spec: Value) -> ValidatedServer {
    validate(&server(spec), &Observed::default()).unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings {
        runtime_image: "localhost/mcp-server:0.1.0".to_owned(),
        runtime_image_pull_policy: "IfNotPresent".to_owned(),
    }
}

pub(crate) fn built(spec: Value) -> Objects {
    objects(&valid(spec), &settings())
}

pub(crate) fn applied(spec: Value) -> Verdict {
    Verdict::Applied(Applied::of(&valid(spec.clone()), &settings(), &built(spec)))
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The Deployment of a resource with this status, which its controller has seen unless it says otherwise.
pub(crate) fn deployment(spec: Value, status: Value) -> Arc<Deployment> {
    let mut live = serde_json::to_value(built(spec).deployment).unwrap();
    live["metadata"]["generation"] = json!(7);
    let mut all = json!({"observedGeneration": 7});
    merge(&mut all, status);
    live["status"] = all;
    Arc::new(serde_json::from_value(live).unwrap())
}

/// A Deployment's status in which everything is well.
pub(crate) fn complete(count: i32) -> Value {
    json!({"replicas": count, "updatedReplicas": count, "readyReplicas": count, "availableReplicas": count})
}

/// A pod of the newest version that is not ready, with `status` laid over its status.
pub(crate) fn pod(name: &str, status: Value) -> Arc<Pod> {
    let mut pod = json!({
        "metadata": {
            "name": name,
            "namespace": "shop",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"pod-template-hash": "new"},
        },
        "status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:01Z"}]},
    });
    merge(&mut pod["status"], status);
    Arc::new(serde_json::from_value(pod).unwrap())
}

/// The status of a pod whose server container is in this state.
pub(crate) fn container(state: Value) -> Value {
    let mut container = json!({
        "name": "mcp-server", "image": "localhost/mcp-server:0.1.0", "imageID": "", "ready": false, "restartCount": 0,
    });
    merge(&mut container, state);
    json!({"containerStatuses": [container]})
}

/// Lays one JSON value over another: maps are merged, everything else is replaced.
pub(crate) fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// The hash that an object carries.
pub(crate) fn hash(object: &impl kube::Resource) -> &str {
    &object.meta().annotations.as_ref().unwrap()[annotations::DESIRED_HASH]
}
