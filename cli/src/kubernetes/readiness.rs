//! Whether an object has become what was asked for, judged from its status.

use serde_json::Value;

use super::object::Object;

/// The group of `McpServer`.
const MCP: &str = "mcp-operator.dev";

/// How far an object is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Ready, and what there is to say of it.
    Ready(String),
    Waiting(String),
    /// It does not become ready by waiting: `for_good`, or unless it changes soon.
    Failed {
        how: String,
        for_good: bool,
    },
}

use Progress::{Ready, Waiting};

/// How far an object is. Kinds without a notion of readiness are ready once they exist.
pub(super) fn judge(object: &Object) -> Progress {
    let key = object.key();
    match (key.group.as_str(), key.kind.as_str()) {
        (MCP, "McpServer") => mcp_server(object),
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        _ => Ready(String::new()),
    }
}

/// Whether its readiness says anything: an object that runs pods.
pub(super) fn is_workload(object: &Object) -> bool {
    let key = object.key();
    matches!(
        (key.group.as_str(), key.kind.as_str()),
        (MCP, "McpServer")
            | ("apps", "Deployment" | "StatefulSet" | "DaemonSet")
            | ("batch", "Job")
            | ("", "Pod")
    )
}

/// Ready, and for the generation that was asked for; what a status says of an older one is from before.
fn mcp_server(object: &Object) -> Progress {
    let wanted = object.number("/metadata/generation").unwrap_or(0);
    match object.number("/status/observedGeneration") {
        None => {
            return Waiting(
                "the operator has not looked at it; does it run, and does it watch this namespace?".into(),
            );
        }
        Some(seen) if seen < wanted => return Waiting("the operator has not looked at the change".into()),
        Some(_) => {}
    }
    let ready = condition(object, "Ready");
    let sentence = |condition: &Value| {
        let message = condition["message"].as_str().unwrap_or_default();
        let message = message.trim_end_matches('.');
        if message.is_empty() { "it is not ready".to_owned() } else { message.to_owned() }
    };
    if let Some(stalled) = condition(object, "Stalled").filter(|condition| condition["status"] == "True") {
        let reason = stalled["reason"].as_str().unwrap_or("Stalled");
        // The rest may be mended by what comes later in the same file, such as a Secret.
        return Progress::Failed {
            how: format!("{reason}: {}", sentence(stalled)),
            for_good: reason == "Invalid",
        };
    }
    match ready {
        Some(ready) if ready["status"] == "True" || ready["reason"] == "ScaledToZero" => {
            let url = object.text("/status/url");
            let at = if url.is_empty() { String::new() } else { format!(", {url}") };
            Ready(format!("{}{at}", sentence(ready)))
        }
        Some(ready) => Waiting(sentence(ready)),
        None => Waiting("it has no condition Ready yet".into()),
    }
}

/// As `kubectl rollout status` has it.
fn deployment(object: &Object) -> Progress {
    if let Some(waiting) = unseen(object) {
        return waiting;
    }
    if let Some(progressing) = condition(object, "Progressing")
        && progressing["reason"] == "ProgressDeadlineExceeded"
    {
        let how = progressing["message"].as_str().unwrap_or("it made no progress in time").to_owned();
        return Progress::Failed { how, for_good: true };
    }
    let wanted = object.number("/spec/replicas").unwrap_or(1);
    let count = |field| object.number(field).unwrap_or(0);
    let (all, updated) = (count("/status/replicas"), count("/status/updatedReplicas"));
    let available = count("/status/availableReplicas");
    if updated < wanted {
        Waiting(format!("{updated} of {wanted} replicas are updated"))
    } else if all > updated {
        Waiting(format!("{} old replicas are ending", all - updated))
    } else if available < updated {
        Waiting(format!("{available} of {updated} replicas are available"))
    } else {
        Ready(replicas(available, wanted))
    }
}

fn stateful_set(object: &Object) -> Progress {
    if let Some(waiting) = unseen(object) {
        return waiting;
    }
    let wanted = object.number("/spec/replicas").unwrap_or(1);
    let ready = object.number("/status/readyReplicas").unwrap_or(0);
    let partition = object.number("/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let updated = object.number("/status/updatedReplicas").unwrap_or(0);
    if ready < wanted {
        Waiting(format!("{ready} of {wanted} replicas are ready"))
    } else if object.text("/spec/updateStrategy/type") == "RollingUpdate" && updated < wanted - partition {
        Waiting(format!("{updated} of {} replicas are updated", wanted - partition))
    } else {
        Ready(replicas(ready, wanted))
    }
}

fn daemon_set(object: &Object) -> Progress {
    if let Some(waiting) = unseen(object) {
        return waiting;
    }
    let count = |field| object.number(field).unwrap_or(0);
    let wanted = count("/status/desiredNumberScheduled");
    let (updated, available) = (count("/status/updatedNumberScheduled"), count("/status/numberAvailable"));
    if object.text("/spec/updateStrategy/type") == "RollingUpdate" && updated < wanted {
        Waiting(format!("{updated} of {wanted} pods are updated"))
    } else if available < wanted {
        Waiting(format!("{available} of {wanted} pods are available"))
    } else {
        Ready(replicas(available, wanted))
    }
}

fn job(object: &Object) -> Progress {
    let is = |name| condition(object, name).filter(|condition| condition["status"] == "True");
    if let Some(failed) = is("Failed") {
        let how = failed["message"].as_str().unwrap_or("it failed").to_owned();
        return Progress::Failed { how, for_good: true };
    }
    if is("Complete").is_some() { Ready("complete".into()) } else { Waiting("it has not ended".into()) }
}

fn pod(object: &Object) -> Progress {
    let is_ready = condition(object, "Ready").is_some_and(|condition| condition["status"] == "True");
    match object.text("/status/phase") {
        "Succeeded" => Ready("succeeded".into()),
        "Failed" => Progress::Failed { how: "it failed".into(), for_good: true },
        _ if is_ready => Ready("running".into()),
        "" => Waiting("it is not scheduled".into()),
        phase => Waiting(format!("it is {}", phase.to_lowercase())),
    }
}

/// Waiting, if the controller has not looked at the object as it is now.
fn unseen(object: &Object) -> Option<Progress> {
    let seen = object.number("/status/observedGeneration").unwrap_or(0);
    let unseen = seen < object.number("/metadata/generation").unwrap_or(0);
    unseen.then(|| Waiting("its controller has not looked at the change".into()))
}

pub(super) fn condition<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object
        .value()
        .pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == name)
}

fn replicas(ready: i64, wanted: i64) -> String {
    format!("{ready} of {wanted} ready")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::object::object;
    use super::*;

    fn server(generation: i64, status: &Value) -> Progress {
        judge(&object(json!({
            "apiVersion": "mcp-operator.dev/v1alpha1", "kind": "McpServer",
            "metadata": {"name": "n", "generation": generation}, "status": status})))
    }

    fn ready(status: &str, reason: &str, message: &str) -> Value {
        json!({"type": "Ready", "status": status, "reason": reason, "message": message})
    }

    #[test]
    fn a_server_is_ready_for_the_change_that_was_made_and_no_earlier() {
        let done = json!({"observedGeneration": 1, "url": "http://n.x.svc/mcp", "conditions": [ready("True", "Ready", "Serving 1 tool on 1 pod.")]});
        assert_eq!(server(1, &done), Ready("Serving 1 tool on 1 pod, http://n.x.svc/mcp".into()));
        assert_eq!(server(2, &done), Waiting("the operator has not looked at the change".into()));
        let on_the_way =
            json!({"observedGeneration": 2, "conditions": [ready("False", "Progressing", "0 of 1 pods")]});
        assert_eq!(server(2, &on_the_way), Waiting("0 of 1 pods".into()));
        assert!(matches!(server(1, &json!(null)), Waiting(why) if why.contains("does it run")));
    }

    #[test]
    fn a_stalled_server_has_failed_although_it_still_serves() {
        let stalled = |reason: &str| {
            json!({"observedGeneration": 1, "conditions": [
                ready("True", "Ready", "Serving"),
                {"type": "Stalled", "status": "True", "reason": reason, "message": "spec.x: bad"}]})
        };
        let failed =
            |reason: &str, for_good| Progress::Failed { how: format!("{reason}: spec.x: bad"), for_good };
        assert_eq!(server(1, &stalled("Invalid")), failed("Invalid", true));
        assert_eq!(server(1, &stalled("ReferenceMissing")), failed("ReferenceMissing", false));
    }

    fn workload(kind: &str, spec: &Value, status: &Value) -> Progress {
        let group = if kind == "Job" { "batch/v1" } else { "apps/v1" };
        judge(&object(
            json!({"apiVersion": group, "kind": kind, "metadata": {"generation": 2}, "spec": spec, "status": status}),
        ))
    }

    #[test]
    fn a_rollout_is_judged_as_kubectl_does() {
        let waiting = |text: &str| Waiting(text.to_owned());
        let two = json!({"replicas": 2});
        let status = |all: i64, updated: i64, available: i64| json!({"observedGeneration": 2, "replicas": all, "updatedReplicas": updated, "availableReplicas": available});
        for (status, expected) in [
            (
                json!({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
                waiting("its controller has not looked at the change"),
            ),
            (status(2, 1, 2), waiting("1 of 2 replicas are updated")),
            (status(3, 2, 2), waiting("1 old replicas are ending")),
            (status(2, 2, 1), waiting("1 of 2 replicas are available")),
            (status(2, 2, 2), Ready("2 of 2 ready".into())),
        ] {
            assert_eq!(workload("Deployment", &two, &status), expected);
        }
        let stuck = json!({"observedGeneration": 2, "conditions": [
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "no progress"}]});
        assert_eq!(
            workload("Deployment", &two, &stuck),
            Progress::Failed { how: "no progress".into(), for_good: true }
        );
    }

    #[test]
    fn the_other_workloads_are_judged_too() {
        let rolling = json!({"replicas": 2, "updateStrategy": {"type": "RollingUpdate"}});
        let set = |ready: i64, updated: i64| {
            workload(
                "StatefulSet",
                &rolling,
                &json!({"observedGeneration": 2, "readyReplicas": ready, "updatedReplicas": updated}),
            )
        };
        assert_eq!(set(1, 2), Waiting("1 of 2 replicas are ready".into()));
        assert_eq!(set(2, 1), Waiting("1 of 2 replicas are updated".into()));
        assert_eq!(set(2, 2), Ready("2 of 2 ready".into()));
        let daemons = |available: i64| {
            workload(
                "DaemonSet",
                &json!({}),
                &json!({"observedGeneration": 2, "desiredNumberScheduled": 3, "numberAvailable": available}),
            )
        };
        assert_eq!(daemons(2), Waiting("2 of 3 pods are available".into()));
        assert_eq!(daemons(3), Ready("3 of 3 ready".into()));
        let job = |kind: &str| {
            workload(
                "Job",
                &json!({}),
                &json!({"conditions": [{"type": kind, "status": "True", "message": "m"}]}),
            )
        };
        assert_eq!(job("Complete"), Ready("complete".into()));
        assert_eq!(job("Failed"), Progress::Failed { how: "m".into(), for_good: true });
        assert_eq!(job("Suspended"), Waiting("it has not ended".into()));
        assert_eq!(judge(&object(json!({"apiVersion": "v1", "kind": "Service"}))), Ready(String::new()));
    }
}
