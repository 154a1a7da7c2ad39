//! All the children of one `McpServer`.

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Service, ServiceAccount},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::Resource;
use mcp_crds::{McpServer, annotations};
use mcp_server_config::config_hash;
use serde::Serialize;

use crate::{
    ApiKeySecret, ValidatedServer, config_map::config_map, deployment::deployment, labels, service::service,
    service_account::service_account,
};

/// What the operator was started with and children depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Image of the server where a resource names none.
    pub runtime_image: String,
    /// When it is pulled where a resource does not say: Always, `IfNotPresent` or Never.
    pub runtime_image_pull_policy: String,
}

/// The children as they should be, one field each. Apply them in this order: what pods mount comes before the pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// None where the resource names a `ServiceAccount` of its own.
    pub service_account: Option<ServiceAccount>,
    pub config_map: ConfigMap,
    /// None where no key has to be generated. It is created by POST and never touched again.
    pub api_key: Option<ApiKeySecret>,
    pub service: Service,
    pub deployment: Deployment,
}

/// What a validated server becomes. The same server and settings always give the same bytes.
#[must_use]
pub fn objects(server: &ValidatedServer, settings: &Settings) -> Objects {
    Objects {
        service_account: service_account(server).map(with_hash),
        config_map: with_hash(config_map(server)),
        api_key: ApiKeySecret::of(server),
        service: with_hash(service(server)),
        deployment: with_hash(deployment(server, settings)),
    }
}

/// What was done to a child in one pass; the operator collects these for [`crate::events()`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Kind of the child. Example: Deployment.
    pub kind: String,
    pub name: String,
    pub what: ChangeKind,
    /// The fields that differed, from the root of the child; empty for one that was not there.
    pub fields: Vec<String>,
}

/// How a child differed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It was not there, and was not expected to be.
    Created,
    /// The resource or the operator's settings want it different from before.
    Updated,
    /// Somebody had changed or deleted it.
    Reverted,
}

/// Name, labels and owner that every child has.
pub(crate) fn metadata(server: &ValidatedServer, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(server.namespace.clone()),
        labels: Some(labels::child(&server.name, version(server))),
        owner_references: server.uid.as_deref().map(|uid| vec![owner(&server.name, uid)]),
        ..ObjectMeta::default()
    }
}

/// The version of the served application: what the resource says, or that of the program.
fn version(server: &ValidatedServer) -> &str {
    server.config.service.server_version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"))
}

/// The reference by which the garbage collector finds the children of a deleted resource.
fn owner(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: McpServer::api_version(&()).into_owned(),
        kind: McpServer::kind(&()).into_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        // A foreground deletion waits for the children, as whoever asks for one expects.
        block_owner_deletion: Some(true),
    }
}

/// Notes on the child itself what the operator wanted of it.
fn with_hash<K: Resource<DynamicType = ()> + Serialize>(mut object: K) -> K {
    let text = serde_json::to_string(&serde_json::to_value(&object).expect("an object is JSON"))
        .expect("JSON can be written as text");
    let marks = object.meta_mut().annotations.get_or_insert_default();
    marks.insert(annotations::DESIRED_HASH.to_owned(), config_hash(&text));
    object
}

#[cfg(test)]
pub(crate) mod tests;
