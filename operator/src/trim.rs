//! What is thrown away of an object before it is cached: the memory of an operator is what its caches hold.
//!
//! Kept are the fields that decisions rest on: everything we set (the difference is taken field by field), identity, owners,
//! resource version, and of the status what tells why something is not ready. What is needed of no object is not even read
//! ([`crate::object`]).

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

/// Trims a Deployment: of its status, what moves without telling anything.
pub fn deployment(deployment: &mut Deployment) {
    for condition in deployment.status.iter_mut().flat_map(|status| status.conditions.iter_mut().flatten()) {
        condition.last_update_time = None;
    }
}

/// Trims a pod to what tells why it is not ready, and to what the operator itself put on it.
pub fn pod(pod: &mut Pod, kept_annotation: &str) {
    let annotation = pod.annotations().get(kept_annotation).cloned();
    let meta = std::mem::take(&mut pod.metadata);
    pod.metadata = ObjectMeta {
        annotations: annotation.map(|value| [(kept_annotation.to_owned(), value)].into()),
        creation_timestamp: meta.creation_timestamp,
        deletion_timestamp: meta.deletion_timestamp,
        labels: meta.labels,
        name: meta.name,
        namespace: meta.namespace,
        owner_references: meta.owner_references,
        uid: meta.uid,
        ..ObjectMeta::default()
    };
    pod.spec = pod.spec.take().map(|spec| PodSpec { node_name: spec.node_name, ..PodSpec::default() });
    pod.status = pod.status.take().map(|status| PodStatus {
        conditions: status.conditions.map(|mut conditions| {
            for condition in &mut conditions {
                condition.last_probe_time = None;
            }
            conditions
        }),
        container_statuses: status.container_statuses,
        init_container_statuses: status.init_container_statuses,
        message: status.message,
        phase: status.phase,
        reason: status.reason,
        start_time: status.start_time,
        ..PodStatus::default()
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_keeps_why_it_is_not_ready_and_loses_its_bulk() {
        let mut object: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7", "labels": {"l": "v"},
                "annotations": {"keep": "1", "drop": "2"}, "managedFields": [{"manager": "kubelet"}]
            },
            "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]},
            "status": {"phase": "Pending", "podIP": "10.0.0.1", "containerStatuses": [{
                "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
            }]}
        }))
        .unwrap();
        pod(&mut object, "keep");
        let kept = serde_json::to_value(&object).unwrap();
        assert_eq!(kept["metadata"]["annotations"], json!({"keep": "1"}));
        assert_eq!(kept["metadata"].get("managedFields"), None);
        assert_eq!(kept["spec"], json!({"nodeName": "n", "containers": []}));
        assert_eq!(kept["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "ImagePullBackOff");
        assert_eq!(kept["status"].get("podIP"), None);
    }
}
