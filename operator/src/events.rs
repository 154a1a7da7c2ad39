//! Kubernetes events: what `kubectl describe` tells of changes.
//!
//! One task publishes for the whole process, from a bounded queue. A reconcile only puts its events in: it never waits for the API
//! server to take them, and an outage cannot pile up requests, it drops events and counts them.

mod recorder;

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::recorder::Recorder;
use crate::metrics::EventMetrics;

/// Who reports, as `kubectl describe` shows it.
const REPORTER: &str = "mcp-operator";
/// Events that may wait; more than one storm of transitions, less than a megabyte.
const QUEUE: usize = 512;
/// An event that the API server has not taken by then is given up.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The API server refuses notes of 1 KiB and more.
const LONGEST_NOTE: usize = 1000;

/// One thing to tell about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether a person should be worried.
    pub warning: bool,
    /// One word for what happened, as in `RolledOut`.
    pub reason: String,
    /// One word for what was being done, as in `Reconcile`.
    pub action: String,
    /// One sentence.
    pub text: String,
}

/// The entrance of the queue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<(Note, ObjectReference)>,
    /// How many are queued or on their way.
    waiting: watch::Sender<usize>,
    metrics: EventMetrics,
}

impl Events {
    /// Starts the task that publishes; it ends when the last `Events` is dropped and the queue is empty.
    pub fn start(client: Client, metrics: EventMetrics) -> (Self, JoinHandle<()>) {
        let (queue, notes) = mpsc::channel(QUEUE);
        // In a pod, the name of the pod.
        let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| REPORTER.to_owned());
        let recorder = Recorder::new(client, REPORTER, &instance);
        let waiting = watch::Sender::new(0);
        let task = tokio::spawn(publish(recorder, notes, waiting.clone(), metrics.clone()));
        (Self { queue, waiting, metrics }, task)
    }

    /// Tells one thing about an object, or drops it when the queue is full.
    pub fn tell(&self, about: &ObjectReference, note: Note) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        if self.queue.try_send((note, about.clone())).is_err() {
            self.waiting.send_modify(|waiting| *waiting -= 1);
            self.metrics.dropped.inc();
        }
    }

    /// Waits until nothing is queued or on its way.
    pub async fn published(&self) {
        // The sender lives as long as `self`: the wait can end in no other way.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting == 0).await;
    }
}

async fn publish(
    mut recorder: Recorder,
    mut notes: mpsc::Receiver<(Note, ObjectReference)>,
    waiting: watch::Sender<usize>,
    metrics: EventMetrics,
) {
    while let Some((note, about)) = notes.recv().await {
        let reason = note.reason.clone();
        let note = Note { text: bounded(note.text), ..note };
        match timeout(TIMEOUT, recorder.publish(note, &about)).await {
            Ok(Ok(())) => metrics.published.inc(),
            Ok(Err(error)) => {
                metrics.dropped.inc();
                tracing::debug!(%error, reason, "an event was not published");
            }
            Err(_) => metrics.dropped.inc(),
        }
        waiting.send_modify(|waiting| *waiting -= 1);
    }
}

/// At most [`LONGEST_NOTE`] bytes, cut at a character.
fn bounded(mut text: String) -> String {
    if text.len() > LONGEST_NOTE {
        let mut end = LONGEST_NOTE - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_fit_what_the_api_server_takes() {
        let long = bounded("ä".repeat(900));
        assert!(long.len() <= LONGEST_NOTE && long.ends_with('…'));
        assert_eq!(bounded("short".to_owned()), "short");
    }
}
