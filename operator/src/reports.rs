//! What serving pods say of themselves: a refused reload, a missing secret, a part that fails. No status of a pod shows it.
//!
//! One request to the admin port of each ready pod is held open, and answered when what fails there changes: a change is known within
//! seconds, and at rest nothing happens but a new request every few minutes. It goes to the pod, not to the API server. Pods cannot tell
//! by themselves, for they have no token; probes carry no text, and a degraded server must stay ready.
//!
//! An operator that does not reach the pods (one that runs outside the cluster, or behind a network policy) tries ever more rarely, and
//! its statuses say less.

mod http;
mod pace;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::core::ObjectMeta;
use kube_runtime::watcher::Event;
use mcp_desired::{PodReport, Trouble};
use mcp_server_config::constants::ADMIN_PORT;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::debug;

pub use self::http::Http;
use self::pace::Pace;
use crate::cache::Key;
use crate::labels;

/// How long a pod may hold a request.
const WAIT: Duration = Duration::from_secs(300);
/// The most requests that are held at the same time by all controllers together: each costs a connection and some memory. Pods beyond it
/// take turns.
const MOST_HELD: usize = 1024;
/// The most of what one pod says that is passed on: entries, and characters of each.
const MOST_TROUBLES: usize = 16;
const LONGEST: usize = 600;

/// What a pod answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// Another one where there is news.
    pub version: String,
    /// What fails.
    pub troubles: Vec<Said>,
}

/// One part that fails.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Said {
    /// As in `auth`.
    pub part: String,
    /// One line.
    pub message: String,
}

/// Asks a pod what fails.
pub trait Ask: Send + Sync {
    /// Returns as soon as the pod knows another version than this one, or after [`WAIT`].
    ///
    /// # Errors
    /// Why there is no answer.
    fn ask(&self, pod: SocketAddr, since: String) -> BoxFuture<'_, Result<Answer, String>>;
}

/// Pods that are asked, of one controller.
pub struct Reports {
    followed: Mutex<Followed>,
    ask: Arc<dyn Ask>,
    held: Arc<Semaphore>,
    changed: UnboundedSender<ObjectMeta>,
    changes: Mutex<Option<UnboundedReceiver<ObjectMeta>>>,
}

#[derive(Default)]
struct Followed {
    /// By uid.
    pods: HashMap<String, Asked>,
    /// Uids in the list that is being received.
    listed: HashSet<String>,
}

/// One pod that is being asked.
struct Asked {
    server: Key,
    pod: String,
    address: SocketAddr,
    troubles: Vec<Trouble>,
    asking: JoinHandle<()>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reports").field("pods", &self.lock().pods.len()).finish_non_exhaustive()
    }
}

/// The requests that may be held at the same time.
pub fn held() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MOST_HELD))
}

impl Reports {
    /// Nobody is asked yet.
    pub fn new(ask: Arc<dyn Ask>, held: Arc<Semaphore>) -> Arc<Self> {
        let (changed, changes) = unbounded();
        let changes = Mutex::new(Some(changes));
        Arc::new(Self { followed: Mutex::default(), ask, held, changed, changes })
    }

    /// Metadata of pods that say something else than before: a stream that can be had once.
    pub fn changes(&self) -> Option<UnboundedReceiver<ObjectMeta>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What the pods of this McpServer say, those that have nothing to say left out; in the order of their names.
    pub fn of(&self, server: &Key) -> Vec<PodReport> {
        let followed = self.lock();
        let of_server = followed.pods.values().filter(|asked| asked.server == *server);
        let mut reports: Vec<_> = of_server
            .filter(|asked| !asked.troubles.is_empty())
            .map(|asked| PodReport { pod: asked.pod.clone(), troubles: asked.troubles.clone() })
            .collect();
        reports.sort_by(|a, b| a.pod.cmp(&b.pod));
        reports
    }

    /// Takes in one event of the watch of pods: ready ones are asked, others no more.
    pub fn observe(self: &Arc<Self>, event: &Event<Pod>) {
        match event {
            Event::Init => self.lock().listed.clear(),
            Event::InitApply(pod) => {
                self.lock().listed.extend(pod.uid());
                self.see(pod);
            }
            Event::InitDone => {
                let mut followed = self.lock();
                let listed = std::mem::take(&mut followed.listed);
                followed.pods.retain(|uid, _| listed.contains(uid));
            }
            Event::Apply(pod) => self.see(pod),
            Event::Delete(pod) => {
                self.lock().pods.remove(&pod.uid().unwrap_or_default());
            }
        }
    }

    fn see(self: &Arc<Self>, pod: &Pod) {
        let uid = pod.uid().unwrap_or_default();
        let mut followed = self.lock();
        let Some((server, address)) = askable(pod) else {
            followed.pods.remove(&uid);
            return;
        };
        if followed.pods.get(&uid).is_some_and(|asked| asked.address == address) {
            return;
        }
        let meta = ObjectMeta {
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            labels: pod.metadata.labels.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectMeta::default()
        };
        let asking =
            follow(Arc::downgrade(self), Arc::clone(&self.ask), Arc::clone(&self.held), meta, address);
        let asked = Asked {
            server,
            pod: pod.name_any(),
            address,
            troubles: Vec::new(),
            asking: tokio::spawn(asking),
        };
        followed.pods.insert(uid, asked);
    }

    /// Takes in what a pod says, and passes it on where that is something else than before.
    fn told(&self, meta: &ObjectMeta, answer: &Answer) {
        let troubles: Vec<_> = answer.troubles.iter().take(MOST_TROUBLES).map(trouble).collect();
        let mut followed = self.lock();
        let Some(asked) = followed.pods.get_mut(meta.uid.as_deref().unwrap_or_default()) else { return };
        if asked.troubles != troubles {
            asked.troubles = troubles;
            // Nobody receives any more once the controller has ended.
            let _ = self.changed.unbounded_send(meta.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks one pod for as long as it is there.
async fn follow(
    reports: Weak<Reports>,
    ask: Arc<dyn Ask>,
    held: Arc<Semaphore>,
    meta: ObjectMeta,
    address: SocketAddr,
) {
    let (mut since, mut pace) = (String::new(), Pace::default());
    loop {
        let pause = {
            // The semaphore is never closed.
            let Ok(_permit) = held.acquire().await else { return };
            match ask.ask(address, since.clone()).await {
                Ok(answer) => {
                    let is_news = answer.version != since;
                    if is_news {
                        since.clone_from(&answer.version);
                        let Some(reports) = reports.upgrade() else { return };
                        reports.told(&meta, &answer);
                    }
                    pace.answered(is_news)
                }
                Err(error) => {
                    debug!(namespace = meta.namespace, pod = meta.name, %address, error, "cannot ask a pod what fails");
                    pace.failed()
                }
            }
        };
        tokio::time::sleep(pause).await;
    }
}

fn trouble(said: &Said) -> Trouble {
    let cut = |text: &str, most| text.chars().filter(|c| !c.is_control()).take(most).collect();
    Trouble { part: cut(&said.part, 63), message: cut(&said.message, LONGEST) }
}

/// The McpServer of a pod that can be asked, and where.
fn askable(pod: &Pod) -> Option<(Key, SocketAddr)> {
    let status = pod.status.as_ref().filter(|_| pod.metadata.deletion_timestamp.is_none())?;
    let ready =
        status.conditions.iter().flatten().any(|found| found.type_ == "Ready" && found.status == "True");
    let address: IpAddr = status.pod_ip.as_ref().filter(|_| ready)?.parse().ok()?;
    let instance = pod.labels().get(labels::INSTANCE)?;
    let server = Key::new(pod.metadata.namespace.as_deref().unwrap_or_default(), instance);
    Some((server, SocketAddr::new(address, ADMIN_PORT)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(change: &Value) -> Pod {
        let mut pod = json!({
            "metadata": {"name": "hello-1", "namespace": "shop", "uid": "u", "labels": {"app.kubernetes.io/instance": "hello"}},
            "status": {"podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        for (pointer, value) in change.as_object().unwrap() {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            pod.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn only_ready_pods_with_an_address_are_asked() {
        let (server, address) = askable(&pod(&json!({}))).unwrap();
        assert_eq!((server, address.to_string().as_str()), (Key::new("shop", "hello"), "10.0.0.7:9090"));
        let six = askable(&pod(&json!({"/status/podIP": "fd00::7"}))).unwrap().1;
        assert_eq!(six.to_string(), "[fd00::7]:9090");
        for change in [
            json!({"/status/podIP": null}),
            json!({"/status/conditions": [{"type": "Ready", "status": "False"}]}),
            json!({"/metadata/deletionTimestamp": "2026-01-01T00:00:00Z"}),
            json!({"/metadata/labels": {}}),
        ] {
            assert!(askable(&pod(&change)).is_none(), "{change}");
        }
    }

    #[test]
    fn what_a_pod_says_is_bounded() {
        let said = Said { part: "x".repeat(99), message: format!("a\u{1b}[31m{}", "é".repeat(5000)) };
        let Trouble { part, message } = trouble(&said);
        assert_eq!((part.len(), message.chars().count()), (63, LONGEST));
        assert!(message.starts_with("a[31m"), "{message}");
    }
}
