//! `spec.runtime`: the container that serves.

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, ResourceRequirements, VolumeMount};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// The container that serves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Runtime {
    /// Image of the server. Default: the image of the operator's own version, which rolls the pods when the
    /// operator is upgraded; an image given here is never changed. Example: ghcr.io/example/mcp-server:0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[^\s]+$"))]
    pub image: Option<String>,
    /// When the kubelet asks the registry for the image: Always, IfNotPresent or Never. Default: what the
    /// operator was started with, IfNotPresent unless somebody changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets of the same namespace with which the image is pulled, at most 16. Default: none.
    /// Example: [{name: registry}].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<LocalSecret>,
    /// CPU and memory of one pod, as Kubernetes writes them. Default: requests of 50m CPU and 64Mi memory, a
    /// limit of 256Mi memory and none of CPU; requests and limits replace the defaults each as a whole.
    /// Example: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub resources: Option<ResourceRequirements>,
    /// Environment variables, at most 128, as in a pod. Default: none. Example: [{name: TEAM, value: orders}].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::env")]
    pub env: Vec<EnvVar>,
    /// ConfigMaps and Secrets whose keys become environment variables, at most 32, as in a pod. Default: none.
    /// Example: [{configMapRef: {name: team-settings}}].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::env_from")]
    pub env_from: Vec<EnvFromSource>,
    /// Where volumes of spec.volumes appear in the container, at most 32, as in a pod. The server's own
    /// directories (/app/config, /app/secrets, /tmp) are taken. Default: none.
    /// Example: [{name: data, mountPath: /data, readOnly: true}].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::volume_mounts")]
    pub volume_mounts: Vec<VolumeMount>,
}

/// When the kubelet asks the registry for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ImagePullPolicy {
    Always,
    IfNotPresent,
    Never,
}

impl ImagePullPolicy {
    /// The value as Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// A Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalSecret {
    /// Name of the Secret. Required. Example: registry.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}
