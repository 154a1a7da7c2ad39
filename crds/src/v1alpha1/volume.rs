//! `spec.volumes`: an own union, so that what a pod must not have (hostPath above all) cannot be said.

use k8s_openapi::api::core::v1::{
    CSIVolumeSource, ConfigMapVolumeSource, EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource,
    ProjectedVolumeSource, SecretVolumeSource,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// A volume. Exactly one of the kinds is set.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new(
        "[has(self.configMap), has(self.secret), has(self.emptyDir), has(self.persistentVolumeClaim), \
         has(self.projected), has(self.csi)].exists_one(set, set)"
    )
        .message("exactly one of configMap, secret, emptyDir, persistentVolumeClaim, projected and csi must be set")
        .field_path(".name")
)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Name by which runtime.volumeMounts refer to the volume: a DNS label; names that start with mcp- are the
    /// operator's own. Example: data.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Files from a ConfigMap of the same namespace, as in a pod. Default: none. Example: {name: catalogue}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::embedded::<ConfigMapVolumeSource>")]
    pub config_map: Option<ConfigMapVolumeSource>,
    /// Files from a Secret of the same namespace, as in a pod. Default: none. Example: {secretName: client-tls}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::embedded::<SecretVolumeSource>")]
    pub secret: Option<SecretVolumeSource>,
    /// An empty directory that lives as long as the pod, as in a pod. Default: none. Example: {sizeLimit: 1Gi}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::embedded::<EmptyDirVolumeSource>")]
    pub empty_dir: Option<EmptyDirVolumeSource>,
    /// A claim of the same namespace, as in a pod. Default: none. Example: {claimName: documents, readOnly: true}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::embedded::<PersistentVolumeClaimVolumeSource>")]
    pub persistent_volume_claim: Option<PersistentVolumeClaimVolumeSource>,
    /// Several sources in one directory, as in a pod. Default: none.
    /// Example: {sources: [{serviceAccountToken: {path: token, audience: vault}}]}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::embedded::<ProjectedVolumeSource>")]
    pub projected: Option<ProjectedVolumeSource>,
    /// An ephemeral volume of a CSI driver, as in a pod. Default: none.
    /// Example: {driver: secrets-store.csi.k8s.io, readOnly: true}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::embedded::<CSIVolumeSource>")]
    pub csi: Option<CSIVolumeSource>,
}
