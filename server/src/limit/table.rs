//! Buckets in memory: a fixed number of places, so that no crowd of callers makes it grow.
//!
//! A caller has one of eight places, chosen by a keyed hash that nobody outside can work out. A place is free again as
//! soon as its bucket is full: a full bucket says nothing. Where all eight are taken, the fullest bucket gives way; who
//! used up the own one stays, and cannot have it forgotten by coming from elsewhere as well.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::limit::gcra::{Answer, Bucket, Rate};

const WAYS: usize = 8;
const SETS: usize = 256;
const SHARDS: usize = 64;

/// The most buckets that are remembered.
pub const CAPACITY: usize = WAYS * SETS * SHARDS;

/// Buckets by caller.
pub struct Table {
    hasher: RandomState,
    /// A shard takes memory once somebody is in it.
    shards: [OnceLock<Box<[Mutex<Set>]>>; SHARDS],
    evicted: AtomicU64,
}

/// Places that share a lock, which is held for some nanoseconds. A tag of 0 is a free place.
#[derive(Clone, Debug, Default)]
struct Set {
    tags: [u64; WAYS],
    buckets: [Bucket; WAYS],
}

/// The hash of a key: what the table knows of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u64);

impl Table {
    #[must_use]
    pub fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| OnceLock::new()),
            evicted: AtomicU64::new(0),
        }
    }

    /// Where the bucket of `key` is.
    #[must_use]
    pub fn slot<K: Hash>(&self, key: K) -> Slot {
        Slot(self.hasher.hash_one(key))
    }

    /// Takes one request out of a bucket.
    pub fn take(&self, slot: Slot, rate: Rate, now: i64) -> Answer {
        let mut set = self.set(slot).lock().unwrap_or_else(PoisonError::into_inner);
        let tag = slot.tag();
        if let Some(at) = set.tags.iter().position(|found| *found == tag) {
            let (bucket, answer) = set.buckets[at].take(rate, now);
            set.buckets[at] = bucket;
            return answer;
        }
        let (bucket, answer) = Bucket::default().take(rate, now);
        let fullest = (0..WAYS).min_by_key(|at| set.buckets[*at].full_at).unwrap_or(0);
        if set.buckets[fullest].full_at > now {
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        (set.tags[fullest], set.buckets[fullest]) = (tag, bucket);
        answer
    }

    /// Puts back what was just taken.
    pub fn put_back(&self, slot: Slot) {
        let mut set = self.set(slot).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = set.tags.iter().position(|tag| *tag == slot.tag()) {
            set.buckets[at] = set.buckets[at].put_back();
        }
    }

    /// Forgets the buckets that are full, and says how many are left.
    pub fn clean(&self, now: i64) -> usize {
        let mut left = 0;
        for set in self.shards.iter().filter_map(OnceLock::get).flatten() {
            let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
            for at in 0..WAYS {
                if set.buckets[at].full_at <= now {
                    (set.tags[at], set.buckets[at]) = (0, Bucket::default());
                }
                left += usize::from(set.tags[at] != 0);
            }
        }
        left
    }

    /// How many buckets are not full.
    #[must_use]
    pub fn in_use(&self, now: i64) -> usize {
        let sets = self.shards.iter().filter_map(OnceLock::get).flatten();
        let of_set = |set: &Mutex<Set>| {
            let set = set.lock().unwrap_or_else(PoisonError::into_inner);
            set.buckets.iter().filter(|bucket| bucket.full_at > now).count()
        };
        sets.map(of_set).sum()
    }

    /// Buckets that gave way to others before they were full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    fn set(&self, slot: Slot) -> &Mutex<Set> {
        let [shard, set, ..] = slot.0.to_be_bytes();
        let shard = &self.shards[usize::from(shard) % SHARDS];
        let sets = shard.get_or_init(|| (0..SETS).map(|_| Mutex::default()).collect());
        &sets[usize::from(set)]
    }
}

impl Slot {
    fn tag(self) -> u64 {
        self.0 | 1
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("evicted", &self.evicted()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_000;

    fn allowed(table: &Table, key: &str, rate: Rate, now: i64) -> bool {
        matches!(table.take(table.slot(key), rate, now), Answer::Allowed { .. })
    }

    #[test]
    fn callers_have_buckets_of_their_own() {
        let (table, rate) = (Table::new(), Rate::per_minute(60, 2));
        assert!(allowed(&table, "a", rate, NOW) && allowed(&table, "a", rate, NOW));
        assert!(!allowed(&table, "a", rate, NOW));
        assert!(allowed(&table, "b", rate, NOW));
        assert_eq!((table.in_use(NOW), table.in_use(NOW + rate.interval())), (2, 1));
        table.put_back(table.slot("a"));
        assert!(allowed(&table, "a", rate, NOW) && !allowed(&table, "a", rate, NOW));
    }

    #[test]
    fn a_million_callers_take_no_more_memory_than_the_places_there_are() {
        let (table, rate) = (Table::new(), Rate::per_minute(1, 1));
        for caller in 0..1_000_000_u32 {
            assert!(matches!(table.take(table.slot(caller), rate, NOW), Answer::Allowed { .. }));
        }
        let kept = table.clean(NOW);
        assert!(kept <= CAPACITY && kept > CAPACITY * 9 / 10, "{kept}");
        assert_eq!(table.evicted(), 1_000_000 - kept as u64);
        let bytes = SHARDS * SETS * size_of::<Mutex<Set>>();
        assert!(bytes < 4 << 20, "{bytes} bytes");
        assert_eq!(table.clean(NOW + rate.interval()), 0, "a full bucket is forgotten");
    }

    #[test]
    fn who_is_over_the_limit_is_not_forgotten_for_a_crowd() {
        let (table, rate) = (Table::new(), Rate::per_minute(60, 10));
        while allowed(&table, "greedy", rate, NOW) {}
        for caller in 0..500_000_u32 {
            table.take(table.slot(caller), rate, NOW);
        }
        assert!(!allowed(&table, "greedy", rate, NOW));
    }

    #[test]
    fn many_threads_take_exactly_what_there_is() {
        let (table, rate) = (Table::new(), Rate::per_minute(1, 1000));
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter(|_| allowed(&table, "all", rate, NOW)).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }
}
