//! Waiting until objects are ready.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::error::Error;
use super::object::{Key, Object};
use super::pods;
use super::readiness::{Progress, is_workload, judge};
use crate::deadline::Deadline;
use crate::output::note;
use crate::text;

/// How often the API server is asked for all of the objects. `kubectl wait` watches one kind each and does not notice
/// that an object will never be ready.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the pods of a workload that is not ready are looked at.
const PODS: Duration = Duration::from_secs(5);
/// How long a failure that may pass has to last.
const GRACE: Duration = Duration::from_secs(10);

/// How waiting ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// What there is to say of each workload.
    Ready(Vec<(Key, String)>),
    Failed {
        reason: String,
    },
}

/// Asks for the objects until all are ready, one has failed, or the time is up.
pub(super) fn wait(cluster: &Cluster, objects: &[Object], timeout: Duration) -> Result<Outcome, Error> {
    let deadline = Deadline::after(timeout);
    let mut failing = Failing::default();
    let mut shown = String::new();
    let mut pods_at: Option<Instant> = None;
    loop {
        let (waiting, silent) = match cluster.present(objects) {
            Ok(present) => match look(objects, &present, &mut failing, Instant::now()) {
                Look::Ready(ready) => return Ok(Outcome::Ready(ready)),
                Look::Failed(object, how) => return Ok(failed(cluster, object, &how)),
                Look::Waiting(waiting) => {
                    let waiting: Vec<_> =
                        waiting.into_iter().map(|(object, how)| (object.clone(), how)).collect();
                    (waiting, None)
                }
            },
            // An API server may be away for a moment, while it is upgraded for instance.
            Err(error) => (Vec::new(), Some(error)),
        };
        if pods_at.is_none_or(|at| at.elapsed() >= PODS) {
            pods_at = Some(Instant::now());
            for (object, _) in &waiting {
                if let Some(how) = pods::trouble(cluster, object)
                    .map(|trouble| format!("pod {}: {}", trouble.pod, trouble.how))
                    && failing.has_lasted(&object.key(), &how, Instant::now())
                {
                    return Ok(failed(cluster, object, &how));
                }
            }
        }
        let list: Vec<_> = waiting.iter().map(|(object, how)| format!("{}: {how}", object.key())).collect();
        let list = list.join("; ");
        if !list.is_empty() && list != shown {
            note(&format!("Waiting: {list}"));
            shown.clone_from(&list);
        }
        if !deadline.pause(INTERVAL) {
            if let Some(error) = silent {
                return Err(error);
            }
            let reason =
                format!("timed out after {}: {list} (--timeout sets a longer time)", text::length(timeout));
            return Ok(Outcome::Failed { reason });
        }
    }
}

enum Look<'a> {
    Ready(Vec<(Key, String)>),
    Waiting(Vec<(&'a Object, String)>),
    Failed(&'a Object, String),
}

fn look<'a>(
    objects: &'a [Object],
    present: &'a BTreeMap<Key, Object>,
    failing: &mut Failing,
    now: Instant,
) -> Look<'a> {
    let (mut ready, mut waiting) = (Vec::new(), Vec::new());
    for declared in objects {
        let key = declared.key();
        let Some(object) = present.get(&key) else {
            waiting.push((declared, "it is gone".to_owned()));
            continue;
        };
        match judge(object) {
            Progress::Ready(how) if is_workload(object) => ready.push((key, how)),
            Progress::Ready(_) => {}
            Progress::Waiting(how) => waiting.push((object, how)),
            Progress::Failed { how, for_good } => {
                if for_good || failing.has_lasted(&key, &how, now) {
                    return Look::Failed(object, how);
                }
                waiting.push((object, how));
            }
        }
    }
    if waiting.is_empty() { Look::Ready(ready) } else { Look::Waiting(waiting) }
}

/// Since when each object has been failing.
#[derive(Debug, Default)]
struct Failing(BTreeMap<Key, (String, Instant)>);

impl Failing {
    /// Whether a failure has been the same one for as long as it takes to believe it. The word in front names the kind
    /// of failure; what follows may count.
    fn has_lasted(&mut self, key: &Key, how: &str, now: Instant) -> bool {
        let kind = how.split(':').next().unwrap_or(how);
        match self.0.get(key) {
            Some((known, since)) if known == kind => now.duration_since(*since) >= GRACE,
            _ => {
                self.0.insert(key.clone(), (kind.to_owned(), now));
                false
            }
        }
    }
}

/// A failure, with the end of a log where the workload has one, and the next step.
fn failed(cluster: &Cluster, object: &Object, how: &str) -> Outcome {
    let key = object.key();
    let describe = cluster.typed(&["describe", &key.argument()]);
    let pod =
        pods::trouble(cluster, object).map(|trouble| trouble.pod).or_else(|| pods::newest(cluster, object));
    let lines = pod.as_deref().map(|pod| pods::log(cluster, pod)).unwrap_or_default();
    let log = match pod {
        Some(pod) if !lines.is_empty() => format!("; the end of the log of {pod}:{}", text::block(&lines)),
        _ => String::new(),
    };
    Outcome::Failed { reason: format!("{key} is not ready: {how} (`{describe}` shows more){log}") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::object::object;
    use super::*;

    fn server(status: &Value) -> Object {
        object(json!({
            "apiVersion": "mcp-operator.dev/v1alpha1", "kind": "McpServer",
            "metadata": {"name": "n", "namespace": "x", "generation": 1}, "status": status}))
    }

    fn stalled(reason: &str, message: &str) -> Object {
        server(&json!({"observedGeneration": 1, "conditions": [
            {"type": "Stalled", "status": "True", "reason": reason, "message": message}]}))
    }

    /// What a look means: ready, waiting, or failed.
    fn seen(failing: &mut Failing, object: Object, now: Instant) -> &'static str {
        let declared = [object.clone()];
        match look(&declared, &[(object.key(), object)].into(), failing, now) {
            Look::Ready(_) => "ready",
            Look::Waiting(_) => "waiting",
            Look::Failed(..) => "failed",
        }
    }

    #[test]
    fn a_failure_that_may_pass_is_given_time_and_an_invalid_resource_is_not() {
        let (mut failing, start) = (Failing::default(), Instant::now());
        assert_eq!(seen(&mut failing, stalled("ReferenceMissing", "Secret 1"), start), "waiting");
        assert_eq!(seen(&mut failing, stalled("ReferenceMissing", "Secret 2"), start + GRACE / 2), "waiting");
        assert_eq!(seen(&mut failing, stalled("CrashLoop", "exit 1"), start + GRACE), "waiting");
        assert_eq!(seen(&mut failing, stalled("CrashLoop", "exit 1, twice"), start + GRACE * 2), "failed");
        assert_eq!(seen(&mut failing, stalled("Invalid", "spec.x"), start), "failed");
    }

    #[test]
    fn an_object_that_is_gone_is_not_ready() {
        let declared = [server(&json!(null))];
        let (present, mut failing) = (BTreeMap::new(), Failing::default());
        let looked = look(&declared, &present, &mut failing, Instant::now());
        assert!(matches!(looked, Look::Waiting(waiting) if waiting[0].1 == "it is gone"));
    }
}
