//! How far the Deployment is.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentCondition},
    core::v1::Pod,
};
use mcp_crds::{McpServer, annotations};

use super::{Verdict, facts::is_ready};
use crate::Observed;

/// How far the Deployment is, in numbers, and the pods of its current version.
pub(super) struct Rollout {
    /// Pods that the resource wants.
    pub(super) wanted: i32,
    /// Pods that exist, of any version.
    pub(super) replicas: i32,
    /// Pods of the current version.
    pub(super) updated: i32,
    /// Pods of any version that answer.
    pub(super) ready: i32,
    /// Pods of any version that have answered for long enough.
    available: i32,
    /// Whether these numbers speak of what is wanted now: the Deployment is ours of today, and its controller has
    /// looked at it.
    seen: bool,
    /// The Deployment has never had another version.
    first: bool,
    /// Pods of the current version, those that are being deleted left out, in the order of their names.
    pub(super) pods: Vec<Arc<Pod>>,
    /// Why pods cannot be created, in the API server's words.
    pub(super) failure: Option<String>,
    /// The rollout made no progress for longer than its deadline.
    pub(super) stuck: bool,
}

impl Rollout {
    pub(super) fn of(server: &McpServer, observed: &Observed, verdict: &Verdict) -> Self {
        let deployment = observed.deployment.as_deref();
        let state = deployment.and_then(|deployment| deployment.status.as_ref());
        let number = |field: Option<i32>| field.unwrap_or(0);
        let seen = deployment.is_some_and(|deployment| is_seen(deployment, verdict));
        let updated = if seen { number(state.and_then(|state| state.updated_replicas)) } else { 0 };
        let condition = |type_: &str| -> Option<&DeploymentCondition> {
            let conditions = state.and_then(|state| state.conditions.as_deref()).unwrap_or_default();
            conditions.iter().find(|condition| condition.type_ == type_)
        };
        let failure = condition("ReplicaFailure").filter(|failure| seen && failure.status == "True");
        let progress = condition("Progressing").filter(|progress| seen && progress.status == "False");
        Self {
            wanted: server.spec.replicas,
            replicas: number(state.and_then(|state| state.replicas)),
            updated,
            ready: number(state.and_then(|state| state.ready_replicas)),
            available: number(state.and_then(|state| state.available_replicas)),
            seen,
            first: deployment.is_none_or(is_first),
            pods: if updated > 0 { current(&observed.pods) } else { Vec::new() },
            failure: failure.map(|failure| failure.message.clone().unwrap_or_default()),
            stuck: progress
                .is_some_and(|progress| progress.reason.as_deref() == Some("ProgressDeadlineExceeded")),
        }
    }

    /// Every wanted pod is of the current version and has answered for long enough, and there is no other.
    pub(super) fn is_complete(&self) -> bool {
        self.seen
            && [self.replicas, self.updated, self.ready, self.available]
                .iter()
                .all(|count| *count == self.wanted)
    }

    /// Pods of another version are still there, or some of the current one are missing.
    pub(super) fn is_rolling(&self) -> bool {
        !self.seen || self.updated < self.wanted || self.replicas > self.updated
    }

    /// No pod has ever answered, as far as one can see.
    pub(super) fn is_first(&self) -> bool {
        self.first && self.ready == 0
    }

    /// Pods of an earlier version that answer: never more than there are, whatever the cache of pods lacks.
    pub(super) fn serving_before(&self) -> i32 {
        let current = self.pods.iter().filter(|pod| is_ready(pod)).count();
        let others = self.ready - i32::try_from(current).unwrap_or(i32::MAX);
        others.clamp(0, (self.replicas - self.updated).max(0))
    }
}

fn is_seen(deployment: &Deployment, verdict: &Verdict) -> bool {
    let looked_at = deployment.status.as_ref().and_then(|state| state.observed_generation);
    let mark =
        deployment.metadata.annotations.as_ref().and_then(|marks| marks.get(annotations::DESIRED_HASH));
    let of_today = match verdict {
        Verdict::Applied(applied) | Verdict::Invalid { kept: Some(applied), .. } => {
            mark == Some(&applied.deployment_hash)
        }
        Verdict::Invalid { kept: None, .. }
        | Verdict::Conflict(_)
        | Verdict::Failed { .. }
        | Verdict::Paused { .. } => true,
    };
    of_today && looked_at.is_some() && looked_at >= deployment.metadata.generation
}

fn is_first(deployment: &Deployment) -> bool {
    let revision = deployment
        .metadata
        .annotations
        .as_ref()
        .and_then(|marks| marks.get("deployment.kubernetes.io/revision"));
    revision.is_none_or(|revision| revision == "1")
}

/// The pods of the version that pods were made of last. Pods that are being deleted do not count, nor do those that
/// have ended for good (an evicted pod stays on record long after another took its place).
fn current(pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    let ended = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|state| state.phase.as_deref());
        matches!(phase, Some("Failed" | "Succeeded"))
    };
    let staying = || pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none() && !ended(pod));
    let newest =
        staying().max_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone()));
    let mut current: Vec<_> = staying()
        .filter(|pod| newest.is_some_and(|newest| version(newest) == version(pod)))
        .cloned()
        .collect();
    current.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    current
}

fn version(pod: &Pod) -> Option<&String> {
    pod.metadata.labels.as_ref()?.get("pod-template-hash")
}
