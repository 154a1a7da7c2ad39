//! What is said of a server that answers, that is on its way, and that answers no more.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{applied, complete, container, deployment, pod, server};

#[test]
fn a_server_that_answers() {
    let status = after(json!({"replicas": 2}), complete(2), vec![]);
    assert_eq!(shown(&status, "Ready"), Some(("True", "Ready", "Serving 1 tool on 2 pods")));
    assert_eq!(shown(&status, "Available"), Some(("True", "Serving", "At least one pod answers")));
    assert_eq!(types(&status), ["Ready", "Available"]);
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(
        (status.replicas, status.ready_replicas, status.updated_replicas),
        (Some(2), Some(2), Some(2))
    );
    assert_eq!(status.url.as_deref(), Some("http://hello.shop.svc/mcp"));
    assert_eq!(status.image.as_deref(), Some("localhost/mcp-server:0.1.0"));
    assert_eq!(status.api_key_secret.as_deref(), Some("hello-api-key"));
    assert_eq!(status.config_hash.as_ref().map(String::len), Some(64));
    assert_eq!(
        status.selector.as_deref(),
        Some(
            "app.kubernetes.io/instance=hello,app.kubernetes.io/managed-by=mcp-operator,app.kubernetes.io/name=mcp-server"
        )
    );
    let port = after(json!({"service": {"port": 8080}}), complete(1), vec![]);
    assert_eq!(port.url.as_deref(), Some("http://hello.shop.svc:8080/mcp"));
}

#[test]
fn a_server_that_is_on_its_way() {
    let starting = |status: Value| after(json!({}), status, vec![]);
    for (status, sentence, word) in [
        (starting(json!({"observedGeneration": null})), "Starting: 0 of 1 pod ready", "Creating"),
        (starting(json!({"observedGeneration": 6})), "Starting: 0 of 1 pod ready", "Creating"),
        (starting(json!({"replicas": 1, "updatedReplicas": 1})), "Starting: 0 of 1 pod ready", "Creating"),
        (
            after(
                json!({"replicas": 3}),
                json!({"replicas": 4, "updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 3}),
                vec![],
            ),
            "Rolling out: 2 of 3 pods run the current version, 3 ready",
            "RollingOut",
        ),
        (
            after(
                json!({"replicas": 3}),
                json!({"replicas": 3, "updatedReplicas": 3, "readyReplicas": 1, "availableReplicas": 1}),
                vec![],
            ),
            "Starting: 1 of 3 pods ready",
            "Updating",
        ),
        (
            after(
                json!({"replicas": 0}),
                json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}),
                vec![],
            ),
            "Scaling to zero: 1 pod still there",
            "Updating",
        ),
    ] {
        assert_eq!(shown(&status, "Ready"), Some(("False", "Progressing", sentence)));
        assert_eq!(shown(&status, "Reconciling"), Some(("True", word, sentence)));
        assert_eq!(shown(&status, "Stalled"), None);
    }
}

#[test]
fn a_ready_pod_that_is_too_young_does_not_make_a_server_ready() {
    let young = json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 0});
    assert_eq!(shown(&after(json!({}), young, vec![]), "Ready").unwrap().0, "False");
}

#[test]
fn a_deployment_from_before_this_pass_does_not_make_a_server_ready() {
    let spec = json!({"runtime": {"image": "example.com/own:2"}});
    let observed = Observed { deployment: Some(deployment(json!({}), complete(1))), ..Observed::default() };
    let status = status(&server(spec.clone()), &observed, &applied(spec), now());
    assert_eq!(shown(&status, "Ready").unwrap().1, "Progressing");
    assert_eq!(shown(&status, "Available").unwrap().0, "True");
}

#[test]
fn scaled_to_zero_is_ready() {
    let status = after(json!({"replicas": 0}), json!({}), vec![]);
    assert_eq!(
        shown(&status, "Ready"),
        Some(("True", "ScaledToZero", "Scaled to zero: spec.replicas is 0, so no pod runs"))
    );
    assert_eq!(
        shown(&status, "Available"),
        Some(("False", "NoEndpoints", "No pod answers, and none is wanted"))
    );
    assert_eq!(types(&status), ["Ready", "Available"]);
}

#[test]
fn a_rollout_that_is_stuck_says_where_to_look() {
    let condition = json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"});
    let mut numbers = rolling(1);
    numbers["conditions"] = json!([condition]);
    let running = container(json!({"state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}}));
    let status = after(json!({}), numbers, vec![pod("hello-1", running)]);
    assert_eq!(
        shown(&status, "Ready"),
        Some((
            "False",
            "RolloutStuck",
            "the rollout has made no progress for longer than spec.rollout.progressDeadline; see kubectl describe pod -n shop hello-1; 1 pod of the previous version keeps serving"
        ))
    );
}

#[test]
fn a_pod_that_was_ready_once_is_told_from_one_that_is_starting() {
    let state = |changed: &str| {
        let mut state = container(json!({"state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}}));
        state["conditions"] = json!([{"type": "Ready", "status": "False", "lastTransitionTime": changed}]);
        state
    };
    let numbers = json!({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1});
    let of =
        |changed: &str| after(json!({"replicas": 2}), numbers.clone(), vec![pod("hello-1", state(changed))]);
    assert_eq!(shown(&of("2026-01-01T00:00:04Z"), "Ready").unwrap().1, "Progressing");
    let lost = of("2026-01-01T00:01:00Z");
    assert_eq!(
        shown(&lost, "Ready"),
        Some((
            "False",
            "NotReady",
            "pod hello-1 was ready and answers no more; see kubectl logs -n shop hello-1 -c mcp-server; 1 of 2 pods ready"
        ))
    );
    assert_eq!(shown(&lost, "Stalled"), None);
}

#[test]
fn pods_of_an_earlier_version_and_pods_that_go_do_not_count() {
    let broken = waiting("ErrImagePull", "not found");
    let with = |place: &[&str], value: Value| {
        let mut old = serde_json::to_value(pod("hello-0", broken.clone()).as_ref()).unwrap();
        let mut field = &mut old;
        for step in place {
            field = &mut field[*step];
        }
        *field = value;
        Arc::new(serde_json::from_value::<Pod>(old).unwrap())
    };
    let mut older =
        serde_json::to_value(with(&["metadata", "labels", "pod-template-hash"], json!("old")).as_ref())
            .unwrap();
    older["metadata"]["creationTimestamp"] = json!("2025-12-31T00:00:00Z");
    let older = Arc::new(serde_json::from_value::<Pod>(older).unwrap());
    let evicted = with(&["status", "phase"], json!("Failed"));
    let going = with(&["metadata", "deletionTimestamp"], json!("2026-01-01T00:00:00Z"));
    let starting =
        pod("hello-1", container(json!({"state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}})));
    let status = after(json!({}), rolling(1), vec![older, going, evicted, starting]);
    assert_eq!(shown(&status, "Ready").unwrap().1, "Progressing");
}
