//! Pods that have been given a node and have started nothing yet: what a missing Secret shows as, in their status.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// Since when a scheduled pod is making its containers, as far as it says so.
pub fn since(pod: &Pod) -> Option<Timestamp> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let status = pod.status.as_ref()?;
    let mut containers =
        status.container_statuses.iter().chain(&status.init_container_statuses).flatten().peekable();
    let making = containers.peek().is_some() && containers.all(waits);
    making.then_some(status.start_time.as_ref()?.0)
}

/// Whether this container has not begun: behind init containers the kubelet calls it `PodInitializing`.
fn waits(container: &ContainerStatus) -> bool {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    matches!(reason, Some("ContainerCreating" | "PodInitializing"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(own: Value, init: Value) -> Pod {
        let container = |state: Value| json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let init = if init.is_null() { json!([]) } else { json!([container(init)]) };
        serde_json::from_value(json!({"status": {
            "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [container(own)], "initContainerStatuses": init,
        }}))
        .unwrap()
    }

    #[test]
    fn a_pod_starts_until_anything_in_it_has_begun() {
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let running = json!({"running": {}});
        let ended = json!({"terminated": {"exitCode": 0}});
        for (own, init, starts) in [
            (waiting("ContainerCreating"), Value::Null, true),
            (waiting("PodInitializing"), waiting("PodInitializing"), true),
            (waiting("PodInitializing"), running.clone(), false),
            (waiting("PodInitializing"), ended, false),
            (waiting("ImagePullBackOff"), Value::Null, false),
            (running, Value::Null, false),
        ] {
            assert_eq!(since(&pod(own.clone(), init.clone())).is_some(), starts, "{own} {init}");
        }
        assert_eq!(since(&Pod::default()), None);
    }
}
