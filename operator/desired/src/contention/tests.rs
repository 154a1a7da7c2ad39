//! How often a field is reverted, and whom the condition names.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Value, json};

use super::*;
use crate::Difference;

const KIND: &str = "Deployment";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn drifted(fields: &[&str]) -> Difference {
    Difference::Drifted(fields.iter().map(|field| (*field).to_owned()).collect())
}

/// Another writer changes the field every `period` for `length`; the times of our reverts.
fn reverts(period: u64, length: u64) -> Vec<u64> {
    let mut memory = Reverts::default();
    let mut times = Vec::new();
    let drift = drifted(&["spec.replicas"]);
    let mut changed = false;
    for now in 0..length {
        changed |= now % period == 0;
        if changed && memory.decide(KIND, &drift, "h", seconds(now)) == Decision::Write {
            memory.wrote(KIND, &drift, &Difference::None, "h", seconds(now));
            times.push(now);
            changed = false;
        }
    }
    times
}

#[test]
fn a_field_that_is_changed_over_and_over_is_reverted_ever_more_rarely() {
    // As fast as a second operator, every second.
    let times = reverts(1, 3600);
    assert_eq!(times[..6], [0, 1, 2, 13, 33, 73]);
    assert!(times.len() <= 13, "{times:?}");
    let last = &times[times.len() - 2..];
    assert_eq!(last[1] - last[0], LONGEST_WAIT.as_secs());
    // As an autoscaler, every 15 s.
    let times = reverts(15, 3600);
    assert!(times.len() <= 13, "{times:?}");
}

#[test]
fn a_field_that_is_changed_now_and_then_is_always_reverted_at_once() {
    assert_eq!(reverts(30, 3600).len(), 120);
}

#[test]
fn one_contended_field_holds_up_no_revert_of_another() {
    let mut memory = Reverts::default();
    let replicas = drifted(&["spec.replicas"]);
    for now in 0..3 {
        assert_eq!(memory.decide(KIND, &replicas, "h", seconds(now)), Decision::Write);
        memory.wrote(KIND, &replicas, &Difference::None, "h", seconds(now));
    }
    assert_eq!(memory.decide(KIND, &replicas, "h", seconds(3)), Decision::Wait);
    assert_eq!(memory.decide("Service", &replicas, "h", seconds(3)), Decision::Write);
    let both = drifted(&["spec.replicas", "spec.template.spec.hostNetwork"]);
    assert_eq!(memory.decide(KIND, &both, "h", seconds(3)), Decision::Write);
    // An edit of the resource is written whatever is contended.
    assert_eq!(memory.decide(KIND, &Difference::Outdated(vec![]), "new", seconds(3)), Decision::Write);
}

#[test]
fn another_operator_that_writes_other_wishes_is_noticed() {
    let mut memory = Reverts::default();
    let outdated = Difference::Outdated(vec!["spec.template.spec.containers[mcp-server].image".into()]);
    for now in 0..4 {
        // The first write is our own doing: what was there may be from before.
        assert_eq!(memory.decide(KIND, &outdated, "h", seconds(now)), Decision::Write, "{now}");
        memory.wrote(KIND, &outdated, &Difference::None, "h", seconds(now));
    }
    assert_eq!(memory.decide(KIND, &outdated, "h", seconds(4)), Decision::Wait);
    let found = explain(KIND, "hello", &memory.unexplained(KIND)[0].0, false, &[]);
    assert_eq!((found.reason, &found.manager), (ContentionReason::SecondOperator, &None));
}

#[test]
fn a_value_that_the_api_server_stores_differently_is_not_written_at_each_pass() {
    let mut memory = Reverts::default();
    let image = drifted(&["spec.template.spec.containers[mcp-server].image"]);
    memory.wrote(KIND, &Difference::Missing, &image, "h", seconds(0));
    assert_eq!(
        memory.unexplained(KIND),
        [("spec.template.spec.containers[mcp-server].image".to_owned(), true)]
    );
    let mut writes = 0;
    for now in 1..3600 {
        if memory.decide(KIND, &image, "h", seconds(now)) == Decision::Write {
            memory.wrote(KIND, &image, &image, "h", seconds(now));
            writes += 1;
        }
    }
    assert!(writes <= 10, "{writes} writes in an hour");
}

#[test]
fn a_contention_ends_a_minute_after_the_last_change() {
    let mut memory = Reverts::default();
    let drift = drifted(&["spec.replicas"]);
    for now in 0..3 {
        memory.decide(KIND, &drift, "h", seconds(now));
        memory.wrote(KIND, &drift, &Difference::None, "h", seconds(now));
    }
    assert_eq!(memory.again(seconds(3)), None);
    memory.decide(KIND, &drift, "h", seconds(3));
    assert_eq!(memory.again(seconds(3)), Some(seconds(10)));
    memory.explained(explain(KIND, "hello", "spec.replicas", false, &[]));
    assert_eq!(memory.contentions().len(), 1);
    memory.settled(KIND, seconds(20));
    assert_eq!((memory.contentions().len(), memory.again(seconds(20))), (1, Some(seconds(43))));
    memory.settled(KIND, seconds(63));
    assert_eq!((memory.contentions().len(), memory.again(seconds(63))), (0, None));
}

fn entry(manager: &str, subresource: &str, fields: &Value) -> ManagedFieldsEntry {
    let entry = json!({
        "manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": fields,
        "time": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(entry).unwrap()
}

#[test]
fn the_other_writer_is_named_with_the_next_step() {
    let replicas = || json!({"f:spec": {"f:replicas": {}}});
    let server = || {
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"mcp-server\"}": {
            ".": {}, "f:image": {}, "f:args": {}, "f:ports": {"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {"f:hostPort": {}}},
        }}}}}})
    };
    let note = || json!({"f:metadata": {"f:annotations": {".": {}, "f:example.com/note.x": {}}}});
    for (field, overruled, entries, sentence) in [
        (
            "spec.replicas",
            false,
            vec![
                entry("mcp-operator", "", &json!({"f:spec": {"f:paused": {}}})),
                entry("kube-controller-manager", "scale", &replicas()),
            ],
            "spec.replicas of Deployment hello-1 is changed by kube-controller-manager after each revert; point the autoscaler at McpServer/hello",
        ),
        (
            "spec.replicas",
            false,
            vec![entry("kubectl", "scale", &replicas())],
            "spec.replicas of Deployment hello-1 is changed by kubectl after each revert; stop kubectl, or make the change in McpServer/hello",
        ),
        (
            "spec.template.spec.containers[mcp-server].image",
            false,
            vec![entry("mcp-operator", "", &server()), entry("keel", "", &server())],
            "spec.template.spec.containers[mcp-server].image of Deployment hello-1 is changed by keel after each revert; stop keel, or make the change in McpServer/hello",
        ),
        (
            "spec.template.spec.containers[mcp-server].args[0]",
            false,
            vec![entry("keel", "", &server())],
            "spec.template.spec.containers[mcp-server].args[0] of Deployment hello-1 is changed by keel after each revert; stop keel, or make the change in McpServer/hello",
        ),
        (
            "spec.template.spec.containers[mcp-server].ports[8080,TCP].hostPort",
            false,
            vec![entry("x", "", &server())],
            "spec.template.spec.containers[mcp-server].ports[8080,TCP].hostPort of Deployment hello-1 is changed by x after each revert; stop x, or make the change in McpServer/hello",
        ),
        (
            "metadata.annotations.example.com/note.x",
            false,
            vec![
                entry("x", "", &note()),
                entry("y", "", &json!({"f:metadata": {"f:annotations": {"f:example.com/note": {}}}})),
            ],
            "metadata.annotations.example.com/note.x of Deployment hello-1 is changed by x after each revert; stop x, or make the change in McpServer/hello",
        ),
        (
            "spec.replicas",
            false,
            vec![entry("mcp-operator", "", &replicas())],
            "spec.replicas of Deployment hello-1 is written by another mcp-operator too; uninstall one of them, or let each watch other namespaces (watchNamespaces)",
        ),
        (
            "spec.replicas",
            true,
            vec![entry("mcp-operator", "", &replicas())],
            "spec.replicas of Deployment hello-1 is stored with another value than the operator applies; exempt it from the admission webhook or policy that changes it, or set the same value in McpServer/hello",
        ),
        (
            "spec.replicas",
            false,
            vec![],
            "spec.replicas of Deployment hello-1 is changed after each revert; find the writer with kubectl get deployment hello-1 -o yaml --show-managed-fields, or make the change in McpServer/hello",
        ),
    ] {
        let found = explain(KIND, "hello-1", field, overruled, &entries);
        assert_eq!(found.sentence("hello"), sentence);
    }
}
