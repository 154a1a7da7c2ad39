//! What the watches have seen of the children, joined with what our own writes returned.
//!
//! A watch is always a little behind. Without the second source the next pass would not see what the last one wrote, and would
//! write it again. The answer to a write is therefore put into the cache at once; the watch then confirms it or overtakes it.
//! Should a confirmation not come (the object was created and deleted before the answer was read), an unconfirmed entry counts
//! for [`UNCONFIRMED`] only; after that the cache says it does not know, and a live read decides.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kube::Resource;
use kube_runtime::watcher::Event;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long the answer to a write is believed without the watch having seen it.
pub const UNCONFIRMED: Duration = Duration::from_secs(10);

/// Namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The namespace; empty for none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// The key of an object of this name in this namespace.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The key of this object.
    pub fn of<K: Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

#[derive(Debug)]
struct Entry<K> {
    object: Arc<K>,
    /// When our write returned it; `None` once the watch has seen this version or a later one.
    written: Option<Instant>,
}

#[derive(Debug)]
struct Inner<K> {
    objects: HashMap<Key, Entry<K>>,
    /// The list that is being received, and when it began.
    list: HashMap<Key, Arc<K>>,
    listing_since: Instant,
}

/// The objects of one kind that carry our label, in the namespaces of one watch.
#[derive(Debug)]
pub struct Cache<K> {
    inner: RwLock<Inner<K>>,
    synced: watch::Sender<bool>,
}

impl<K: Resource> Default for Cache<K> {
    fn default() -> Self {
        let inner = Inner { objects: HashMap::new(), list: HashMap::new(), listing_since: Instant::now() };
        Self { inner: RwLock::new(inner), synced: watch::Sender::new(false) }
    }
}

impl<K: Resource> Cache<K> {
    /// The object, as new as is known.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let entry = inner.objects.get(key)?;
        match entry.written {
            Some(at) if at.elapsed() > UNCONFIRMED => None,
            _ => Some(Arc::clone(&entry.object)),
        }
    }

    /// Puts in what a write or a live read of ours returned, unless the watch is already as far or further.
    pub fn remember(&self, object: K) -> Arc<K> {
        let key = Key::of(&object);
        let object = Arc::new(object);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let newer = inner.objects.get(&key).is_none_or(|known| {
            known.written.is_some_and(|at| at.elapsed() > UNCONFIRMED)
                || version(&*known.object) < version(&*object)
        });
        if newer {
            inner.objects.insert(key, Entry { object: Arc::clone(&object), written: Some(Instant::now()) });
        }
        object
    }

    /// Drops an object that turned out not to be what the cache says: a live read decides next time.
    pub fn forget(&self, key: &Key) {
        self.inner.write().unwrap_or_else(PoisonError::into_inner).objects.remove(key);
    }

    /// Takes in one event of the watch. Returns the object when somebody should look at it: the echo of our own write is news to
    /// nobody.
    pub fn observe(&self, event: Event<K>) -> Option<Arc<K>> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => {
                inner.list = HashMap::new();
                inner.listing_since = Instant::now();
                None
            }
            Event::InitApply(object) => {
                let object = Arc::new(object);
                inner.list.insert(Key::of(&*object), Arc::clone(&object));
                // Seen again in a renewed list: only a version that was not known is news.
                let known = inner.objects.get(&Key::of(&*object)).map(|entry| version(&*entry.object));
                (known.is_none() || known != Some(version(&*object))).then_some(object)
            }
            Event::InitDone => {
                let since = inner.listing_since;
                let list = std::mem::take(&mut inner.list);
                let before = std::mem::take(&mut inner.objects);
                for (key, object) in list {
                    inner.objects.insert(key, Entry { object, written: None });
                }
                // What we wrote while the list was on its way may be missing from it, or older in it.
                for (key, entry) in before {
                    let newer = entry.written.is_some_and(|at| at >= since)
                        && inner
                            .objects
                            .get(&key)
                            .is_none_or(|listed| version(&*listed.object) < version(&*entry.object));
                    if newer {
                        inner.objects.insert(key, entry);
                    }
                }
                drop(inner);
                self.synced.send_replace(true);
                None
            }
            Event::Apply(object) => {
                let key = Key::of(&object);
                let object = Arc::new(object);
                match inner.objects.get(&key) {
                    Some(known) if known.written.is_some() && version(&*known.object) > version(&*object) => {
                        None
                    }
                    known => {
                        let echo = known.is_some_and(|entry| version(&*entry.object) == version(&*object));
                        inner.objects.insert(key, Entry { object: Arc::clone(&object), written: None });
                        (!echo).then_some(object)
                    }
                }
            }
            Event::Delete(object) => {
                let key = Key::of(&object);
                // A deletion of a former object of this name says nothing of the one that we have written since.
                let outlived = inner.objects.get(&key).is_some_and(|known| {
                    known.written.is_some() && version(&*known.object) > version(&object)
                });
                if !outlived {
                    inner.objects.remove(&key);
                }
                Some(Arc::new(object))
            }
        }
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

    /// How many objects are held.
    pub fn len(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).objects.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The resource version as a number, which is how etcd makes it and what Kubernetes promises since 1.35 (KEP-5504). One that is no
/// number counts as the oldest, so that whatever the watch says is taken over it.
pub fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::ObjectMeta;

    use super::*;

    fn object(name: &str, version: u64) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                namespace: Some("shop".to_owned()),
                name: Some(name.to_owned()),
                resource_version: Some(version.to_string()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    fn seen(cache: &Cache<ConfigMap>, name: &str) -> Option<u64> {
        cache.get(&Key::new("shop", name)).map(|object| version(&*object))
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_seen_before_the_watch_tells_of_it_and_its_echo_is_no_news() {
        let cache = Cache::default();
        cache.remember(object("a", 5));
        assert_eq!(seen(&cache, "a"), Some(5));
        assert!(cache.observe(Event::Apply(object("a", 4))).is_none(), "older than our write");
        assert_eq!(seen(&cache, "a"), Some(5));
        assert!(cache.observe(Event::Apply(object("a", 5))).is_none(), "the echo");
        assert!(cache.observe(Event::Apply(object("a", 6))).is_some(), "somebody else's change");
        assert_eq!(seen(&cache, "a"), Some(6));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_after_the_watch_changes_nothing() {
        let cache = Cache::default();
        cache.observe(Event::Apply(object("a", 7)));
        cache.remember(object("a", 6));
        assert_eq!(seen(&cache, "a"), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unconfirmed_write_is_believed_for_a_while_only() {
        let cache = Cache::default();
        cache.remember(object("a", 5));
        tokio::time::advance(UNCONFIRMED + Duration::from_millis(1)).await;
        assert_eq!(seen(&cache, "a"), None);
        cache.remember(object("a", 5));
        assert_eq!(seen(&cache, "a"), Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_removes_unless_it_is_of_a_former_object() {
        let cache = Cache::default();
        cache.observe(Event::Apply(object("a", 5)));
        assert!(cache.observe(Event::Delete(object("a", 6))).is_some());
        assert_eq!(seen(&cache, "a"), None);
        cache.remember(object("a", 9));
        cache.observe(Event::Delete(object("a", 8)));
        assert_eq!(seen(&cache, "a"), Some(9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewed_list_replaces_everything_but_what_was_written_meanwhile() {
        let cache = Cache::default();
        cache.observe(Event::Apply(object("gone", 1)));
        cache.observe(Event::Apply(object("kept", 2)));
        assert!(!cache.is_synced());
        cache.observe(Event::Init);
        tokio::time::advance(Duration::from_millis(1)).await;
        cache.remember(object("fresh", 9));
        assert!(cache.observe(Event::InitApply(object("kept", 2))).is_none(), "known already");
        assert!(cache.observe(Event::InitApply(object("new", 3))).is_some());
        cache.observe(Event::InitDone);
        assert!(cache.is_synced());
        assert_eq!(seen(&cache, "gone"), None);
        assert_eq!(
            (seen(&cache, "kept"), seen(&cache, "new"), seen(&cache, "fresh")),
            (Some(2), Some(3), Some(9))
        );
    }
}
