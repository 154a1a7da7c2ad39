//! The pods of each McpServer, found by their instance label without searching through all pods of the cluster.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube_runtime::watcher::Event;
use tokio::sync::watch;

use crate::cache::Key;

/// Pods by the McpServer they serve, then by name.
type ByServer = HashMap<Key, BTreeMap<String, Arc<Pod>>>;

#[derive(Debug, Default)]
struct Inner {
    pods: ByServer,
    list: ByServer,
}

/// All pods of one watch.
#[derive(Debug)]
pub struct Pods {
    inner: RwLock<Inner>,
    synced: watch::Sender<bool>,
    instance_label: &'static str,
}

impl Pods {
    /// No pods yet; they will be told apart by this label.
    pub fn new(instance_label: &'static str) -> Self {
        Self { inner: RwLock::default(), synced: watch::Sender::new(false), instance_label }
    }

    /// The pods of this McpServer, by name.
    pub fn of(&self, server: &Key) -> Vec<Arc<Pod>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.pods.get(server).map(|pods| pods.values().cloned().collect()).unwrap_or_default()
    }

    /// Takes in one event of the watch. Returns the pod when its McpServer should be looked at.
    pub fn observe(&self, event: Event<Pod>) -> Option<Arc<Pod>> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => {
                inner.list = HashMap::new();
                None
            }
            Event::InitApply(pod) => {
                let pod = Arc::new(pod);
                self.insert(&mut inner.list, &pod);
                Some(pod)
            }
            Event::InitDone => {
                inner.pods = std::mem::take(&mut inner.list);
                drop(inner);
                self.synced.send_replace(true);
                None
            }
            Event::Apply(pod) => {
                let pod = Arc::new(pod);
                let key = self.server(&pod);
                let before = key.as_ref().and_then(|key| inner.pods.get(key)?.get(&pod.name_any()).cloned());
                let same = before.is_some_and(|before| *before == *pod);
                self.insert(&mut inner.pods, &pod);
                (!same).then_some(pod)
            }
            Event::Delete(pod) => {
                if let Some(key) = self.server(&pod)
                    && let Some(pods) = inner.pods.get_mut(&key)
                {
                    pods.remove(&pod.name_any());
                    if pods.is_empty() {
                        inner.pods.remove(&key);
                    }
                }
                Some(Arc::new(pod))
            }
        }
    }

    fn insert(&self, pods: &mut ByServer, pod: &Arc<Pod>) {
        if let Some(key) = self.server(pod) {
            pods.entry(key).or_default().insert(pod.name_any(), Arc::clone(pod));
        }
    }

    fn server(&self, pod: &Pod) -> Option<Key> {
        let instance = pod.labels().get(self.instance_label)?;
        Some(Key::new(pod.metadata.namespace.as_deref().unwrap_or_default(), instance))
    }

    /// Whether the first list has been received.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits for the first list.
    pub async fn synced(&self) {
        // The sender lives as long as `self`: the wait can end in no other way.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }
}

#[cfg(test)]
mod tests {
    use kube::core::ObjectMeta;

    use super::*;

    fn pod(name: &str, instance: &str) -> Pod {
        Pod {
            metadata: ObjectMeta {
                namespace: Some("shop".to_owned()),
                name: Some(name.to_owned()),
                labels: Some(BTreeMap::from([("instance".to_owned(), instance.to_owned())])),
                ..ObjectMeta::default()
            },
            ..Pod::default()
        }
    }

    fn names(pods: &Pods, instance: &str) -> Vec<String> {
        pods.of(&Key::new("shop", instance)).iter().map(|pod| pod.name_any()).collect()
    }

    #[test]
    fn pods_are_found_by_the_server_they_serve() {
        let pods = Pods::new("instance");
        pods.observe(Event::Init);
        pods.observe(Event::InitApply(pod("a-1", "a")));
        pods.observe(Event::InitApply(pod("b-1", "b")));
        assert!(!pods.is_synced());
        pods.observe(Event::InitDone);
        assert!(pods.is_synced());
        pods.observe(Event::Apply(pod("a-0", "a")));
        assert_eq!(names(&pods, "a"), ["a-0", "a-1"]);
        pods.observe(Event::Delete(pod("b-1", "b")));
        assert!(names(&pods, "b").is_empty());
    }

    #[test]
    fn a_pod_that_looks_as_before_is_no_news() {
        let pods = Pods::new("instance");
        assert!(pods.observe(Event::Apply(pod("a-0", "a"))).is_some());
        assert!(pods.observe(Event::Apply(pod("a-0", "a"))).is_none());
    }
}
