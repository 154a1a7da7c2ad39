//! What the operator found in the cluster.

use std::sync::Arc;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Pod, Service, ServiceAccount},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::Resource;

use crate::Contention;

/// The children of one `McpServer` as last seen, and what stands in their way.
///
/// The generated Secret is missing on purpose: the operator never reads Secrets.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub service_account: Option<Arc<ServiceAccount>>,
    pub config_map: Option<Arc<ConfigMap>>,
    pub deployment: Option<Arc<Deployment>>,
    pub service: Option<Arc<Service>>,
    /// The pods that the Deployment's selector selects.
    pub pods: Vec<Arc<Pod>>,
    /// Names of children that exist and are not ours.
    pub taken: Vec<Taken>,
    /// What the kubelet complained of in events, as far as anybody looked; the newest first.
    pub warnings: Vec<Warning>,
    /// What pods say of themselves, as far as they were asked; those that have nothing to say are left out.
    pub reports: Vec<PodReport>,
    /// Contended fields of children.
    pub contentions: Vec<Contention>,
    /// Another release of the operator that watches the resource and is on standby, while it runs.
    pub standby: Option<String>,
}

/// What one pod says that fails in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodReport {
    /// Name of the pod.
    pub pod: String,
    pub troubles: Vec<Trouble>,
}

/// A part of a server that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// As in the server's `/status`. Example: auth.
    pub part: String,
    /// One line.
    pub message: String,
}

/// A child's name that somebody else has: it is reported, never overwritten.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    /// Kind of the object. Example: ConfigMap.
    pub kind: String,
    pub name: String,
    /// Whose it is, as far as it says so. Example: owned by Deployment shop.
    pub reason: String,
}

/// An event about a pod that its status does not show: a volume that cannot be mounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// Name of the pod.
    pub pod: String,
    /// The event's reason. Example: `FailedMount`.
    pub reason: String,
    /// The event's message.
    pub message: String,
}

/// Whether an object is a child of the owner with this uid: controlled by it, whatever its labels say.
#[must_use]
pub fn is_ours(object: &impl Resource, owner_uid: &str) -> bool {
    controller(object).is_some_and(|owner| owner.uid == owner_uid)
}

/// Says whose an object is, for [`Taken::reason`].
#[must_use]
pub fn whose(object: &impl Resource) -> String {
    match controller(object) {
        Some(owner) => format!("owned by {} {}", owner.kind, owner.name),
        None => "not owned by any controller".to_owned(),
    }
}

fn controller(object: &impl Resource) -> Option<&OwnerReference> {
    let owners = object.meta().owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true))
}
