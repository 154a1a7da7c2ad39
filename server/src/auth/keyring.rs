//! The keys that are let in, held as digests under a secret.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::hmac;
use secrecy::SecretString;

use crate::auth::fingerprint::Fingerprint;
use crate::auth::principal::{Limit, Principal, PrincipalKind, sorted_scopes};
use crate::observe::scrub;

/// For how long a key counts as proven after it was used.
const PROVEN: Duration = Duration::from_secs(3600);

/// An API key, and what is known of its holder.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: String,
    pub fingerprint: Fingerprint,
    /// The key itself, where it is kept in clear.
    pub plain: Option<SecretString>,
    pub scopes: Vec<String>,
    /// From when on it is refused.
    pub expires: Option<SystemTime>,
    pub limit: Option<Limit>,
}

impl Key {
    /// A key that is known in clear, without scopes, expiry and limit.
    #[must_use]
    pub fn new(id: impl Into<String>, key: impl Into<String>) -> Self {
        let key = key.into();
        scrub::learn(&key);
        let fingerprint = Fingerprint::of(key.as_bytes());
        Self { plain: Some(SecretString::from(key)), ..Self::hashed(id, fingerprint) }
    }

    /// A key of which only the digest is known.
    #[must_use]
    pub fn hashed(id: impl Into<String>, fingerprint: Fingerprint) -> Self {
        Self { id: id.into(), fingerprint, plain: None, scopes: Vec::new(), expires: None, limit: None }
    }

    fn principal(&self) -> Principal {
        Principal {
            scopes: sorted_scopes(self.scopes.iter().map(String::as_str)),
            limit: self.limit,
            ..Principal::new(self.id.as_str(), PrincipalKind::ApiKey)
        }
    }
}

/// Holders by a digest of their keys, under a secret that lives as long as the process.
///
/// How long it takes to look a digest up tells something of that digest, and nothing of a key: nobody outside can compute
/// the digest of a guess, let alone make a guess whose digest begins like another. So a look-up need not take the same
/// time for all, and costs the same whether there are ten keys or ten thousand.
pub struct Keyring {
    secret: hmac::Key,
    entries: HashMap<Tag, Entry>,
    started: Instant,
}

type Tag = [u8; 32];

struct Entry {
    principal: Arc<Principal>,
    expires: Option<SystemTime>,
    /// When the key was used last: seconds after the ring was started, plus one; zero where it was not used. It belongs to
    /// the key, not to the holder: another key of the same holder has yet to be proven. Rings that follow each other
    /// share it.
    used: Arc<AtomicU64>,
}

/// What a ring knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Holder(Arc<Principal>),
    /// It was good until some time ago.
    Expired,
    Unknown,
}

impl Keyring {
    #[must_use]
    pub fn new(keys: &[Key]) -> Self {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).expect("the operating system has randomness");
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &seed);
        Self { secret, entries: HashMap::new(), started: Instant::now() }.followed_by(keys)
    }

    /// The ring after a reload: who was in it and has not changed is the same principal as before.
    #[must_use]
    pub fn followed_by(&self, keys: &[Key]) -> Self {
        let entry = |key: &Key| {
            let principal = key.principal();
            let before = self.entries.values().find(|entry| *entry.principal == principal);
            let principal = before.map_or_else(|| Arc::new(principal), |entry| entry.principal.clone());
            let tag = tag(&self.secret, &key.fingerprint);
            let used = self.entries.get(&tag).map(|entry| entry.used.clone()).unwrap_or_default();
            (tag, Entry { principal, expires: key.expires, used })
        };
        let entries = keys.iter().map(entry).collect();
        Self { secret: self.secret.clone(), entries, started: self.started }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The holder of the key with this fingerprint, which is proven by that.
    #[must_use]
    pub fn find(&self, presented: &Fingerprint, now: Instant) -> Found {
        match self.entries.get(&tag(&self.secret, presented)) {
            Some(entry) if entry.is_expired() => Found::Expired,
            Some(entry) => {
                let second = self.second(now);
                // A key that is in use is written to once a second, not by each request.
                if entry.used.load(Ordering::Relaxed) != second {
                    entry.used.store(second, Ordering::Relaxed);
                }
                Found::Holder(entry.principal.clone())
            }
            None => Found::Unknown,
        }
    }

    /// Whether the key with this fingerprint is good, and was used within the last hour.
    #[must_use]
    pub fn is_proven(&self, presented: &Fingerprint, now: Instant) -> bool {
        self.entries.get(&tag(&self.secret, presented)).is_some_and(|entry| {
            let used = entry.used.load(Ordering::Relaxed);
            used > 0 && self.second(now).saturating_sub(used) <= PROVEN.as_secs() && !entry.is_expired()
        })
    }

    /// The id of the key with this fingerprint, be it good or expired.
    #[must_use]
    pub fn id_of(&self, presented: &Fingerprint) -> Option<&str> {
        self.entries.get(&tag(&self.secret, presented)).map(|entry| &*entry.principal.id)
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs() + 1
    }
}

impl Entry {
    fn is_expired(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= SystemTime::now())
    }
}

impl Default for Keyring {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.entries.len())
    }
}

fn tag(secret: &hmac::Key, fingerprint: &Fingerprint) -> Tag {
    let tag = hmac::sign(secret, fingerprint.bytes());
    tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(ring: &Keyring, key: &str) -> Found {
        ring.find(&Fingerprint::of(key.as_bytes()), Instant::now())
    }

    #[test]
    fn finds_each_key_and_no_other() {
        // Every other one is known by its digest only.
        let keys: Vec<_> = (0..50)
            .map(|n| match (format!("id-{n}"), format!("key-{n}")) {
                (id, key) if n % 2 == 0 => Key::new(id, key),
                (id, key) => Key::hashed(id, Fingerprint::of(key.as_bytes())),
            })
            .collect();
        let ring = Keyring::new(&keys);
        for n in 0..50 {
            let Found::Holder(found) = find(&ring, &format!("key-{n}")) else { panic!("key {n}") };
            assert_eq!(*found.id, *format!("id-{n}"));
        }
        for wrong in ["", "key-", "key-50", "KEY-1", "key-1 "] {
            assert_eq!(find(&ring, wrong), Found::Unknown, "{wrong:?}");
        }
    }

    #[test]
    fn a_key_is_good_until_it_expires() {
        let at = |expires| Key { expires: Some(expires), ..Key::new("a", "k") };
        let (hour, now) = (Duration::from_secs(3600), SystemTime::now());
        assert!(matches!(find(&Keyring::new(&[at(now + hour)]), "k"), Found::Holder(_)));
        assert_eq!(find(&Keyring::new(&[at(now - hour)]), "k"), Found::Expired);
        assert_eq!(find(&Keyring::new(&[at(now - hour)]), "x"), Found::Unknown);
    }

    #[test]
    fn a_reload_keeps_who_did_not_change() {
        let key = |id: &str, scopes: &[&str]| Key {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..Key::new(id, format!("key-of-{id}"))
        };
        let before = Keyring::new(&[key("a", &["x"]), key("b", &[])]);
        let after = before.followed_by(&[key("b", &["y"]), key("a", &["x"]), key("c", &[])]);
        let holder = |ring: &Keyring, id: &str| match find(ring, &format!("key-of-{id}")) {
            Found::Holder(holder) => holder,
            other => panic!("{id}: {other:?}"),
        };
        assert!(Arc::ptr_eq(&holder(&before, "a"), &holder(&after, "a")));
        assert!(!Arc::ptr_eq(&holder(&before, "b"), &holder(&after, "b")));
        assert!(holder(&after, "b").has_scope("y") && &*holder(&after, "c").id == "c");
    }

    #[test]
    fn a_key_is_proven_for_an_hour_after_its_last_use() {
        let (fingerprint, now) = (Fingerprint::of(b"k"), Instant::now());
        let ring = Keyring::new(&[Key::new("a", "k")]);
        assert!(!ring.is_proven(&fingerprint, now));
        assert!(matches!(ring.find(&fingerprint, now), Found::Holder(_)));
        let scoped = Key { scopes: vec!["x".to_owned()], ..Key::new("a", "k") };
        let ring = ring.followed_by(&[scoped, Key::new("b", "other")]);
        let after = |seconds| now + Duration::from_secs(seconds);
        assert!(ring.is_proven(&fingerprint, now) && ring.is_proven(&fingerprint, after(3599)));
        assert!(!ring.is_proven(&fingerprint, after(3602)));
        assert!(
            !ring.is_proven(&Fingerprint::of(b"other"), now) && !ring.is_proven(&Fingerprint::of(b"x"), now)
        );
        let rotated = ring.followed_by(&[Key::new("a", "new")]);
        assert!(!rotated.is_proven(&Fingerprint::of(b"new"), now), "another key of the same holder");
        assert!(!rotated.is_proven(&fingerprint, now), "a key that was taken back");
    }

    #[test]
    fn shows_no_key() {
        let key = Key::new("ci", "canary-5f1d");
        let shown = format!("{key:?} {:?}", Keyring::new(std::slice::from_ref(&key)));
        assert!(!shown.contains("canary") && !shown.contains(&key.fingerprint.to_hex()[..8]), "{shown}");
    }
}
