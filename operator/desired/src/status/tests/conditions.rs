//! How conditions move, and what other programs make of them.

use serde_json::{Value, json};

use super::*;
use crate::fixtures::{applied, complete, deployment, pod, server, time};

#[test]
fn the_time_of_a_condition_moves_with_its_status_only() {
    let first = after(json!({}), rolling(1), vec![]);
    assert!(
        first
            .conditions
            .iter()
            .all(|condition| condition.last_transition_time.0 == time("2026-01-01T00:10:00Z"))
    );
    let mut server = server(json!({}));
    server.status = Some(first.clone());
    let observe =
        |numbers: Value| Observed { deployment: Some(deployment(json!({}), numbers)), ..Observed::default() };
    let later = time("2026-01-01T01:00:00Z");
    assert_eq!(status(&server, &observe(rolling(1)), &applied(json!({})), later), first);
    let ready = status(&server, &observe(complete(1)), &applied(json!({})), later);
    let times: Vec<_> = ready
        .conditions
        .iter()
        .map(|condition| (condition.type_.as_str(), condition.last_transition_time.0))
        .collect();
    assert_eq!(times, [("Ready", later), ("Available", time("2026-01-01T00:10:00Z"))]);
}

/// kstatus, in short: what `kubectl wait`, Argo CD and `helm --wait` make of a status.
fn kstatus(status: &McpServerStatus) -> &'static str {
    let is = |type_: &str| shown(status, type_).map(|(status, _, _)| status);
    if is("Stalled") == Some("True") {
        "Failed"
    } else if is("Reconciling") == Some("True") || is("Ready") != Some("True") {
        "InProgress"
    } else {
        "Current"
    }
}

#[test]
fn tools_that_wait_are_told_the_truth() {
    let broken = vec![pod("hello-1", waiting("ErrImagePull", "not found"))];
    assert_eq!(kstatus(&after(json!({}), json!({"observedGeneration": null}), vec![])), "InProgress");
    assert_eq!(kstatus(&after(json!({}), rolling(1), vec![])), "InProgress");
    assert_eq!(kstatus(&after(json!({}), rolling(1), broken)), "Failed");
    assert_eq!(kstatus(&after(json!({}), complete(1), vec![])), "Current");
}

#[test]
fn a_status_reads_back_as_it_was_written() {
    let status = after(json!({}), rolling(1), vec![]);
    let written = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<McpServerStatus>(&written).unwrap(), status);
}

#[test]
fn reasons_are_words_that_read_back() {
    for reason in Reason::ALL {
        assert_eq!(Reason::parse(reason.as_str()), Some(reason));
    }
    assert_eq!(Reason::parse("Else"), None);
}

fn contention(kind: &str, field: &str, reason: crate::ContentionReason) -> crate::Contention {
    crate::Contention {
        reason,
        kind: kind.into(),
        name: "hello".into(),
        field: field.into(),
        manager: Some("hpa".into()),
    }
}

#[test]
fn a_contention_about_what_runs_holds_ready_down_and_any_other_does_not() {
    use crate::ContentionReason::{AdmissionWebhook, Autoscaler, FieldManager};
    for (kind, field, reason, ready) in [
        ("Deployment", "spec.replicas", Autoscaler, ("False", "Contended")),
        (
            "Deployment",
            "spec.template.spec.containers[mcp-server].image",
            AdmissionWebhook,
            ("True", "Ready"),
        ),
        ("Deployment", "metadata.labels.team", FieldManager, ("True", "Ready")),
        ("Service", "spec.ports", FieldManager, ("True", "Ready")),
    ] {
        let observed = Observed {
            deployment: Some(deployment(json!({}), complete(1))),
            contentions: vec![contention(kind, field, reason)],
            ..Observed::default()
        };
        let status = status(&server(json!({})), &observed, &applied(json!({})), time("2026-01-01T00:00:00Z"));
        let (is, why, _) = shown(&status, "Ready").unwrap();
        assert_eq!((is, why), ready, "{kind} {field}");
        assert_eq!(shown(&status, "Contended").unwrap().1, reason.as_str());
    }
}

#[test]
fn a_release_on_standby_changes_nothing_but_the_condition() {
    let mut server = server(json!({}));
    let mut holder = after(json!({}), complete(1), vec![]);
    holder.operator = Some("mcp-system/mcp-operator".into());
    server.status = Some(holder.clone());
    let shown_back = standing_back(&server, "team-a/mcp", time("2026-01-01T00:00:00Z"));
    assert_eq!(shown_back.standby.as_deref(), Some("team-a/mcp"));
    assert_eq!(shown_back.conditions[..holder.conditions.len()], holder.conditions);
    assert_eq!(shown(&shown_back, "Contended").unwrap().1, "SecondOperator");
    // The holder comes to the same status, and so writes nothing.
    server.status = Some(shown_back.clone());
    let observed = Observed {
        deployment: Some(deployment(json!({}), complete(1))),
        standby: Some("team-a/mcp".into()),
        ..Observed::default()
    };
    assert_eq!(status(&server, &observed, &applied(json!({})), time("2026-01-01T01:00:00Z")), shown_back);
}
