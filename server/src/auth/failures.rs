//! Wrong credentials, counted for each client address: whoever guesses has to wait.
//!
//! Good credentials never count. An address that has used up its failures is refused whatever it presents, so that a
//! guess cannot be told right; but a principal that was let in from there before is let in still, so that one neighbour
//! behind the same address cannot lock out the others.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::auth::principal::{Principal, PrincipalKind};

/// Addresses that are remembered.
const MAX_ADDRESSES: u64 = 16_384;
/// For how long the failures of an address are remembered after the last one.
const MEMORY: Duration = Duration::from_secs(600);
/// Principals that are remembered for each address.
const MAX_KNOWN: usize = 16;
const MINUTE: Duration = Duration::from_secs(60);

/// The failures of each address.
#[derive(Debug)]
pub struct Failures {
    per_minute: AtomicU32,
    table: Cache<IpAddr, Arc<Mutex<Account>>>,
    started: Instant,
    /// Milliseconds after `started` until which some address may have an account; zero where none ever had.
    until: AtomicU64,
}

/// The failures of one address.
#[derive(Debug)]
struct Account {
    /// When all failures will be forgotten at the rate at which they are.
    forgotten: Instant,
    /// Who was let in from there since the first failure.
    known: Vec<(PrincipalKind, Arc<str>)>,
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
    pub fn note(&self, address: IpAddr) {
        let now = Instant::now();
        let account = self
            .table
            .get_with(place(address), || Arc::new(Mutex::new(Account { forgotten: now, known: Vec::new() })));
        let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
        account.forgotten = account.forgotten.max(now) + self.interval();
        let until = (now + MEMORY).duration_since(self.started).as_millis();
        self.until.fetch_max(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long an address has to wait that has used up its failures.
    #[must_use]
    pub fn wait(&self, address: IpAddr) -> Option<Duration> {
        let now = Instant::now();
        let account = self.account(address, now)?;
        let forgotten = account.lock().unwrap_or_else(PoisonError::into_inner).forgotten;
        // One more failure must fit into the minute.
        let ahead = forgotten.saturating_duration_since(now) + self.interval();
        ahead.checked_sub(MINUTE).filter(|wait| !wait.is_zero())
    }

    /// Notes that somebody was let in, where that matters: at an address with failures.
    pub fn good(&self, address: IpAddr, principal: &Principal) {
        let Some(account) = self.account(address, Instant::now()) else { return };
        let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
        if !account.knows(principal) {
            if account.known.len() == MAX_KNOWN {
                account.known.remove(0);
            }
            account.known.push((principal.kind, principal.id.clone()));
        }
    }

    /// Whether somebody was let in from an address before.
    #[must_use]
    pub fn knows(&self, address: IpAddr, principal: &Principal) -> bool {
        let account = self.account(address, Instant::now());
        account.is_some_and(|account| account.lock().unwrap_or_else(PoisonError::into_inner).knows(principal))
    }

    fn account(&self, address: IpAddr, now: Instant) -> Option<Arc<Mutex<Account>>> {
        // Where nobody failed for a while, which is nearly always, there is nothing to look up.
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 || now.duration_since(self.started).as_millis() > u128::from(until) {
            return None;
        }
        self.table.get(&place(address))
    }

    fn interval(&self) -> Duration {
        MINUTE / self.per_minute.load(Ordering::Relaxed).max(1)
    }
}

impl Account {
    fn knows(&self, principal: &Principal) -> bool {
        self.known.iter().any(|(kind, id)| *kind == principal.kind && *id == principal.id)
    }
}

/// One client: an IPv4 address, or the network of an IPv6 address, of which a client has as many as it likes.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        four @ IpAddr::V4(_) => four,
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
        let failures = Failures::new(3);
        assert_eq!(failures.wait(ip("192.0.2.1")), None);
        for _ in 0..3 {
            assert_eq!(failures.wait(ip("192.0.2.1")), None);
            failures.note(ip("192.0.2.1"));
        }
        let wait = failures.wait(ip("192.0.2.1")).unwrap();
        assert!(wait > Duration::from_secs(15) && wait <= Duration::from_secs(20), "{wait:?}");
        assert_eq!(failures.wait(ip("192.0.2.2")), None);
        failures.set_limit(1);
        assert!(failures.wait(ip("192.0.2.1")).unwrap() > wait);
    }

    #[test]
    fn all_addresses_of_a_network_are_one() {
        let failures = Failures::new(1);
        failures.note(ip("2001:db8:1:2::1"));
        assert!(failures.wait(ip("2001:db8:1:2:ffff::9")).is_some());
        assert!(failures.wait(ip("2001:db8:1:3::1")).is_none());
        failures.note(ip("::ffff:192.0.2.1"));
        assert!(failures.wait(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn who_was_let_in_before_is_known() {
        let failures = Failures::new(1);
        let principal = |id: &str| Principal::new(id, PrincipalKind::ApiKey);
        failures.good(ip("192.0.2.1"), &principal("early"));
        assert!(!failures.knows(ip("192.0.2.1"), &principal("early")), "nothing is kept without failures");
        failures.note(ip("192.0.2.1"));
        for n in 0..=MAX_KNOWN {
            failures.good(ip("192.0.2.1"), &principal(&n.to_string()));
        }
        assert!(!failures.knows(ip("192.0.2.1"), &principal("0")), "the oldest made room");
        assert!(failures.knows(ip("192.0.2.1"), &principal("1")));
        assert!(!failures.knows(ip("192.0.2.1"), &Principal::new("1", PrincipalKind::Token)));
    }

    #[test]
    fn a_flood_of_addresses_stays_bounded() {
        let failures = Failures::new(1);
        for n in 0..40_000_u32 {
            failures.note(IpAddr::from(n.to_be_bytes()));
        }
        failures.table.run_pending_tasks();
        assert!(failures.table.entry_count() <= MAX_ADDRESSES);
        assert!(failures.wait(IpAddr::from(39_999_u32.to_be_bytes())).is_some(), "the newest is remembered");
    }
}
