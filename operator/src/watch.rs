//! One watch: from the API server through our backoff, counters and readiness to a stream that never fails.
//!
//! The controller joins all its streams into one and pauses that one whenever any of them yields an error. A missing right on one
//! kind would so hold up all the others; errors therefore end here.

use std::collections::HashMap;
use std::future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt as _};
use kube::Api;
use kube_runtime::utils::StreamBackoff;
use kube_runtime::watcher::{self, Config, Event, watcher};
use tracing::{info, warn};

use crate::backoff::WatchBackoff;
use crate::error::Error;
use crate::metrics::WatchMetrics;
use crate::object::Object;
use crate::readiness::Readiness;

/// Objects asked for at a time: a list of thousands then does not have to fit twice in memory.
const PAGE: u32 = 250;

/// What a watch is told apart by, and where it reports.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The kind in the plural, as in `Deployments`: the metric's label.
    pub kind: &'static str,
    /// The namespace, or `None` for the whole cluster.
    pub namespace: Option<String>,
    /// Counters.
    pub metrics: WatchMetrics,
    /// Where a watch that has not delivered is named.
    pub readiness: Readiness,
    /// The last failure, for whoever waits for this watch.
    pub failures: Failures,
}

/// What ails the watches of one controller, by kind. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Failures(Arc<Mutex<HashMap<&'static str, String>>>);

impl Failures {
    /// What went wrong last with the watch of this kind, if it still does.
    pub fn get(&self, kind: &'static str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(kind).cloned()
    }

    /// Puts in a new state, and returns the one before.
    fn set(&self, kind: &'static str, failure: Option<String>) -> Option<String> {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            Some(failure) => failures.insert(kind, failure),
            None => failures.remove(kind),
        }
    }
}

impl Subject {
    /// The name under which readiness speaks of this watch.
    fn name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} in namespace {namespace}", self.kind),
            None => self.kind.to_owned(),
        }
    }

    /// The sentence for a failure: the missing resource is everybody's first mistake, and gets the next step.
    fn explain(&self, error: watcher::Error, installed: bool) -> (String, String) {
        let error = match error {
            watcher::Error::InitialListFailed(error) => Error::api(format!("list {}", self.kind), error),
            watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
                Error::api(format!("watch {}", self.kind), error)
            }
            watcher::Error::WatchError(status) => {
                Error::api(format!("watch {}", self.kind), kube::Error::Api(status))
            }
            watcher::Error::NoResourceVersion => Error::Transport {
                what: format!("list {}", self.kind),
                message: "the answer has no resource version".to_owned(),
            },
        };
        let code = error.code().map_or_else(|| "error".to_owned(), |code| code.to_string());
        let text = if installed {
            error.to_string()
        } else {
            "the McpServer resource is not installed in this cluster; install the chart mcp-operator-crds, or run \
             `mcp-operator crd | kubectl apply --server-side -f -`"
                .to_owned()
        };
        (code, text)
    }
}

/// Watches `api`, reports to `subject`, and yields what happens. Failures are logged once each, counted, and waited out.
pub fn events(
    api: Api<Object>,
    config: Config,
    subject: Subject,
) -> impl Stream<Item = Event<Object>> + Send + 'static {
    let name = subject.name();
    subject.readiness.wait_for(&name, "the first list is under way");
    let first = AtomicBool::new(true);
    let watch = watcher(api, config.page_size(PAGE));
    StreamBackoff::new(watch, WatchBackoff::default())
        .filter_map(move |event| future::ready(report(event, &subject, &name, &first)))
}

/// The event with what `read` makes of its object.
pub fn map<K>(event: Event<Object>, read: impl FnOnce(Object) -> K) -> Event<K> {
    match event {
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(read(object)),
        Event::InitDone => Event::InitDone,
        Event::Apply(object) => Event::Apply(read(object)),
        Event::Delete(object) => Event::Delete(read(object)),
    }
}

fn report(
    event: Result<Event<Object>, watcher::Error>,
    subject: &Subject,
    name: &str,
    first: &AtomicBool,
) -> Option<Event<Object>> {
    match event {
        Ok(event) => {
            match &event {
                // A list is only begun here: nothing has been answered yet.
                Event::Init => {
                    if !first.swap(false, Ordering::Relaxed) {
                        subject.metrics.relists.with_label_values(&[subject.kind]).inc();
                    }
                }
                Event::InitDone => {
                    info!(kind = subject.kind, namespace = subject.namespace, "watching");
                    recovered(subject, name);
                }
                Event::Apply(_) | Event::Delete(_) => recovered(subject, name),
                Event::InitApply(_) => {}
            }
            Some(event)
        }
        Err(error) => {
            let installed = !is_missing_resource(&error);
            let (code, text) = subject.explain(error, installed);
            subject.metrics.errors.with_label_values(&[subject.kind, &code]).inc();
            // 410 is the API server's ordinary way to ask for a new list; it is counted, and no failure.
            if code != "410" {
                if subject.failures.set(subject.kind, Some(text.clone())).as_deref() != Some(text.as_str()) {
                    warn!(kind = subject.kind, namespace = subject.namespace, "{text}");
                }
                if !installed {
                    subject.metrics.crd_missing.set(1);
                    subject.readiness.wait_for(name, text);
                }
            }
            None
        }
    }
}

fn recovered(subject: &Subject, name: &str) {
    if subject.failures.set(subject.kind, None).is_some() {
        info!(kind = subject.kind, namespace = subject.namespace, "watching again");
    }
    subject.readiness.done(name);
    if subject.kind == MCP_SERVERS {
        subject.metrics.crd_missing.set(0);
    }
}

/// The kind whose absence means that the CRD is not installed.
pub const MCP_SERVERS: &str = "McpServers";

/// Whether the API server does not know the resource at all. Kinds of Kubernetes itself are always known.
fn is_missing_resource(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}
