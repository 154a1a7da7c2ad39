//! Kept answers, and one call for many who ask the same at once.
//!
//! Nothing is kept that nobody asked to keep: answers of tools only where the configuration names them. What is kept is
//! what the backend said; for whom it is shaped comes after.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use mcp_server_config::{ByteSize, Cache as Config, CacheMode, Store};

use crate::backend::Answer;
use crate::observe::health;
use crate::redis::{Redis, User};

pub mod canonical;
pub mod flight;
pub mod key;
pub mod memory;
mod metrics;
pub mod policy;
pub mod room;
pub mod stored;

use flight::Flights;
use key::Key;
use memory::{Bounds, Memory};
use metrics::CacheMetrics;
pub use metrics::Told;
use stored::Stored;

/// Kept answers, wherever they are. `T` is how a call ends.
#[derive(Debug)]
pub struct Cache<T> {
    memory: ArcSwapOption<Memory>,
    redis: Arc<Redis>,
    pub flights: Flights<T>,
    metrics: CacheMetrics,
}

impl<T: Clone + Send + Sync + 'static> Cache<T> {
    #[must_use]
    pub fn new(registry: &prometheus::Registry, redis: Arc<Redis>) -> Self {
        let metrics = CacheMetrics::register(registry);
        Self { memory: ArcSwapOption::empty(), redis, flights: Flights::new(), metrics }
    }

    /// Puts other bounds in force. What is kept stays, as far as it fits.
    pub fn configure(&self, config: &Config) {
        if config.mode() == CacheMode::Off || config.store() != Store::Memory {
            self.memory.store(None);
            return;
        }
        let bounds = Bounds::of(config);
        let memory = match self.memory.load_full() {
            Some(memory) if memory.bounds() == bounds => return,
            Some(memory) => memory.within(bounds),
            None => Memory::new(bounds),
        };
        self.memory.store(Some(Arc::new(memory)));
    }

    /// A kept answer that is at hand; where asking takes time, [`Cache::fetch`] does.
    #[must_use]
    pub fn at_hand(&self, key: &Key) -> Option<Stored> {
        self.memory.load().as_ref()?.get(key)
    }

    /// A kept answer from the shared store.
    pub async fn fetch(&self, store: Store, key: &Key) -> Option<Stored> {
        if store != Store::Redis {
            return None;
        }
        let Some(link) = self.redis.link() else {
            self.redis.unavailable(User::Cache);
            self.metrics.told(Told::Bypass);
            return None;
        };
        let mut command = redis::cmd("GET");
        command.arg(key.name(link.prefix()));
        let bytes: Option<Vec<u8>> = self.redis.ask(&link, User::Cache, &command).await.ok()?;
        let stored = Stored::decode(&Bytes::from(bytes?));
        stored.filter(|stored| !stored.left().is_zero())
    }

    /// Keeps an answer for `ttl`, or a little less: what was learnt together is not forgotten together.
    pub async fn keep(&self, store: Store, key: Key, answer: &Answer, ttl: Duration) {
        if answer.is_error {
            return;
        }
        let stored = Stored::new(answer, shortened(ttl, &key));
        match store {
            Store::Memory => {
                if let Some(memory) = self.memory.load_full() {
                    memory.put(key, stored);
                }
            }
            Store::Redis => {
                let Some(link) = self.redis.link() else { return };
                let left = u64::try_from(stored.left().as_millis()).unwrap_or(u64::MAX).max(1);
                let mut command = redis::cmd("SET");
                command.arg(key.name(link.prefix())).arg(stored.encode()).arg("PX").arg(left);
                // What cannot be kept is asked for again.
                let _kept: Result<(), _> = self.redis.ask(&link, User::Cache, &command).await;
            }
        }
    }

    /// Counts what became of a question.
    pub fn told(&self, told: Told) {
        self.metrics.told(told);
    }

    /// Brings the figures up to date. To be called now and then.
    pub fn measure(&self) {
        let (entries, bytes) = self.memory.load().as_ref().map_or((0, 0), |memory| memory.usage());
        self.metrics.size(entries, bytes);
    }

    /// How the cache fares under these settings.
    #[must_use]
    pub fn told_of(&self, config: &Config) -> health::Told {
        if config.mode() == CacheMode::Off {
            return health::Told::not_used("cache.mode is Off");
        }
        let mut told = match (config.store(), &*self.memory.load()) {
            (Store::Redis, _) => {
                self.redis.told_of_user(User::Cache, "in Redis, for all replicas together", "passed by")
            }
            (Store::Memory, None) => health::Told::unknown("it is being set up"),
            (Store::Memory, Some(memory)) => {
                let (entries, bytes) = memory.usage();
                let Bounds { entries: most, bytes: most_bytes } = memory.bounds();
                let (kib, most_bytes) = (bytes.div_ceil(1024), ByteSize::from_bytes(most_bytes));
                health::Told::healthy(format!(
                    "in memory: {entries} of at most {most} entries, {kib}Ki of at most {most_bytes}"
                ))
            }
        };
        told.details = format!("{}; {}", told.details, self.metrics.so_far());
        told
    }
}

/// How often the figures of a cache are brought up to date.
const PERIOD: Duration = Duration::from_secs(10);

/// Keeps the figures up to date for as long as the process lives.
pub async fn measure<T: Clone + Send + Sync + 'static>(cache: Arc<Cache<T>>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        cache.measure();
    }
}

/// Up to a tenth less, another part for each key and each moment.
fn shortened(ttl: Duration, key: &Key) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(key);
    let part = u32::try_from(random % 1000).unwrap_or(0);
    ttl - ttl / 10 * part / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::Audience;
    use crate::protocol::raw::Raw;

    fn cache() -> Cache<()> {
        let registry = prometheus::Registry::new();
        let redis = Redis::new(&registry);
        Cache::new(&registry, redis)
    }

    fn key() -> Key {
        Key::new("m", "t", &[0; 32], Audience::Everybody, None).unwrap()
    }

    fn answer(is_error: bool) -> Answer {
        Answer { is_error, ..Answer::new(Raw::of(&serde_json::json!({"content": []}))) }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn keeps_a_little_shorter_than_told() {
        let shortest = (0..1000).map(|_| shortened(HOUR, &key())).min().unwrap();
        let longest = (0..1000).map(|_| shortened(HOUR, &key())).max().unwrap();
        assert!(shortest >= HOUR * 9 / 10 && longest <= HOUR && longest - shortest > HOUR / 20);
    }

    #[tokio::test]
    async fn errors_are_not_kept_and_other_bounds_lose_nothing() {
        let cache = cache();
        let config = Config::default();
        cache.configure(&config);
        cache.keep(Store::Memory, key(), &answer(true), HOUR).await;
        assert!(cache.at_hand(&key()).is_none());
        cache.keep(Store::Memory, key(), &answer(false), HOUR).await;
        assert!(cache.at_hand(&key()).is_some());
        cache.configure(&Config { max_entries: Some(5), ..Config::default() });
        assert!(cache.at_hand(&key()).is_some());
        cache.configure(&Config { mode: Some(CacheMode::Off), ..Config::default() });
        assert!(cache.at_hand(&key()).is_none());
    }

    #[tokio::test]
    async fn without_redis_there_is_no_answer_and_nobody_waits() {
        let cache = cache();
        cache.keep(Store::Redis, key(), &answer(false), HOUR).await;
        assert!(cache.fetch(Store::Redis, &key()).await.is_none());
    }

    #[tokio::test]
    async fn who_leaves_first_does_not_spoil_it_for_the_rest() {
        let flights = Flights::<u32>::new();
        let (sender, receiver) = tokio::sync::oneshot::channel::<u32>();
        let leader = flights.join(key(), |_| async { receiver.await.unwrap() });
        let follower = flights.join(key(), |_| async { 0 });
        assert!(leader.leads && !follower.leads && flights.count() == 1);
        drop(leader);
        sender.send(7).unwrap();
        assert_eq!(follower.ended().await, Some(7));
        drop(follower);
        let again = flights.join(key(), |_| async { 8 });
        assert_eq!(again.ended().await, Some(8), "what has ended is not joined");
    }

    #[tokio::test]
    async fn the_last_one_to_leave_takes_the_call_back() {
        let flights = Flights::<u32>::new();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let begin = |cancel: tokio_util::sync::CancellationToken| async move {
            cancel.cancelled().await;
            sender.send(()).unwrap();
            1
        };
        let (leader, follower) = (flights.join(key(), begin), flights.join(key(), |_| async { 0 }));
        drop((leader, follower));
        receiver.await.unwrap();
        assert_eq!(flights.join(key(), |_| async { 2 }).ended().await, Some(2), "nobody joins it any more");
    }
}
