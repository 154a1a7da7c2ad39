//! The one writer of statuses.
//!
//! The status is computed after every pass, whatever came of it, and written only when it says something new. Steps of progress wait for a
//! moment, so that a rollout costs two or three writes and not one for each pod; news that somebody waits for does not wait.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Resource as _;
use kube::api::Patch;
use mcp_crds::v1alpha1::{McpServer, McpServerStatus};
use mcp_desired::reason::condition;
use mcp_desired::{self as desired, Event, EventKind, Timestamp, Verdict, events, status};
use serde_json::json;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Outcome;
use super::apply::child::params;
use super::observe::cached;
use crate::cache::version;
use crate::context::Context;
use crate::error::{Error, Reason};
use crate::events::Note;
use crate::object;

/// How long a step of progress may wait for the next one. Longer than the two seconds for which a pod must answer by default, so
/// that "answers" and "counts" are one write.
const SETTLE: Duration = Duration::from_millis(2500);

/// What we wrote and the watch has not shown yet, and what waits to be written; by uid.
#[derive(Debug, Default)]
pub struct Statuses {
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Resource version and status of our last write.
    written: Option<(u64, Option<McpServerStatus>)>,
    /// Since when the stored status lacks a step of progress.
    lagging_since: Option<Instant>,
}

impl Statuses {
    /// The resource with the newest status that is known: the cached one, or the one of our last write.
    pub fn newest<'a>(&self, server: &'a McpServer) -> Cow<'a, McpServer> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = server.metadata.uid.as_deref().unwrap_or_default();
        let Some(entry) = entries.get_mut(uid) else { return Cow::Borrowed(server) };
        match &entry.written {
            Some((written, newer)) if *written > version(server) => {
                Cow::Owned(McpServer { status: newer.clone(), ..server.clone() })
            }
            _ => {
                entry.written = None;
                if entry.lagging_since.is_none() {
                    entries.remove(uid);
                }
                Cow::Borrowed(server)
            }
        }
    }

    /// How long a step of progress still has to wait; `None` when its time has come.
    fn wait(&self, uid: &str) -> Option<Duration> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let since =
            *entries.entry(uid.to_owned()).or_default().lagging_since.get_or_insert_with(Instant::now);
        SETTLE.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
    }

    /// The stored status lacks nothing.
    fn settled(&self, uid: &str) {
        if let Some(entry) = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get_mut(uid) {
            entry.lagging_since = None;
        }
    }

    fn wrote(&self, uid: &str, returned: McpServer) {
        let entry = Entry { written: Some((version(&returned), returned.status)), lagging_since: None };
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), entry);
    }

    /// The McpServer is gone.
    pub fn forget(&self, uid: &str) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Forgets every McpServer that is not among the living.
    pub fn retain(&self, living: &HashSet<String>) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| living.contains(uid));
    }
}

/// Writes the status that follows from one reconcile, if it says something new, and tells of what changed.
///
/// Returns how long a step of progress still waits to be written.
///
/// # Errors
/// The API server refused, or could not be reached.
pub async fn write(
    server: &McpServer,
    result: &Result<Outcome, Error>,
    cx: &Context,
) -> Result<Option<Duration>, Error> {
    let failure;
    let (verdict, changes, taken) = match result {
        Ok(outcome) => (&outcome.verdict, outcome.changes.as_slice(), outcome.taken.clone()),
        Err(error) => {
            failure = failed(error);
            (&failure, [].as_slice(), Vec::new())
        }
    };
    let uid = server.metadata.uid.as_deref().unwrap_or_default();
    let old = server.status.as_ref();
    let new = status(server, &cached(server, cx, taken), verdict, Timestamp::now());
    if old == Some(&new) {
        cx.statuses.settled(uid);
        tell(server, &events(old, &new, changes), &new, verdict, cx);
        return Ok(None);
    }
    if !is_news(old, &new)
        && let Some(left) = cx.statuses.wait(uid)
    {
        tell(server, &events(old, old.unwrap_or(&new), changes), &new, verdict, cx);
        return Ok(Some(left));
    }
    patch(server, &new, Precondition::SameResource, cx).await?;
    tell(server, &events(old, &new, changes), &new, verdict, cx);
    Ok(None)
}

/// Whether somebody waits for this: a person or a tool for an answer, and not a progress bar for its next step.
fn is_news(old: Option<&McpServerStatus>, new: &McpServerStatus) -> bool {
    let Some(old) = old else { return true };
    old.observed_generation != new.observed_generation || verdicts(old) != verdicts(new)
}

/// The conditions that are no progress, with their status.
fn verdicts(status: &McpServerStatus) -> BTreeSet<(&str, &str)> {
    let progress = [condition::AVAILABLE, condition::RECONCILING];
    let conditions = status.conditions.iter().map(|found| (found.type_.as_str(), found.status.as_str()));
    conditions.filter(|(type_, _)| !progress.contains(type_)).collect()
}

/// What a status write rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The resource is the same one, not one that was made anew under its name.
    SameResource,
    /// Nobody has written the resource since it was read.
    SameVersion,
}

/// Writes a status. Returns whether it was written: not when the precondition does not hold any more.
///
/// # Errors
/// The API server refused, or could not be reached.
pub async fn patch(
    server: &McpServer,
    status: &McpServerStatus,
    precondition: Precondition,
    cx: &Context,
) -> Result<Option<McpServer>, Error> {
    let meta = &server.metadata;
    let (namespace, name) =
        (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    let api = object::api::<McpServer>(cx.client.clone(), Some(namespace));
    // The uid makes the write fail on a resource that was deleted and made anew meanwhile: it is not the one spoken of.
    let mut body = json!({
        "apiVersion": McpServer::api_version(&()),
        "kind": McpServer::kind(&()),
        "metadata": {"name": name, "namespace": namespace, "uid": meta.uid},
        "status": status,
    });
    if precondition == Precondition::SameVersion {
        body["metadata"]["resourceVersion"] = json!(meta.resource_version);
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one writer of statuses")]
    let written = api.patch_status(name, &params(), &Patch::Apply(body)).await;
    let what = || format!("write the status of McpServer {namespace}/{name}");
    match written.map_err(|error| Error::api(what(), error)) {
        Ok(returned) => {
            let returned: McpServer =
                returned.read().map_err(|unreadable| Error::unreadable(what(), &unreadable))?;
            cx.metrics.api.writes.with_label_values(&["McpServer", "apply-status"]).inc();
            cx.statuses.wrote(meta.uid.as_deref().unwrap_or_default(), returned.clone());
            Ok(Some(returned))
        }
        // It is gone, another one has its name, or it was written meanwhile.
        Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn tell(server: &McpServer, events: &[Event], status: &McpServerStatus, verdict: &Verdict, cx: &Context) {
    let ready = status.conditions.iter().find(|found| found.type_ == condition::READY);
    let reason = ready.map(|ready| ready.reason.as_str()).unwrap_or_default();
    for Event { kind, note } in events {
        log(*kind, note, reason, verdict);
        let note = Note {
            warning: kind.is_warning(),
            reason: kind.as_str().to_owned(),
            action: kind.action().to_owned(),
            text: note.clone(),
        };
        cx.events.tell(&server.object_ref(&()), note);
    }
}

/// One line for each turn to the worse, and one for its end. What was written is logged where it is written, and what failed by
/// the guard, at each try.
fn log(kind: EventKind, note: &str, reason: &str, verdict: &Verdict) {
    match kind {
        EventKind::Degraded | EventKind::Invalid | EventKind::NameConflict => {
            if !matches!(verdict, Verdict::Failed { .. }) {
                warn!(event = kind.as_str(), reason, "{note}");
            }
        }
        EventKind::RolledOut | EventKind::Recovered => info!(event = kind.as_str(), reason, "{note}"),
        // The writer of children says more of a contention than its event.
        EventKind::Created | EventKind::Updated | EventKind::DriftReverted | EventKind::Contended => {}
    }
}

/// What the status says of a failure.
pub fn failed(error: &Error) -> Verdict {
    let (reason, next) = match error.reason() {
        Reason::Quota => (desired::Reason::Quota, "; raise the quota or free what it counts"),
        Reason::Forbidden => (
            desired::Reason::Forbidden,
            "; the operator's role lacks this right: upgrade the chart mcp-operator",
        ),
        Reason::Rejected => (desired::Reason::Rejected, "; change the field it names, or the policy"),
        Reason::Conflict
        | Reason::Unavailable
        | Reason::Terminating
        | Reason::NotSynced
        | Reason::Deadline
        | Reason::Panic
        | Reason::Internal => (desired::Reason::Internal, "; it is tried again"),
    };
    Verdict::Failed { reason, message: format!("{error}{next}") }
}

#[cfg(test)]
mod tests {
    use mcp_crds::v1alpha1::Condition;

    use super::*;

    fn status(ready: &str, ready_replicas: i32) -> McpServerStatus {
        let condition = Condition {
            type_: condition::READY.to_owned(),
            status: ready.to_owned(),
            reason: "Progressing".to_owned(),
            message: String::new(),
            observed_generation: Some(1),
            last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH),
        };
        McpServerStatus {
            observed_generation: Some(1),
            ready_replicas: Some(ready_replicas),
            conditions: vec![condition],
            ..McpServerStatus::default()
        }
    }

    #[test]
    fn counters_wait_and_verdicts_do_not() {
        assert!(!is_news(Some(&status("False", 0)), &status("False", 1)));
        assert!(is_news(Some(&status("False", 1)), &status("True", 1)));
        assert!(is_news(None, &status("False", 0)));
        let edited = McpServerStatus { observed_generation: Some(2), ..status("False", 0) };
        assert!(is_news(Some(&status("False", 0)), &edited));
    }

    /// What a log of everything holds after `act`.
    fn logged(act: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Lines(std::sync::Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || writer.clone());
        tracing::subscriber::with_default(subscriber.finish(), act);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn trouble_and_its_end_are_logged_and_what_others_log_is_not() {
        let conflict = Verdict::Conflict(Vec::new());
        let line = logged(|| log(EventKind::NameConflict, "ConfigMap a is taken", "NameConflict", &conflict));
        assert!(line.trim_start().starts_with("WARN") && line.contains("reason=\"NameConflict\""), "{line}");
        let line = logged(|| log(EventKind::Recovered, "Serving 1 tool on 1 pod", "Ready", &conflict));
        assert!(line.trim_start().starts_with("INFO") && line.contains("event=\"Recovered\""), "{line}");
        let failed = Verdict::Failed { reason: desired::Reason::Forbidden, message: String::new() };
        assert_eq!(logged(|| log(EventKind::Degraded, "the guard logs it", "Forbidden", &failed)), "");
        assert_eq!(logged(|| log(EventKind::Updated, "the writer logs it", "Ready", &conflict)), "");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_waits_from_its_first_step_on() {
        let statuses = Statuses::default();
        assert_eq!(statuses.wait("u"), Some(SETTLE));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(statuses.wait("u"), Some(Duration::from_millis(500)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(statuses.wait("u"), None);
        statuses.settled("u");
        assert_eq!(statuses.wait("u"), Some(SETTLE));
    }
}
