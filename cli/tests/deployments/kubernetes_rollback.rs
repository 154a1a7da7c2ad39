//! A deployment to a cluster that does not become ready: why, and what becomes of what was there before.

use serde_json::{Value, json};

use crate::harness::Desk;
use crate::kubernetes::{desk, list, ready, server};

const DEPLOY: [&str; 4] = ["deploy", "k8s", "-o", "json"];

fn invalid() -> Value {
    json!({"type": "Stalled", "status": "True", "reason": "Invalid", "message": "spec.config.tools[0].cel: no such field"})
}

fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "mcp-production"}})
}

/// A desk on which a server is ready, and the next deployment is invalid and brings a Secret along.
fn about_to_break() -> Desk {
    let desk = desk();
    let old = server("old", 1, ready());
    let new = [server("new", 2, invalid()), secret()];
    let declared = [serde_json::from_str(&desk.read("declared.json")).unwrap(), secret()];
    desk.file("namespace", r#"{"kind": "Namespace"}"#)
        .file("declared.json", &list(&declared))
        .file("present.json", &old.to_string())
        .file("old.json", &old.to_string())
        .file("new.json", &list(&new));
    desk
}

fn items(text: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(text).unwrap()["items"].as_array().unwrap().clone()
}

#[test]
fn an_invalid_server_is_named_and_the_previous_one_comes_back() {
    let desk = about_to_break();
    // The Secret is deleted by itself: the server stays.
    let script = desk.read("kubectl.sh").replace("printf '' >\"$FAKE/present.json\"", ":");
    desk.program("kubectl", &script);
    assert_eq!(
        desk.run(&DEPLOY).error(),
        "k8s was not deployed: McpServer hello is not ready: Invalid: spec.config.tools[0].cel: no such field (`kubectl describe McpServer.mcp-operator.dev/hello --namespace mcp-production` shows more)\nRolled back: what was there before is ready again, and what was new has been deleted. Next: correct the cause, and deploy again"
    );
    let replaced = items(&desk.read("replaced.json"));
    assert_eq!(replaced.len(), 1);
    assert_eq!(replaced[0]["spec"], json!({"text": "old"}));
    assert!(replaced[0].get("status").is_none() && replaced[0]["metadata"].get("resourceVersion").is_none());
    let deleted = items(&desk.read("deleted.json"));
    assert_eq!(deleted.iter().map(|object| &object["kind"]).collect::<Vec<_>>(), ["Secret"]);
    assert!(desk.path("namespace").exists(), "it was there before");
}

#[test]
fn a_first_deployment_that_fails_leaves_nothing_behind() {
    let desk = about_to_break();
    std::fs::remove_file(desk.path("namespace")).unwrap();
    desk.file("present.json", "");
    let error = desk.run(&DEPLOY).error();
    assert!(
        error.contains("\nRolled back: what was new has been deleted, the namespace included. Next:"),
        "{error}"
    );
    assert_eq!(items(&desk.read("deleted.json")).len(), 2);
    assert!(!desk.path("namespace").exists());
    assert_eq!(desk.read("replaced.json"), "");
}

#[test]
fn what_the_api_server_refuses_is_shown_field_by_field() {
    let desk = about_to_break();
    desk.file("apply-fails", "The McpServer \"hello\" is invalid:\n* spec.a: bad\n* spec.b: worse\n");
    let error = desk.run(&DEPLOY).error();
    assert!(
        error.starts_with("k8s was not deployed: `kubectl apply -f examples/hello.yaml --namespace mcp-production` failed: The McpServer \"hello\" is invalid:\n    * spec.a: bad\n    * spec.b: worse; "),
        "{error}"
    );
    assert!(error.contains("\nNothing had been changed. Next:"), "{error}");
}

#[test]
fn the_data_of_a_refused_secret_is_not_repeated() {
    let desk = about_to_break();
    desk.file(
        "apply-fails",
        r#"The request is invalid: patch: Invalid value: "{\"kind\":\"Secret\",\"data\":{\"k\":\"Y2FuYXJ5\"}}": unknown field "dta""#,
    );
    let answer = desk.run(&DEPLOY);
    assert!(
        answer
            .error()
            .contains(r#"failed: The request is invalid: patch: Invalid value: "{…}": unknown field "dta";"#)
    );
    assert!(!answer.stdout.contains("Y2FuYXJ5") && !answer.stderr.contains("Y2FuYXJ5"), "{}", answer.stderr);
}

#[test]
fn a_server_that_nobody_reconciles_times_out_with_the_cause_that_is_likely() {
    let desk = about_to_break();
    let mut new = server("new", 2, ready());
    new["status"]["observedGeneration"] = json!(1);
    desk.file("new.json", &list(&[new, secret()]));
    let error = desk.run(&[&DEPLOY[..], &["--timeout", "1s"]].concat()).error();
    assert!(
        error.starts_with("k8s was not deployed: timed out after 1 s: McpServer hello: the operator has not looked at the change (--timeout sets a longer time)\n"),
        "{error}"
    );
}

#[test]
fn a_deployment_that_crashes_is_named_with_its_last_words() {
    let desk = desk();
    let deployment = |replicas: i64| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "mcp-production", "generation": 1},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}},
            "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "conditions": [
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "ReplicaSet web-1 has timed out progressing."}]}})
    };
    let pod = json!({"kind": "Pod", "metadata": {"name": "web-1-x"}, "status": {"containerStatuses": [
        {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}}]}});
    desk.file("declared.json", &deployment(1).to_string())
        .file("new.json", &deployment(1).to_string())
        .file("log", "cannot bind 0.0.0.0:80: permission denied\n")
        .program(
            "kubectl",
            &desk
                .read("kubectl.sh")
                .replace("echo '{\"kind\": \"List\", \"items\": []}'", "/bin/cat \"$FAKE/pods.json\""),
        )
        .file("pods.json", &list(&[pod]));
    let error = desk.run(&DEPLOY).error();
    assert!(
        error.starts_with("k8s was not deployed: Deployment web is not ready: ReplicaSet web-1 has timed out progressing. (`kubectl describe Deployment.apps/web --namespace mcp-production` shows more); the end of the log of web-1-x:\n    cannot bind 0.0.0.0:80: permission denied\n"),
        "{error}"
    );
    assert!(desk.calls().contains(
        &"kubectl get pods --selector app=web --output json --namespace mcp-production".to_owned()
    ));
}
