//! The `McpServer` resource: its types and its schema. No client, no input or output.
//!
//! [`crd`] is the definition as it is applied to a cluster: what the derive makes, with the schema put in order
//! by [`schema`]. Nothing else should ask the derive.

pub mod schema;
pub mod settings;
pub mod v1alpha1;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use v1alpha1::{McpServer, McpServerSpec, McpServerStatus};

/// API group of the resource.
pub const GROUP: &str = "mcp-operator.dev";
/// Version of the API group.
pub const VERSION: &str = "v1alpha1";
/// Kind of the resource.
pub const KIND: &str = "McpServer";
/// Field manager of everything that the operator writes.
pub const FIELD_MANAGER: &str = "mcp-operator";

/// The longest name of an `McpServer`: leaves room for the suffixes of its children and of their pods.
pub const MAX_NAME_LENGTH: usize = 52;

/// Labels of every child (kubernetes.io/docs/concepts/overview/working-with-objects/common-labels).
pub mod labels {
    pub const NAME: &str = "app.kubernetes.io/name";
    /// The name of the `McpServer`.
    pub const INSTANCE: &str = "app.kubernetes.io/instance";
    pub const VERSION: &str = "app.kubernetes.io/version";
    pub const COMPONENT: &str = "app.kubernetes.io/component";
    pub const PART_OF: &str = "app.kubernetes.io/part-of";
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

    /// Value of [`NAME`].
    pub const NAME_VALUE: &str = "mcp-server";
    /// Value of [`COMPONENT`].
    pub const COMPONENT_VALUE: &str = "server";
    /// Value of [`PART_OF`].
    pub const PART_OF_VALUE: &str = "mcp-operator";
    /// Value of [`MANAGED_BY`]: what the operator's watches select by.
    pub const MANAGED_BY_VALUE: &str = "mcp-operator";
}

/// Annotations that the operator writes.
pub mod annotations {
    /// On every child: hash of the child as the operator wants it.
    pub const DESIRED_HASH: &str = "mcp-operator.dev/desired-hash";
    /// On the pod template: hash of the settings that a running server cannot change.
    pub const RESTART_HASH: &str = "mcp-operator.dev/restart-hash";
    /// On pods, never on the template: hash of the configuration last announced to the kubelet. A changed
    /// annotation makes the kubelet refresh the mounted ConfigMap at once.
    pub const CONFIG_HASH: &str = "mcp-operator.dev/config-hash";
    /// On the ConfigMap: what the pods were last validly made of besides the configuration, as JSON. A resource that
    /// breaks rules is kept up from it.
    pub const LAST_VALID: &str = "mcp-operator.dev/last-valid";
    /// Prefix of all of them; users may not set annotations or labels below it.
    pub const PREFIX: &str = "mcp-operator.dev/";
}

/// The definition of the resource, as it is applied to a cluster.
#[must_use]
pub fn crd() -> CustomResourceDefinition {
    let mut crd = McpServer::crd();
    for version in &mut crd.spec.versions {
        if let Some(validation) = &mut version.schema {
            validation.open_api_v3_schema = validation.open_api_v3_schema.take().map(schema::in_order);
        }
    }
    crd
}
