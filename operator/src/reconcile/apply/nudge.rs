//! After a change of the ConfigMap: one touched annotation on each pod.
//!
//! A changed ConfigMap reaches a mounted volume at the kubelet's next sync of that pod, seconds to a minute and a half later. Any change of
//! the pod itself makes the kubelet sync it at once. The annotation is on the pods and not on their template, so that nothing restarts.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use mcp_crds::{FIELD_MANAGER, annotations};
use serde_json::json;
use tracing::warn;

use super::Owner;
use crate::context::Context;
use crate::error::Error;

/// Pods touched at the same time.
const AT_ONCE: usize = 8;

/// Touches the pods. A pod that cannot be touched gets the change with the kubelet's next sync: it is logged, and fails nothing.
pub async fn nudge(pods: &[Arc<Pod>], mark: &str, owner: &Owner<'_>, cx: &Context) {
    let api: Api<Pod> = Api::namespaced(cx.client.clone(), owner.namespace);
    let living = pods.iter().filter(|pod| {
        pod.metadata.deletion_timestamp.is_none()
            && pod.annotations().get(annotations::CONFIG_HASH).map(String::as_str) != Some(mark)
    });
    let patch = Patch::Merge(json!({"metadata": {"annotations": {annotations::CONFIG_HASH: mark}}}));
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let (api, patch, params) = (&api, &patch, &params);
    stream::iter(living)
        .for_each_concurrent(AT_ONCE, |pod| async move {
            let name = pod.name_any();
            match api.patch_metadata(&name, params, patch).await {
                Ok(_) => cx.metrics.api.writes.with_label_values(&["Pod", "patch"]).inc(),
                Err(error) => {
                    let error = Error::api(format!("touch Pod {}/{name}", owner.namespace), error);
                    // Gone meanwhile: its successor mounts the new content anyway.
                    if !error.is_not_found() {
                        warn!(%error, "a pod gets its changed configuration only with the kubelet's next sync");
                    }
                }
            }
        })
        .await;
}
