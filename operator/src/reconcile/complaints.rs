//! What the kubelet complains of: a volume that cannot be mounted shows in no status of the pod, only in events.
//!
//! Events are looked for, not watched: a cluster has more of them than of anything else. One short list is asked for while a pod has
//! been making its containers for longer than that usually takes, and again ever more rarely. A settled resource has no such pod.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use mcp_crds::v1alpha1::McpServer;
use mcp_desired::Warning;
use tokio::time::Instant;
use tracing::warn;

use crate::cache::Key;
use crate::context::Context;
use crate::error::Error;
use crate::starting;

/// How long a pod may take to start before anybody asks why. The kubelet complains within its first second.
const AFTER: Duration = Duration::from_secs(3);
/// The longest between two looks: as long as the kubelet waits at most between two tries to mount.
const SELDOM: Duration = Duration::from_secs(120);
/// The most complaints that are read; a pod has a handful of volumes.
const MOST: u32 = 50;
/// What a volume that cannot be mounted is reported as.
const REASON: &str = "FailedMount";

/// What was found when somebody last looked.
#[derive(Clone, Debug)]
pub struct Complaints {
    /// Uid of the pod.
    pod: String,
    /// When they are to be looked for again.
    until: Instant,
    /// The newest first.
    warnings: Vec<Warning>,
}

/// What the kubelet complained of when we last looked; the newest first.
pub fn known(uid: &str, cx: &Context) -> Vec<Warning> {
    cx.complaints.get(uid).map(|complaints| complaints.warnings).unwrap_or_default()
}

/// Looks for complaints about a pod that should have started by now, unless that was done lately. Returns when to look again.
///
/// A failure costs an explanation, nothing else: it is logged, and what was known before stays.
pub async fn look(server: &McpServer, cx: &Context) -> Option<Duration> {
    let (namespace, name) = (server.namespace().unwrap_or_default(), server.name_any());
    let uid = server.metadata.uid.as_deref().unwrap_or_default();
    let pods = cx.caches.pods.of(&Key::new(&namespace, &name));
    let Some((pod, age)) = waiting(&pods, Timestamp::now()) else {
        cx.complaints.forget(uid);
        return None;
    };
    let last = cx.complaints.get(uid).filter(|last| Some(&last.pod) == pod.metadata.uid.as_ref());
    let left = match &last {
        Some(last) => last.until.saturating_duration_since(Instant::now()),
        None => AFTER.saturating_sub(age),
    };
    if !left.is_zero() {
        return Some(left);
    }
    let warnings = match list(pod, &namespace, cx).await {
        Ok(warnings) => warnings,
        Err(error) => {
            warn!(reason = error.reason().as_str(), "why a pod does not start cannot be said: {error}");
            last.map(|last| last.warnings).unwrap_or_default()
        }
    };
    let pod = pod.uid().unwrap_or_default();
    let pause = pause(age);
    cx.complaints.insert(uid, Complaints { pod, until: Instant::now() + pause, warnings });
    Some(pause)
}

/// The newest of the pods that have not started yet, and for how long it has been trying. One speaks for all of its version.
fn waiting(pods: &[Arc<Pod>], now: Timestamp) -> Option<(&Pod, Duration)> {
    let starting = pods.iter().filter_map(|pod| Some((&**pod, starting::since(pod)?)));
    let (pod, since) = starting
        .max_by_key(|(pod, _)| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone()))?;
    // The clock of a node may be ahead of ours.
    Some((pod, Duration::try_from(now.duration_since(since).max(SignedDuration::ZERO)).unwrap_or_default()))
}

/// How long a look holds at this age of the pod: each time twice as long.
fn pause(age: Duration) -> Duration {
    age.clamp(AFTER, SELDOM)
}

async fn list(pod: &Pod, namespace: &str, cx: &Context) -> Result<Vec<Warning>, Error> {
    let api: Api<Event> = Api::namespaced(cx.client.clone(), namespace);
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let of_pod = ListParams::default()
        .fields(&format!("regarding.kind=Pod,regarding.uid={uid},reason={REASON},type=Warning"))
        .limit(MOST);
    let what = || format!("list Events of Pod {namespace}/{}", pod.name_any());
    let mut events = api.list(&of_pod).await.map_err(|error| Error::api(what(), error))?.items;
    events.sort_by_key(|event| std::cmp::Reverse(moment(event)));
    let warning = |event: Event| Warning {
        pod: pod.name_any(),
        reason: REASON.to_owned(),
        message: event.note.unwrap_or_default(),
    };
    Ok(events.into_iter().map(warning).collect())
}

/// When it was last so; the kubelet still writes the older fields.
fn moment(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    let older = event.deprecated_last_timestamp.as_ref().map(|time| time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    let made = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    [series, older, first, made].into_iter().flatten().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rare() {
        let (mut age, mut looks) = (AFTER, Vec::new());
        while age < Duration::from_secs(600) {
            looks.push(age.as_secs());
            age += pause(age);
        }
        assert_eq!(looks, [3, 6, 12, 24, 48, 96, 192, 312, 432, 552]);
    }

    #[test]
    fn the_newest_pod_that_has_not_started_speaks_for_all() {
        let pod = |name: &str, made: &str, reason: &str| -> Arc<Pod> {
            let waiting = serde_json::json!({"waiting": {"reason": reason}});
            let pod = serde_json::json!({
                "metadata": {"name": name, "creationTimestamp": made},
                "status": {"startTime": made, "containerStatuses": [
                    {"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": waiting}
                ]}
            });
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        let pods = [
            pod("a", "2026-01-01T00:00:00Z", "ContainerCreating"),
            pod("b", "2026-01-01T00:01:00Z", "ContainerCreating"),
            pod("c", "2026-01-01T00:02:00Z", "ImagePullBackOff"),
        ];
        let at = |now: &str| {
            let (pod, age) = waiting(&pods, now.parse().unwrap()).unwrap();
            (pod.name_any(), age.as_secs())
        };
        assert_eq!(at("2026-01-01T00:01:07Z"), ("b".to_owned(), 7));
        assert_eq!(at("2026-01-01T00:00:59Z"), ("b".to_owned(), 0), "the node's clock is ahead");
        assert!(waiting(&pods[2..], Timestamp::UNIX_EPOCH).is_none());
    }
}
