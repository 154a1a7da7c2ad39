//! Answers kept in this process: so many at most, and so many bytes at most. What is asked for least gives way.

use std::time::{Duration, Instant};

use mcp_server_config::Cache as Config;
use moka::Expiry;
use moka::sync::Cache;

use crate::cache::key::Key;
use crate::cache::room;
use crate::cache::stored::Stored;

/// Kept answers.
#[derive(Debug)]
pub struct Memory {
    entries: Cache<Key, Stored>,
    bounds: Bounds,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub entries: u64,
    pub bytes: u64,
}

/// What an entry takes besides its own bytes: the tables of the cache.
const OVERHEAD: usize = 256;

/// Each entry is of use for as long as it says itself.
struct Own;

impl Expiry<Key, Stored> for Own {
    fn expire_after_create(&self, _: &Key, stored: &Stored, _: Instant) -> Option<Duration> {
        Some(stored.left())
    }

    fn expire_after_update(
        &self,
        _: &Key,
        stored: &Stored,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(stored.left())
    }
}

impl Bounds {
    /// As configured, but never more than half of what this process may use.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let bytes = config.max_memory().as_bytes();
        let half = room::memory_limit().map_or(u64::MAX, |limit| limit / 2);
        Self { entries: u64::from(config.max_entries()), bytes: bytes.min(half) }
    }

    /// An entry weighs its bytes, and at least its share of them: where the weights fit, so do the bytes and the number.
    fn weight(self, stored: &Stored) -> u32 {
        let share = self.bytes.div_ceil(self.entries.max(1));
        u32::try_from(share.max((OVERHEAD + stored.size()) as u64)).unwrap_or(u32::MAX)
    }
}

impl Memory {
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let entries = Cache::builder()
            .max_capacity(bounds.bytes)
            .weigher(move |_, stored| bounds.weight(stored))
            .expire_after(Own)
            .build();
        Self { entries, bounds }
    }

    /// The same answers within other bounds.
    #[must_use]
    pub fn within(&self, bounds: Bounds) -> Self {
        let other = Self::new(bounds);
        for (key, stored) in &self.entries {
            other.put(*key, stored);
        }
        other
    }

    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Stored> {
        self.entries.get(key)
    }

    /// Keeps an answer, unless it alone is more than there is room for.
    pub fn put(&self, key: Key, stored: Stored) {
        if (OVERHEAD + stored.size()) as u64 <= self.bounds.bytes {
            self.entries.insert(key, stored);
        }
    }

    /// How many answers are kept, and what they weigh, as of the last tidying up.
    #[must_use]
    pub fn usage(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.entry_count(), self.entries.weighted_size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Answer;
    use crate::cache::key::Audience;
    use crate::protocol::raw::Raw;

    fn key(n: usize) -> Key {
        Key::new("m", "t", &[0; 32], Audience::Everybody, Some(&n.to_string())).unwrap()
    }

    fn stored(bytes: usize, ttl: Duration) -> Stored {
        let result = Raw::of(&serde_json::json!({"a": "x".repeat(bytes)}));
        Stored::new(&Answer::new(result), ttl)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn neither_more_entries_nor_more_bytes_than_allowed() {
        for (bounds, size) in [
            (Bounds { entries: 100, bytes: 64 << 20 }, 10),
            (Bounds { entries: 1_000_000, bytes: 1 << 20 }, 10_000),
            (Bounds { entries: 50, bytes: 1 << 20 }, 50_000),
        ] {
            let memory = Memory::new(bounds);
            for n in 0..2000 {
                memory.put(key(n), stored(size, HOUR));
            }
            let (entries, weight) = memory.usage();
            let bytes: usize = memory.entries.iter().map(|(_, stored)| stored.size()).sum();
            assert!(entries <= bounds.entries && entries > 10, "{entries} of {bounds:?}");
            assert!(weight <= bounds.bytes && bytes as u64 <= bounds.bytes, "{weight} {bytes} of {bounds:?}");
        }
    }

    #[test]
    fn an_answer_that_is_too_large_pushes_nobody_out() {
        let memory = Memory::new(Bounds { entries: 10, bytes: 64 << 10 });
        memory.put(key(1), stored(10, HOUR));
        memory.put(key(2), stored(100_000, HOUR));
        assert_eq!(memory.usage().0, 1);
        assert!(memory.get(&key(1)).is_some() && memory.get(&key(2)).is_none());
    }

    #[test]
    fn answers_expire_and_other_bounds_keep_them() {
        let memory = Memory::new(Bounds { entries: 10, bytes: 1 << 20 });
        memory.put(key(1), stored(10, Duration::ZERO));
        memory.put(key(2), stored(10, HOUR));
        assert!(memory.get(&key(1)).is_none() && memory.get(&key(2)).is_some());
        let larger = memory.within(Bounds { entries: 20, bytes: 2 << 20 });
        assert!(larger.get(&key(2)).is_some());
    }
}
