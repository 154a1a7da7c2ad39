//! The Deployment.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use mcp_crds::annotations;

use crate::{Settings, ValidatedServer, labels, objects::metadata, pod::pod_spec};

/// Seconds that a new pod must have answered, where the resource does not say.
pub const DEFAULT_MIN_READY_SECONDS: i32 = 2;
/// Seconds without progress after which a rollout counts as stuck, where the resource does not say.
pub const DEFAULT_PROGRESS_DEADLINE_SECONDS: i32 = 600;
/// Old `ReplicaSets` kept: enough to look back, and a fraction of the clutter of Kubernetes' ten.
const REVISION_HISTORY_LIMIT: i32 = 3;

/// The Deployment.
#[must_use]
pub fn deployment(server: &ValidatedServer, settings: &Settings) -> Deployment {
    let rollout = &server.spec.rollout;
    Deployment {
        metadata: metadata(server, &server.names.deployment),
        spec: Some(DeploymentSpec {
            replicas: Some(server.spec.replicas),
            selector: LabelSelector {
                match_labels: Some(labels::selector(&server.name)),
                ..LabelSelector::default()
            },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(rollout.max_surge.clone().unwrap_or(IntOrString::Int(1))),
                    max_unavailable: Some(rollout.max_unavailable.clone().unwrap_or(IntOrString::Int(0))),
                }),
            }),
            min_ready_seconds: Some(min_ready_seconds(server)),
            progress_deadline_seconds: Some(progress_deadline_seconds(server)),
            revision_history_limit: Some(REVISION_HISTORY_LIMIT),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(pod_labels(server)),
                    annotations: Some(pod_annotations(server)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod_spec(server, settings)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// The image that a server's pods are told to run.
#[must_use]
pub fn image<'a>(server: &'a ValidatedServer, settings: &'a Settings) -> &'a str {
    server.spec.runtime.image.as_deref().unwrap_or(&settings.runtime_image)
}

pub(crate) fn min_ready_seconds(server: &ValidatedServer) -> i32 {
    server.spec.rollout.min_ready_seconds.unwrap_or(DEFAULT_MIN_READY_SECONDS)
}

fn progress_deadline_seconds(server: &ValidatedServer) -> i32 {
    let seconds = server.spec.rollout.progress_deadline.map(mcp_server_config::Duration::as_secs_ceil);
    seconds.map_or(DEFAULT_PROGRESS_DEADLINE_SECONDS, |seconds| {
        i32::try_from(seconds).expect("validation allows at most a day")
    })
}

fn pod_labels(server: &ValidatedServer) -> BTreeMap<String, String> {
    let mut all = server.spec.pod.labels.clone();
    all.append(&mut labels::pod(&server.name));
    all
}

fn pod_annotations(server: &ValidatedServer) -> BTreeMap<String, String> {
    let mut all = server.spec.pod.annotations.clone();
    all.insert(annotations::RESTART_HASH.to_owned(), server.restart_hash.clone());
    all
}
