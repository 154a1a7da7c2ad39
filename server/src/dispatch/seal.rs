//! State that travels by way of clients: sealed, so that they can neither read nor alter it, nor use it for anything but
//! what it was handed out for.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::auth::principal::Caller;
use crate::backend::Target;
use crate::protocol::errors::{Code, Fault};
use crate::state_keys::StateKeys;

/// How long a state can be used: as long as a person may take over a question.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The largest state, in bytes.
pub const MAX_STATE: usize = 64 << 10;
/// What stands around it when it is sealed: the time and the tag.
const AROUND: usize = 8 + 16;

/// Seals and opens.
pub struct Seal {
    /// The one that seals.
    first: RandomizedNonceKey,
    /// Those that open besides.
    rest: Vec<RandomizedNonceKey>,
    /// Whether no other process can have the same.
    own: bool,
}

/// Why a state was refused. That it was altered and that it is another's are not told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("params.requestState was not handed out for this request; ask again without it")]
    NotOurs,
    #[error("params.requestState is too old; ask again without it")]
    TooOld,
}

impl Seal {
    /// A seal with a key of its own: what it closes, no other opens.
    #[must_use]
    pub fn new() -> Self {
        let mut key = [0; 32];
        rand::fill(&mut key).expect("the system has random numbers");
        Self { first: cipher(&key), rest: Vec::new(), own: true }
    }

    /// A seal with keys that others have, too; none where there are none.
    #[must_use]
    pub fn shared(keys: &StateKeys) -> Option<Self> {
        let (first, rest) = keys.expose().split_first()?;
        Some(Self { first: cipher(first), rest: rest.iter().map(cipher).collect(), own: false })
    }

    /// Whether no other process can open what it seals.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// Seals a state.
    ///
    /// # Errors
    /// Where it is larger than [`MAX_STATE`].
    pub(super) fn close(
        &self,
        state: &[u8],
        caller: &Caller,
        target: &Target,
        arguments: Option<&str>,
    ) -> Result<String, Fault> {
        if state.len() > MAX_STATE {
            tracing::error!(
                name = target.name(),
                bytes = state.len(),
                "a state is too large to be handed out"
            );
            return Err(Fault::new(Code::Internal, "the server failed to keep its state"));
        }
        let until = now().saturating_add(LIFETIME.as_secs());
        Ok(self.close_until(until, state, caller, target, arguments))
    }

    fn close_until(
        &self,
        until: u64,
        state: &[u8],
        caller: &Caller,
        target: &Target,
        arguments: Option<&str>,
    ) -> String {
        let mut sealed = [&until.to_be_bytes()[..], state].concat();
        let bound = Aad::from(bound(caller, target, arguments));
        let nonce = self
            .first
            .seal_in_place_append_tag(bound, &mut sealed)
            .expect("the system has random numbers, and the state is small");
        BASE64_URL_SAFE_NO_PAD.encode([nonce.as_ref(), &sealed[..]].concat())
    }

    /// Opens what this seal closed for the same caller, target and arguments.
    pub(super) fn open(
        &self,
        sealed: &str,
        caller: &Caller,
        target: &Target,
        arguments: Option<&str>,
    ) -> Result<Vec<u8>, SealError> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).map_err(|_| SealError::NotOurs)?;
        let (nonce, closed) = bytes.split_at_checked(NONCE_LEN).ok_or(SealError::NotOurs)?;
        if closed.len() > MAX_STATE + AROUND {
            return Err(SealError::NotOurs);
        }
        let bound = bound(caller, target, arguments);
        let mut keys = std::iter::once(&self.first).chain(&self.rest);
        let opened = keys.find_map(|key| opened(key, nonce, &bound, closed)).ok_or(SealError::NotOurs)?;
        let (until, state) = opened.split_first_chunk::<8>().ok_or(SealError::NotOurs)?;
        if u64::from_be_bytes(*until) <= now() {
            return Err(SealError::TooOld);
        }
        Ok(state.to_vec())
    }
}

impl Default for Seal {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

fn cipher(key: &[u8; 32]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key has the algorithm's length")
}

/// What was closed with this key.
fn opened(key: &RandomizedNonceKey, nonce: &[u8], bound: &[u8; 32], closed: &[u8]) -> Option<Vec<u8>> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut bytes = closed.to_vec();
    let length = key.open_in_place(nonce, Aad::from(bound), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// A digest of everything that a state is bound to. Arguments count by their value, not by how they are written.
fn bound(caller: &Caller, target: &Target, arguments: Option<&str>) -> [u8; 32] {
    let arguments = arguments.map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_default());
    let principal = caller.principal.as_deref();
    let parts = [
        principal.map_or_else(String::new, |principal| format!("{:?}", principal.kind)),
        principal.map_or_else(String::new, |principal| principal.id.to_string()),
        target.kind().to_owned(),
        target.name().to_owned(),
        sorted(arguments).to_string(),
    ];
    let mut digest = Context::new(&SHA256);
    for part in parts {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.finish().as_ref());
    bytes
}

/// The value with the keys of its objects in order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::principal::{Principal, PrincipalKind};
    use crate::environment::Environment;
    use mcp_server_config::{Literal, SecretRef, ServiceConfig};
    use std::sync::Arc;

    #[test]
    fn a_state_is_for_one_caller_and_one_request() {
        let seal = Seal::new();
        let caller = |id: &str| Caller {
            principal: Some(Arc::new(Principal::new(id, PrincipalKind::ApiKey))),
            address: None,
        };
        let (ada, tool) = (caller("ada"), Target::Tool("t".into()));
        let sealed = seal.close(b"state", &ada, &tool, Some(r#"{"a":1,"b":[2]}"#)).unwrap();
        let open =
            |caller: &Caller, target: &Target, arguments| seal.open(&sealed, caller, target, arguments);
        assert_eq!(open(&ada, &tool, Some(r#"{ "b":[2], "a":1 }"#)).unwrap(), b"state");
        let not_ours = Err(SealError::NotOurs);
        assert_eq!(open(&caller("eve"), &tool, Some(r#"{"a":1,"b":[2]}"#)), not_ours);
        assert_eq!(open(&Caller::default(), &tool, Some(r#"{"a":1,"b":[2]}"#)), not_ours);
        assert_eq!(open(&ada, &Target::Tool("u".into()), Some(r#"{"a":1,"b":[2]}"#)), not_ours);
        assert_eq!(open(&ada, &Target::Prompt("t".into()), Some(r#"{"a":1,"b":[2]}"#)), not_ours);
        assert_eq!(open(&ada, &tool, Some(r#"{"a":1,"b":[3]}"#)), not_ours);
        assert_eq!(open(&ada, &tool, None), not_ours);
        assert_eq!(Seal::new().open(&sealed, &ada, &tool, Some(r#"{"a":1,"b":[2]}"#)), not_ours);
    }

    #[test]
    fn what_was_altered_or_is_old_is_refused() {
        let seal = Seal::new();
        let (nobody, tool) = (Caller::default(), Target::Tool("t".into()));
        let sealed = seal.close(b"state", &nobody, &tool, None).unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            // The last characters of base64 may stand for bits that do not count.
            if BASE64_URL_SAFE_NO_PAD.decode(&altered) != BASE64_URL_SAFE_NO_PAD.decode(&sealed) {
                assert_eq!(seal.open(&altered, &nobody, &tool, None), Err(SealError::NotOurs), "{at}");
            }
        }
        for bad in ["", "AAAA", "not base64!", &sealed[..20]] {
            assert_eq!(seal.open(bad, &nobody, &tool, None), Err(SealError::NotOurs));
        }
        let old = seal.close_until(now(), b"state", &nobody, &tool, None);
        assert_eq!(seal.open(&old, &nobody, &tool, None), Err(SealError::TooOld));
        assert!(seal.close(&vec![0; MAX_STATE + 1], &nobody, &tool, None).is_err());
        let largest = seal.close(&vec![7; MAX_STATE], &nobody, &tool, None).unwrap();
        assert_eq!(seal.open(&largest, &nobody, &tool, None).unwrap(), vec![7; MAX_STATE]);
    }

    #[test]
    fn keys_are_shared_and_rotate() {
        let (nobody, tool) = (Caller::default(), Target::Tool("t".into()));
        let seal = |secrets: &[&str]| {
            let keys = secrets.iter().map(|secret| SecretRef {
                value: Some(Literal::new(secret.repeat(32))),
                ..SecretRef::default()
            });
            let service = ServiceConfig { state_keys: keys.collect(), ..ServiceConfig::default() };
            Seal::shared(&StateKeys::read(&service, &Environment::default()).unwrap())
        };
        assert!(seal(&[]).is_none() && Seal::new().is_own());
        let [old, both, new] = [&["a"][..], &["b", "a"], &["b"]].map(|secrets| seal(secrets).unwrap());
        assert!(!old.is_own());
        let opens = |from: &Seal, to: &Seal| {
            let sealed = from.close(b"state", &nobody, &tool, None).unwrap();
            to.open(&sealed, &nobody, &tool, None)
        };
        for (from, to) in [(&old, &old), (&old, &both), (&both, &both), (&both, &new), (&new, &both)] {
            assert_eq!(opens(from, to).unwrap(), b"state");
        }
        for (from, to) in [(&old, &new), (&new, &old), (&both, &old)] {
            assert_eq!(opens(from, to), Err(SealError::NotOurs));
        }
    }
}
