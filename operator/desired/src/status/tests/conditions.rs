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
