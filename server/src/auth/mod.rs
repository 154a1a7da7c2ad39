//! Who calls. Decided from the headers, before a byte of the body is read.
//!
//! An API key is not OAuth: a refusal names no authorization server, so that no client goes looking for one.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use mcp_server_config::AuthMode;

use crate::auth::keyring::Keyring;
use crate::auth::principal::Principal;

pub mod generate;
pub mod keyring;
pub mod keys_file;
pub mod obtain;
pub mod places;
pub mod principal;
pub mod source;

/// The other header that carries a key, without a scheme.
pub const API_KEY_HEADER: &str = "x-api-key";

/// Who is let in.
#[derive(Clone, Debug)]
pub struct Policy {
    pub mode: AuthMode,
    pub keys: Arc<Keyring>,
}

/// Why a caller was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("an API key is required: send it as \"Authorization: Bearer <key>\" or \"X-API-Key: <key>\"")]
    Missing,
    #[error("the API key is not valid")]
    Wrong,
    #[error(
        "the credentials cannot be read: send one API key as \"Authorization: Bearer <key>\" or \"X-API-Key: <key>\""
    )]
    Malformed,
}

impl Refusal {
    /// How metrics call it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Wrong => "wrong",
            Self::Malformed => "malformed",
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750, section 3): without an error where nothing was sent.
    #[must_use]
    pub const fn challenge(self) -> &'static str {
        match self {
            Self::Missing => "Bearer",
            Self::Wrong => "Bearer error=\"invalid_token\"",
            Self::Malformed => "Bearer error=\"invalid_request\"",
        }
    }
}

impl Policy {
    /// Lets everybody in: what standard input and output need, whose other end started this process.
    #[must_use]
    pub fn open() -> Self {
        Self { mode: AuthMode::Disabled, keys: Arc::new(Keyring::default()) }
    }

    /// The holder of the caller's key; none where the caller has none and needs none.
    ///
    /// # Errors
    /// Where the caller is not let in.
    pub fn identify(&self, headers: &HeaderMap) -> Result<Option<Arc<Principal>>, Refusal> {
        if self.mode == AuthMode::Disabled {
            return Ok(None);
        }
        match presented(headers)? {
            Some(key) => self.keys.find(key).map(Some).ok_or(Refusal::Wrong),
            None if self.mode == AuthMode::Optional => Ok(None),
            None => Err(Refusal::Missing),
        }
    }
}

/// The one key that a caller presents.
fn presented(headers: &HeaderMap) -> Result<Option<&[u8]>, Refusal> {
    let mut found = None;
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| bearer(value.as_bytes()));
    let plain = headers.get_all(API_KEY_HEADER).iter().map(|value| Some(value.as_bytes().trim_ascii()));
    for key in bearers.chain(plain) {
        let key = key.filter(|key| !key.is_empty()).ok_or(Refusal::Malformed)?;
        // The same key twice is odd but clear; two keys are not: which one is the caller?
        if found.replace(key).is_some_and(|earlier: &[u8]| earlier != key) {
            return Err(Refusal::Malformed);
        }
    }
    Ok(found)
}

/// The token of the scheme `Bearer`, which is written in any case (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keyring::Key;
    use http::HeaderValue;

    fn policy(mode: AuthMode) -> Policy {
        let keys = vec![Key::new("ci", "secret-of-ci"), Key::new("ops", "secret-of-ops")];
        Policy { mode, keys: Arc::new(Keyring::new(&keys)) }
    }

    fn identify(mode: AuthMode, pairs: &[(&'static str, &'static str)]) -> Result<Option<String>, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        policy(mode).identify(&headers).map(|principal| principal.map(|principal| principal.id.to_string()))
    }

    #[test]
    fn who_is_let_in() {
        let ci = || Ok(Some("ci".to_owned()));
        for (pairs, required, optional) in [
            (&[][..], Err(Refusal::Missing), Ok(None)),
            (&[("authorization", "Bearer secret-of-ci")], ci(), ci()),
            (&[("authorization", "bEARER  secret-of-ci ")], ci(), ci()),
            (&[("x-api-key", "secret-of-ci")], ci(), ci()),
            (&[("x-api-key", "secret-of-ci"), ("authorization", "Bearer secret-of-ci")], ci(), ci()),
            (
                &[("x-api-key", "secret-of-ops"), ("authorization", "Bearer secret-of-ci")],
                Err(Refusal::Malformed),
                Err(Refusal::Malformed),
            ),
            (&[("authorization", "Bearer secret-of-c")], Err(Refusal::Wrong), Err(Refusal::Wrong)),
            (&[("x-api-key", "nonsense")], Err(Refusal::Wrong), Err(Refusal::Wrong)),
            (&[("authorization", "Basic Y2k6c2VjcmV0")], Err(Refusal::Malformed), Err(Refusal::Malformed)),
            (&[("authorization", "Bearer ")], Err(Refusal::Malformed), Err(Refusal::Malformed)),
            (&[("authorization", "Bearer")], Err(Refusal::Malformed), Err(Refusal::Malformed)),
            (&[("x-api-key", "")], Err(Refusal::Malformed), Err(Refusal::Malformed)),
        ] {
            assert_eq!(identify(AuthMode::Required, pairs), required, "{pairs:?}");
            assert_eq!(identify(AuthMode::Optional, pairs), optional, "{pairs:?}");
            assert_eq!(identify(AuthMode::Disabled, pairs), Ok(None), "{pairs:?}");
        }
    }

    #[test]
    fn no_keys_let_nobody_in() {
        let policy = Policy { mode: AuthMode::Required, keys: Arc::new(Keyring::default()) };
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static("anything"));
        assert_eq!(policy.identify(&headers), Err(Refusal::Wrong));
    }
}
