//! The pods of a workload: what keeps them from running, and their last words.

use super::cluster::Cluster;
use super::object::{self, Object};
use crate::text;

/// What a container waits for that does not come by itself.
const TROUBLES: [&str; 6] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
];

/// A pod that does not run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) pod: String,
    /// The reason and the message of the container that waits.
    pub(super) how: String,
}

/// A pod of a workload that does not run; none where all is well, or where it cannot be found out: it only adds to what
/// the status of the workload says.
pub(super) fn trouble(cluster: &Cluster, workload: &Object) -> Option<Trouble> {
    pods(cluster, workload)?.iter().find_map(of_pod)
}

/// The end of the log of a pod; of the container that ended last, where it is being started anew.
pub(super) fn log(cluster: &Cluster, pod: &str) -> Vec<String> {
    let read = |more: &[&str]| {
        let arguments = [&["logs", pod, "--all-containers", "--tail", "10"], more].concat();
        let answer = cluster.ask(&arguments, None).ok().filter(|answer| answer.success);
        answer.map(|answer| text::tail(&answer.stdout, 10)).filter(|lines| !lines.is_empty())
    };
    read(&["--previous"]).or_else(|| read(&[])).unwrap_or_default()
}

/// The name of a pod of a workload, the newest first.
pub(super) fn newest(cluster: &Cluster, workload: &Object) -> Option<String> {
    let mut pods = pods(cluster, workload)?;
    // RFC 3339 in UTC is ordered as text.
    pods.sort_by(|a, b| b.text("/metadata/creationTimestamp").cmp(a.text("/metadata/creationTimestamp")));
    pods.first().map(|pod| pod.text("/metadata/name").to_owned())
}

fn pods(cluster: &Cluster, workload: &Object) -> Option<Vec<Object>> {
    let labels = workload.value().pointer("/spec/selector/matchLabels")?.as_object()?;
    let pairs: Option<Vec<_>> =
        labels.iter().map(|(name, value)| Some(format!("{name}={}", value.as_str()?))).collect();
    let arguments = ["get", "pods", "--selector", &pairs?.join(","), "--output", "json"];
    object::parse(&cluster.question(&arguments, None).ok()?).ok()
}

fn of_pod(pod: &Object) -> Option<Trouble> {
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let containers = statuses.iter().filter_map(|list| pod.value().pointer(list)?.as_array()).flatten();
    let waiting = containers.map(|container| &container["state"]["waiting"]);
    let found = waiting
        .into_iter()
        .find(|waiting| waiting["reason"].as_str().is_some_and(|reason| TROUBLES.contains(&reason)))?;
    let word = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    let how = match word("message") {
        message if message.is_empty() => word("reason"),
        message => format!("{}: {}", word("reason"), text::last_line(&message)),
    };
    Some(Trouble { pod: pod.text("/metadata/name").to_owned(), how })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::object::object;
    use super::*;

    fn pod(state: &Value) -> Object {
        let list = json!([{"state": {"running": {}}}, {"state": state}]);
        object(json!({"kind": "Pod", "metadata": {"name": "p"}, "status": {"containerStatuses": list}}))
    }

    #[test]
    fn what_keeps_a_pod_from_running_is_named() {
        let crashing = pod(&json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}));
        let expected = Trouble { pod: "p".into(), how: "CrashLoopBackOff: back-off 10s".into() };
        assert_eq!(of_pod(&crashing), Some(expected));
        assert_eq!(of_pod(&pod(&json!({"waiting": {"reason": "ContainerCreating"}}))), None);
        assert_eq!(of_pod(&pod(&json!({"running": {}}))), None);
    }
}
