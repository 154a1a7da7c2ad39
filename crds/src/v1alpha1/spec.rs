//! `spec`: what the user says.

use kube::{CustomResource, KubeSchema};
use mcp_server_config::ServiceConfig;
use serde::{Deserialize, Serialize};

use super::{McpServerStatus, PodOptions, Probes, Rollout, Runtime, ServiceOptions, Volume, is_default};

/// What to serve, with how many replicas, and how the pods are to be run.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "mcp-operator.dev",
    version = "v1alpha1",
    kind = "McpServer",
    plural = "mcpservers",
    singular = "mcpserver",
    shortname = "mcps",
    namespaced,
    derive = "PartialEq",
    doc = "An MCP server: tools declared in the resource, served over Streamable HTTP by a Deployment behind a Service.",
    status = "McpServerStatus",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the current generation is fully rolled out and answers."
    ),
    printcolumn(
        name = "Replicas",
        type_ = "integer",
        json_path = ".status.readyReplicas",
        description = "Pods that answer."
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.summary",
        description = "What is going on, in short."
    ),
    printcolumn(
        name = "URL",
        type_ = "string",
        json_path = ".status.url",
        description = "Where the server answers inside the cluster."
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".status.image",
        description = "The image that the pods run.",
        priority = 1
    ),
    printcolumn(
        name = "Key",
        type_ = "string",
        json_path = ".status.apiKeySecret",
        description = "The Secret with the generated API key.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    // No field path: an API server takes only paths into the schema, and the schema does not list metadata.name.
    validation = Rule::new("size(self.metadata.name) <= 52")
        .message("metadata.name: the name must have at most 52 characters, so that the names of the pods fit"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message(
            "metadata.name: the name must be a DNS label that starts with a letter: lower-case letters, digits and \
             dashes"
        )
)]
#[x_kube(
    validation = Rule::new("has(self.config.tools) && size(self.config.tools) > 0")
        .message("a server needs at least one tool: declare it in spec.config.tools")
        .field_path(".config.tools")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new(
        "!has(self.runtime) || !has(self.runtime.volumeMounts) || self.runtime.volumeMounts.all(m, \
         has(self.volumes) && self.volumes.exists(v, v.name == m.name))"
    )
        .message("every volume mount must name one of spec.volumes")
        .field_path(".runtime.volumeMounts")
)]
#[serde(rename_all = "camelCase")]
pub struct McpServerSpec {
    /// How many pods serve, 0 to 1000. With 0 nothing runs, and the resource counts as ready. Default: 1.
    /// kubectl scale sets it.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// True: nothing of the children is written until it is false again; what runs goes on running. Default:
    /// false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paused: bool,
    /// What the service does: its tools, who may call, its limits. Most of it takes effect within seconds and
    /// restarts no pod.
    pub config: ServiceConfig,
    /// The container that serves. Changing anything here rolls the pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub runtime: Runtime,
    /// Volumes for runtime.volumeMounts, at most 32; each names exactly one kind of volume. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub volumes: Vec<Volume>,
    /// Where and as whom the pods run. Changing anything here rolls the pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pod: PodOptions,
    /// The Service in front of the pods; it has the resource's name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub service: ServiceOptions,
    /// How often and how patiently the kubelet asks the pods how they are. Paths and ports are fixed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub probes: Probes,
    /// How pods are replaced and stopped.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rollout: Rollout,
}

/// What a resource that says nothing of replicas gets; stored in the resource, as the scale subresource needs it.
#[must_use]
pub const fn default_replicas() -> i32 {
    1
}
