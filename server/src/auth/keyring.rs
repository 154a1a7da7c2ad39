//! The keys that are let in, held as digests and compared in constant time.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::auth::principal::{Principal, PrincipalKind};

/// A longer key is wrong without looking at it.
const MAX_KEY: usize = 4096;

/// An API key and the name of its holder.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: String,
    pub key: SecretString,
}

impl Key {
    #[must_use]
    pub fn new(id: impl Into<String>, key: impl Into<String>) -> Self {
        Self { id: id.into(), key: SecretString::from(key.into()) }
    }
}

/// Digests of all keys under a secret that lives as long as this ring. A digest hides how much of a key was guessed,
/// and all digests have one length.
pub struct Keyring {
    secret: hmac::Key,
    entries: Vec<(Arc<Principal>, [u8; 32])>,
}

impl Keyring {
    #[must_use]
    pub fn new(keys: &[Key]) -> Self {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).expect("the operating system has randomness");
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &seed);
        let entries = keys
            .iter()
            .map(|key| {
                let principal = Principal { id: Arc::from(key.id.as_str()), kind: PrincipalKind::ApiKey };
                (Arc::new(principal), digest(&secret, key.key.expose_secret().as_bytes()))
            })
            .collect();
        Self { secret, entries }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The holder of the presented key. Takes the same time for every key that is not in the ring, and looks at all entries
    /// for one that is.
    #[must_use]
    pub fn find(&self, presented: &[u8]) -> Option<Arc<Principal>> {
        if presented.len() > MAX_KEY {
            return None;
        }
        let presented = digest(&self.secret, presented);
        let mut found = u32::MAX;
        for (index, (_, digest)) in (0_u32..).zip(&self.entries) {
            found.conditional_assign(&index, digest.ct_eq(&presented));
        }
        self.entries.get(found as usize).map(|(principal, _)| principal.clone())
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

fn digest(secret: &hmac::Key, text: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(secret, text);
    tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_key_and_no_other() {
        let keys: Vec<_> = (0..50).map(|n| Key::new(format!("id-{n}"), format!("key-{n}"))).collect();
        let ring = Keyring::new(&keys);
        for n in 0..50 {
            let found = ring.find(format!("key-{n}").as_bytes()).unwrap();
            assert_eq!(*found.id, *format!("id-{n}"));
        }
        for wrong in ["", "key-", "key-50", "KEY-1", "key-1 "] {
            assert_eq!(ring.find(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(ring.find(&vec![b'x'; MAX_KEY + 1]), None);
    }

    #[test]
    fn shows_no_key() {
        let key = Key::new("ci", "canary-5f1d");
        assert!(!format!("{key:?} {:?}", Keyring::new(std::slice::from_ref(&key))).contains("canary"));
    }
}
