//! What is said of a pass that could not, or should not, apply everything.

use mcp_server_config::Path;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{complete, deployment, server};

fn said(verdict: &Verdict, deployment_status: Value, before: Option<McpServerStatus>) -> McpServerStatus {
    let mut server = server(json!({}));
    server.status = before;
    let observed =
        Observed { deployment: Some(deployment(json!({}), deployment_status)), ..Observed::default() };
    status(&server, &observed, verdict, now())
}

#[test]
fn an_invalid_resource_keeps_what_serves() {
    let before = after(json!({}), complete(1), vec![]);
    let verdict = Verdict::invalid(vec![
        Violation {
            path: Path::of("spec.config.tools").index(0).key("cel"),
            message: "does not parse".into(),
        },
        Violation { path: Path::of("spec.service.port"), message: "must be from 1 to 65535".into() },
    ]);
    let status = said(&verdict, complete(1), Some(before.clone()));
    let sentence = "spec.config.tools[0].cel: does not parse; spec.service.port: must be from 1 to 65535; 1 pod of the previous version keeps serving";
    assert_eq!(shown(&status, "Ready"), Some(("False", "Invalid", sentence)));
    assert_eq!(shown(&status, "Stalled"), Some(("True", "Invalid", sentence)));
    assert_eq!(shown(&status, "Available").unwrap().0, "True");
    assert_eq!((status.config_hash, status.image), (before.config_hash, before.image));
}

#[test]
fn a_name_that_is_taken_is_named() {
    let taken = Taken {
        kind: "ConfigMap".into(),
        name: "hello-config".into(),
        reason: "owned by Deployment shop".into(),
    };
    let status = said(&Verdict::Conflict(vec![taken]), json!({}), None);
    assert_eq!(
        shown(&status, "Ready"),
        Some((
            "False",
            "NameConflict",
            "ConfigMap hello-config exists and is not of this McpServer (owned by Deployment shop); delete or rename it, or give this McpServer another name"
        ))
    );
}

#[test]
fn a_hiccup_of_the_api_server_does_not_make_a_ready_server_unready() {
    let verdict = Verdict::Failed {
        reason: Reason::Internal,
        message: "the API server did not answer; it is tried again".into(),
    };
    let before = after(json!({}), complete(1), vec![]);
    let status = said(&verdict, complete(1), Some(before));
    assert_eq!(shown(&status, "Ready"), Some(("True", "Ready", "Serving 1 tool on 1 pod")));
    assert_eq!(
        shown(&status, "Reconciling"),
        Some(("True", "Retrying", "the API server did not answer; it is tried again"))
    );
    let status = said(&verdict, json!({}), None);
    assert_eq!(shown(&status, "Ready").unwrap().1, "Internal");
    assert_eq!(shown(&status, "Stalled"), None);
}

#[test]
fn what_the_operator_may_not_do_needs_a_person() {
    let message = "Deployment hello: the operator may not patch deployments in namespace shop; grant it";
    let status =
        said(&Verdict::Failed { reason: Reason::Forbidden, message: message.into() }, json!({}), None);
    assert_eq!(shown(&status, "Stalled"), Some(("True", "Forbidden", message)));
}

#[test]
fn paused() {
    let mut server = server(json!({"paused": true}));
    let observed = Observed { deployment: Some(deployment(json!({}), complete(1))), ..Observed::default() };
    let settled = status(&server, &observed, &Verdict::Paused { waiting: false }, now());
    assert_eq!(types(&settled), ["Ready", "Available", "Paused"]);
    assert_eq!(shown(&settled, "Ready").unwrap().0, "True");
    server.status = Some(settled);
    let waiting = status(&server, &observed, &Verdict::Paused { waiting: true }, now());
    assert_eq!(
        shown(&waiting, "Ready"),
        Some((
            "False",
            "Pending",
            "Paused: changes wait until spec.paused is false again; 1 pod of the previous version keeps serving"
        ))
    );
    assert_eq!(shown(&waiting, "Reconciling"), None);
}

#[test]
fn a_new_resource_whose_service_is_taken_speaks_of_no_previous_version() {
    let taken = |kind: &str| {
        let taken =
            Taken { kind: kind.into(), name: "hello".into(), reason: "not owned by any controller".into() };
        Verdict::Conflict(vec![taken])
    };
    let status = said(&taken("Service"), complete(1), None);
    let message = shown(&status, "Ready").unwrap().2.to_owned();
    assert!(message.ends_with("give this McpServer another name; 1 of 1 pod ready"), "{message}");
    // Where the Deployment had to wait, what serves is from before.
    let before = after(json!({}), complete(1), vec![]);
    let status = said(&taken("ConfigMap"), complete(1), Some(before));
    let message = shown(&status, "Ready").unwrap().2.to_owned();
    assert!(message.ends_with("1 pod of the previous version keeps serving"), "{message}");
}
