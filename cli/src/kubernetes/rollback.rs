//! Going back to what was there before a deployment that did not become ready.
//!
//! An object that was there is put back as it was, whatever its kind. For a Deployment that is more exact than
//! `kubectl rollout undo`, which goes back to another pod template although only the replicas may have changed.

use std::time::Duration;

use super::before::Before;
use super::cluster::{Cluster, WRITE};
use super::error::Error;
use super::object::{self, Object};
use super::wait::{Outcome, wait};
use crate::output::note;

/// How it went, as a sentence.
pub(super) fn roll_back(
    cluster: &Cluster,
    declared: &[Object],
    before: &Before,
    timeout: Duration,
) -> String {
    match bring_back(cluster, declared, before, timeout) {
        Ok(sentence) => sentence,
        Err(error) => format!(
            "Rolling back failed: {error}. Look with `{}`, and put right what is not as it was",
            cluster.typed(&["get", "all"])
        ),
    }
}

fn bring_back(
    cluster: &Cluster,
    declared: &[Object],
    before: &Before,
    timeout: Duration,
) -> Result<String, Error> {
    let now = cluster.present(declared)?;
    let created: Vec<_> =
        now.iter().filter(|(key, _)| !before.objects.contains_key(key)).map(|(_, object)| object).collect();
    let changed: Vec<_> = before
        .objects
        .iter()
        .filter(|(key, old)| now.get(key).is_some_and(|new| !old.wants_the_same(new)))
        .map(|(_, old)| old.restorable())
        .collect();
    if !changed.is_empty() {
        note("Rolling back: putting back what was there before.");
        cluster.write(&["replace", "--filename", "-"], Some(&object::list(&changed)), WRITE)?;
    }
    if !created.is_empty() {
        note("Rolling back: deleting what is new.");
        cluster.delete(created.iter().copied(), WRITE)?;
    }
    if before.made_namespace {
        let wait = format!("--timeout={}s", WRITE.as_secs());
        cluster.write(&["delete", "namespace", &cluster.namespace, &wait], None, WRITE * 2)?;
    }
    let deleted = match (created.is_empty(), before.made_namespace) {
        (true, false) => "",
        (_, true) => "what was new has been deleted, the namespace included",
        (false, false) => "what was new has been deleted",
    };
    if changed.is_empty() {
        return Ok(if deleted.is_empty() {
            "Nothing had been changed".to_owned()
        } else {
            format!("Rolled back: {deleted}")
        });
    }
    let and = if deleted.is_empty() { String::new() } else { format!(", and {deleted}") };
    Ok(match wait(cluster, &changed, timeout)? {
        Outcome::Ready(_) => format!("Rolled back: what was there before is ready again{and}"),
        Outcome::Failed { reason } => {
            format!("Rolled back to what was there before{and}, but it is not ready either: {reason}")
        }
    })
}
