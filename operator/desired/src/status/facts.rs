//! What one pod's status says, in plain questions.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};

use crate::names::CONTAINER;

/// Whether a pod answers.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|state| state.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The last line of a message that says something.
pub(super) fn last_line(message: &str) -> &str {
    message.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default()
}

/// Containers and init containers; one that is not ours may be injected, and can fail as well.
pub(super) fn containers(pod: &Pod) -> Vec<&ContainerStatus> {
    let Some(state) = &pod.status else { return Vec::new() };
    let lists = [&state.init_container_statuses, &state.container_statuses];
    let all = lists.into_iter().flatten().flatten();
    // An init container that ended well did what it was for.
    all.filter(|container| !container.ready).filter(|container| !is_done(container)).collect()
}

fn is_done(container: &ContainerStatus) -> bool {
    let end = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    end.is_some_and(|end| end.exit_code == 0 && end.reason.as_deref() == Some("Completed"))
}

pub(super) fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref().and_then(|state| state.conditions.as_deref()).unwrap_or_default();
    conditions.iter().find(|condition| condition.type_ == type_)
}

pub(super) fn waiting_reason(pod: &Pod) -> Option<&str> {
    let first = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    first.state.as_ref()?.waiting.as_ref()?.reason.as_deref()
}

/// Whether a pod answered once and does not now: its readiness changed after its container had started. A pod that
/// is still starting was never ready since then.
pub(super) fn has_lost_readiness(pod: &Pod) -> bool {
    let changed = condition(pod, "Ready").filter(|ready| ready.status != "True");
    let changed = changed.and_then(|ready| ready.last_transition_time.as_ref());
    let started = containers(pod)
        .iter()
        .filter(|container| container.name == CONTAINER)
        .find_map(|container| container.state.as_ref()?.running.as_ref()?.started_at.clone());
    matches!((changed, started), (Some(changed), Some(started)) if *changed > started)
}
