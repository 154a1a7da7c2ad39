//! Wrong credentials, counted for each client address, so that keys cannot be found by guessing.
//!
//! Good credentials never count. An address that has used up its failures gets the same answer to every guess; which
//! credentials are let in from there all the same is decided by [`crate::auth::Policy::identify`].

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::address::network;

/// Addresses that are remembered.
const MAX_ADDRESSES: u64 = 16_384;
/// For how long the failures of an address are remembered after the last one.
const MEMORY: Duration = Duration::from_secs(600);
const MINUTE: Duration = Duration::from_secs(60);

/// The failures of each address.
#[derive(Debug)]
pub struct Failures {
    per_minute: AtomicU32,
    /// When all failures of an address will be forgotten, at the rate at which they are.
    table: Cache<IpAddr, Arc<Mutex<Instant>>>,
    started: Instant,
    /// Milliseconds after `started` until which the failures of some address may count; zero where there were none.
    until: AtomicU64,
}

impl Failures {
    /// A table under which each address has `per_minute` failures.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self {
            per_minute: AtomicU32::new(per_minute),
            table: Cache::builder()
                .max_capacity(MAX_ADDRESSES)
                .time_to_idle(MEMORY)
                // A flood of new addresses must not keep newer ones out.
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            started: Instant::now(),
            until: AtomicU64::new(0),
        }
    }

    /// Changes the limit; what was counted stays.
    pub fn set_limit(&self, per_minute: u32) {
        self.per_minute.store(per_minute, Ordering::Relaxed);
    }

    /// Counts a wrong credential.
    pub fn note(&self, address: IpAddr, now: Instant) {
        let forgotten = self.table.get_with(network(address), || Arc::new(Mutex::new(now)));
        let mut forgotten = forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        *forgotten = (*forgotten).max(now) + self.interval();
        let until = (now + MEMORY).duration_since(self.started).as_millis();
        self.until.fetch_max(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long an address has to wait that has used up its failures.
    #[must_use]
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        // Where no caller failed for a while, which is nearly always, there is nothing to look up.
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 || now.duration_since(self.started).as_millis() > u128::from(until) {
            return None;
        }
        let account = self.table.get(&network(address))?;
        let forgotten = *account.lock().unwrap_or_else(PoisonError::into_inner);
        // One more failure must fit into the minute.
        let ahead = forgotten.saturating_duration_since(now) + self.interval();
        ahead.checked_sub(MINUTE).filter(|wait| !wait.is_zero())
    }

    fn interval(&self) -> Duration {
        MINUTE / self.per_minute.load(Ordering::Relaxed).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_waits_after_its_failures_and_others_do_not() {
        let (failures, now) = (Failures::new(3), Instant::now());
        assert_eq!(failures.wait(ip("192.0.2.1"), now), None);
        for _ in 0..3 {
            assert_eq!(failures.wait(ip("192.0.2.1"), now), None);
            failures.note(ip("192.0.2.1"), now);
        }
        assert_eq!(failures.wait(ip("192.0.2.1"), now), Some(Duration::from_secs(20)));
        assert_eq!(failures.wait(ip("192.0.2.1"), now + Duration::from_secs(20)), None);
        assert_eq!(failures.wait(ip("192.0.2.2"), now), None);
        failures.set_limit(1);
        assert_eq!(failures.wait(ip("192.0.2.1"), now), Some(Duration::from_secs(60)));
    }

    #[test]
    fn all_addresses_of_a_network_are_one() {
        let (failures, now) = (Failures::new(1), Instant::now());
        failures.note(ip("2001:db8:1:2::1"), now);
        assert!(failures.wait(ip("2001:db8:1:2:ffff::9"), now).is_some());
        assert!(failures.wait(ip("2001:db8:1:3::1"), now).is_none());
        failures.note(ip("::ffff:192.0.2.1"), now);
        assert!(failures.wait(ip("192.0.2.1"), now).is_some());
    }

    #[test]
    fn a_flood_of_addresses_stays_bounded() {
        let (failures, now) = (Failures::new(1), Instant::now());
        for n in 0..40_000_u32 {
            failures.note(IpAddr::from(n.to_be_bytes()), now);
        }
        failures.table.run_pending_tasks();
        assert!(failures.table.entry_count() <= MAX_ADDRESSES);
        assert!(failures.wait(IpAddr::from(39_999_u32.to_be_bytes()), now).is_some(), "the newest is kept");
    }
}
