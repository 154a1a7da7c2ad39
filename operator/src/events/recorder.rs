//! Events as the API server has them: a repeat is counted on the first one, and another text is another event.
//!
//! kube-runtime's recorder counts by reason alone, whatever the text: `kubectl describe` then shows the text of the first
//! with the count and the time of the last.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::Instant;

use super::Note;
use crate::error::Error;
use crate::object;

/// How long a repeat is counted on the first event, as in Kubernetes' own recorder.
const SERIES: Duration = Duration::from_secs(360);

/// What makes two events the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    uid: String,
    warning: bool,
    reason: String,
    text: String,
}

/// An event that was published.
#[derive(Debug)]
struct Published {
    name: String,
    count: u32,
    last: Instant,
}

/// Publishes events, one at a time.
pub(super) struct Recorder {
    client: Client,
    /// The program, as `kubectl describe` shows it.
    controller: String,
    /// The pod.
    instance: String,
    published: HashMap<Key, Published>,
}

impl Recorder {
    pub(super) fn new(client: Client, controller: &str, instance: &str) -> Self {
        Self {
            client,
            controller: controller.to_owned(),
            instance: instance.to_owned(),
            published: HashMap::new(),
        }
    }

    /// Publishes one event.
    ///
    /// # Errors
    /// The API server refused, or could not be reached.
    pub(super) async fn publish(&mut self, note: Note, about: &ObjectReference) -> Result<(), Error> {
        self.published.retain(|_, event| event.last.elapsed() < SERIES);
        let key = Key {
            uid: about.uid.clone().unwrap_or_default(),
            warning: note.warning,
            reason: note.reason,
            text: note.text,
        };
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let now = Timestamp::now();
        if let Some(before) = self.published.get_mut(&key) {
            let count = before.count + 1;
            let body = json!({"series": {"count": count, "lastObservedTime": MicroTime(now)}});
            let api = object::api::<Event>(self.client.clone(), Some(namespace));
            #[expect(clippy::disallowed_methods, reason = "this is the one writer of events")]
            let counted = api.patch(&before.name, &PatchParams::default(), &Patch::Merge(body)).await;
            match counted.map_err(|error| Error::api("count an event", error)) {
                Ok(_) => {
                    (before.count, before.last) = (count, Instant::now());
                    return Ok(());
                }
                // The API server forgets events after a while: this is the first one again.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let name = format!("{}.{:x}", about.name.as_deref().unwrap_or(&self.controller), now.as_nanosecond());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            action: Some(note.action),
            event_time: Some(MicroTime(now)),
            note: Some(key.text.clone()),
            reason: Some(key.reason.clone()),
            regarding: Some(about.clone()),
            reporting_controller: Some(self.controller.clone()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(if key.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        #[expect(clippy::disallowed_methods, reason = "this is the one writer of events")]
        let created = api.create(&PostParams::default(), &event).await;
        created.map_err(|error| Error::api("publish an event", error))?;
        self.published.insert(key, Published { name, count: 1, last: Instant::now() });
        Ok(())
    }
}
