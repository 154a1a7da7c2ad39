//! `spec.pod`: where and as whom the pods run.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, PodDNSConfig, Toleration, TopologySpreadConstraint};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_default;
use crate::schema;

/// Where and as whom the pods run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodOptions {
    /// More labels for the pods, at most 64; those of the operator (app.kubernetes.io/name, …, mcp-operator.dev/…)
    /// cannot be changed. Default: none. Example: {team: orders}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// More annotations for the pods, at most 64, each at most 16 KiB. Default: none.
    /// Example: {example.com/contact: orders@example.com}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have, at most 64. Default: none. Example: {kubernetes.io/arch: amd64}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate, at most 32, as in a pod. Default: none.
    /// Example: [{key: dedicated, value: mcp, effect: NoSchedule}].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and which neighbours the pods want or avoid, as in a pod. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::embedded::<Affinity>")]
    pub affinity: Option<Affinity>,
    /// How the pods spread over zones and nodes, at most 8, as in a pod. Default with two or more replicas: over
    /// nodes and zones, as evenly as possible without keeping a pod waiting. Example: [{maxSkew: 1, topologyKey:
    /// topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::topology_spread_constraints")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Name of a PriorityClass. Default: the cluster's default. Example: business-critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Name of a RuntimeClass. Default: the cluster's default. Example: gvisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub runtime_class_name: Option<String>,
    /// User, groups and SELinux labels of the pods: what Pod Security restricted leaves open. Default: the user of
    /// the image (65532).
    #[serde(default, skip_serializing_if = "is_default")]
    pub security_context: PodSecurity,
    /// How names are looked up: ClusterFirst, Default or None. Default: ClusterFirst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_policy: Option<DnsPolicy>,
    /// Name servers, search domains and resolver options, as in a pod. Default: none.
    /// Example: {options: [{name: ndots, value: "2"}]}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::embedded::<PodDNSConfig>")]
    pub dns_config: Option<PodDNSConfig>,
    /// The pods' ServiceAccount: one of yours by name, or annotations for the one that the operator makes
    /// (<name>-mcp). No token is mounted either way. Default: the operator makes one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub service_account: ServiceAccountOptions,
}

/// What Pod Security `restricted` leaves open of a pod's security context; the rest is set by the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSecurity {
    /// Numeric user, never 0. Default: the user of the image, 65532. Example: 10001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub run_as_user: Option<i64>,
    /// Numeric group. Default: the group of the image, 65532. Example: 10001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub run_as_group: Option<i64>,
    /// Group that volumes belong to. Default: none. Example: 10001.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub fs_group: Option<i64>,
    /// When volumes are given to that group: Always or OnRootMismatch. Default: Always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs_group_change_policy: Option<FsGroupChangePolicy>,
    /// Further groups of the process, at most 32. Default: none. Example: [20001].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(range(min = 1, max = 2_147_483_647)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub supplemental_groups: Vec<i64>,
    /// SELinux label of the containers. Default: chosen by the container runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub se_linux_options: Option<SeLinux>,
}

/// SELinux label, as far as Pod Security `restricted` allows one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeLinux {
    /// SELinux level. Default: chosen by the container runtime. Example: s0:c123,c456.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub level: Option<String>,
    /// SELinux type: container_t, container_init_t, container_kvm_t or container_engine_t. Default: container_t.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = "^container_(t|init_t|kvm_t|engine_t)$"))]
    pub type_: Option<String>,
}

/// When volumes are given to the pod's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum FsGroupChangePolicy {
    Always,
    OnRootMismatch,
}

impl FsGroupChangePolicy {
    /// The value as Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::OnRootMismatch => "OnRootMismatch",
        }
    }
}

/// How a pod looks up names. `ClusterFirstWithHostNet` is missing on purpose: no pod of ours has the host's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum DnsPolicy {
    ClusterFirst,
    Default,
    None,
}

impl DnsPolicy {
    /// The value as Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterFirst => "ClusterFirst",
            Self::Default => "Default",
            Self::None => "None",
        }
    }
}

/// The pods' ServiceAccount: named, or made by the operator.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("!(has(self.name) && has(self.annotations))")
        .message("annotations are for the ServiceAccount that the operator makes: set either name or annotations")
        .field_path(".annotations")
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountOptions {
    /// Name of a ServiceAccount of the same namespace. Default: the operator makes <name>-mcp. Example: orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// Annotations of the ServiceAccount that the operator makes, at most 64. Default: none.
    /// Example: {eks.amazonaws.com/role-arn: arn:aws:iam::111122223333:role/orders}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
}
