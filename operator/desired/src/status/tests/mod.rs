//! What a status says: facts in, sentences out.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{applied, container, deployment, server, time};

mod conditions;
mod progress;
mod trouble;
mod verdicts;
mod volumes;

fn now() -> Timestamp {
    time("2026-01-01T00:10:00.75Z")
}

/// The status after a pass that applied everything.
fn after(spec: Value, deployment_status: Value, pods: Vec<Arc<Pod>>) -> McpServerStatus {
    let observed = Observed {
        deployment: Some(deployment(spec.clone(), deployment_status)),
        pods,
        ..Observed::default()
    };
    status(&server(spec.clone()), &observed, &applied(spec), now())
}

fn shown<'a>(status: &'a McpServerStatus, type_: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let condition = status.conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((&condition.status, &condition.reason, &condition.message))
}

fn types(status: &McpServerStatus) -> Vec<&str> {
    status.conditions.iter().map(|condition| condition.type_.as_str()).collect()
}

/// A Deployment with one new pod that does not answer, and `before` of the version before that do.
fn rolling(before: i32) -> Value {
    json!({"replicas": before + 1, "updatedReplicas": 1, "readyReplicas": before, "availableReplicas": before})
}

fn waiting(reason: &str, message: &str) -> Value {
    container(json!({"state": {"waiting": {"reason": reason, "message": message}}}))
}

fn ended(code: i32, reason: &str, message: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "message": message}})
}
