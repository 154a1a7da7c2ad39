//! Who calls. Decided from the headers, before a byte of the body is read.
//!
//! An API key is not OAuth: where there are only keys, a refusal names no authorization server, so that no client goes
//! looking for one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Uri};
use mcp_server_config::{AuthMode, ServerConfig};

use crate::auth::access::Access;
use crate::auth::credential::{Presented, Unreadable, presented};
use crate::auth::failures::Failures;
use crate::auth::fingerprint::Fingerprint;
use crate::auth::keyring::Found;
use crate::auth::metrics::{AuthMetrics, Kind};
use crate::auth::oauth::metadata::{Challenge, Metadata};
use crate::auth::oauth::{Invalid, Verdict};
use crate::auth::principal::Principal;
use crate::protocol::errors::{Code, Fault};

pub mod access;
pub mod credential;
mod explain;
pub mod failures;
pub mod fingerprint;
pub mod generate;
pub mod keyring;
pub mod keys_file;
pub mod manage;
pub mod metrics;
pub mod oauth;
pub mod obtain;
pub mod open;
pub mod places;
pub mod principal;
pub mod private_file;
pub mod rules;
pub mod source;

pub use credential::API_KEY_HEADER;

/// What callers are told where API keys alone let in. Without quotation marks, which `error_description` cannot hold
/// (RFC 6750, section 3).
pub const TAKES_KEYS: &str =
    "this server takes API keys, not OAuth: send one as Authorization: Bearer <key> or X-API-Key: <key>";

/// From this length on, in bytes, a key is not found by guessing, so that it need not be refused where others guess: 32
/// hexadecimal digits have 128 bits, and the 43 characters of a generated key have 256.
const UNGUESSABLE: usize = 32;

/// Who is let in.
#[derive(Clone, Debug)]
pub struct Policy {
    pub mode: AuthMode,
    pub access: Access,
    /// What clients are told of OAuth; absent where there is none, and where nobody said how clients call this server.
    pub metadata: Option<Metadata>,
}

/// Why a caller was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing was presented, and something has to be.
    Missing,
    /// What was presented cannot be read.
    Unreadable(Unreadable),
    /// No key of ours, and no token.
    Wrong,
    /// A key of ours, once.
    Expired,
    /// A token that is not accepted.
    Token(Invalid),
    /// A good token for too little.
    Insufficient,
    /// Nobody can say just now whether the token is good.
    Unavailable,
    /// Too many wrong ones came from this address.
    TooMany(Duration),
}

/// A refusal as the caller reads it.
#[derive(Debug)]
pub struct Denied {
    pub fault: Fault,
    /// The value of `WWW-Authenticate`, where other credentials would help.
    pub challenge: Option<HeaderValue>,
    /// In seconds.
    pub retry_after: Option<u32>,
}

impl Refusal {
    /// How metrics call it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable(_) => "malformed",
            Self::Wrong => "wrong",
            Self::Expired => "expired",
            Self::Token(invalid) => invalid.reason(),
            Self::Insufficient => "insufficient_scope",
            Self::Unavailable => "unavailable",
            Self::TooMany(_) => "too_many_failures",
        }
    }

    /// Whether it may have been a guess. A token whose only fault is its time was signed by the authorization server.
    const fn is_failure(self) -> bool {
        match self {
            Self::Wrong | Self::Expired => true,
            Self::Token(invalid) => !matches!(invalid, Invalid::Expired | Invalid::NotYet),
            _ => false,
        }
    }
}

impl Policy {
    /// The policy of a configuration.
    #[must_use]
    pub fn new(config: &ServerConfig, access: Access) -> Self {
        let metadata = Metadata::of(&config.service, config.process.http.path());
        Self { mode: config.service.auth.mode(), access, metadata }
    }

    /// Whether callers need an API key, and no token would do.
    #[must_use]
    pub fn takes_keys_alone(&self) -> bool {
        self.mode != AuthMode::Disabled && self.access.oauth.is_none()
    }

    /// Lets everybody in: what standard input and output need, whose other end started this process.
    #[must_use]
    pub fn open() -> Self {
        Self { mode: AuthMode::Disabled, access: Access::default(), metadata: None }
    }

    /// The caller; none where it presents nothing and needs nothing.
    ///
    /// # Errors
    /// Where the caller is not let in.
    pub async fn identify(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        address: IpAddr,
        failures: &Failures,
        metrics: &AuthMetrics,
    ) -> Result<Option<Arc<Principal>>, Refusal> {
        if self.mode == AuthMode::Disabled {
            return Ok(None);
        }
        let refused = |kind: Kind, refusal: Refusal| {
            metrics.refused(kind, refusal.reason());
            Err(refusal)
        };
        let presented = match presented(uri, headers) {
            Ok(Some(presented)) => presented,
            Ok(None) if self.mode == AuthMode::Optional => {
                metrics.ok(Kind::Nothing);
                return Ok(None);
            }
            Ok(None) => return refused(Kind::Nothing, Refusal::Missing),
            Err(unreadable) => return refused(Kind::Nothing, Refusal::Unreadable(unreadable)),
        };
        let now = Instant::now();
        let wait = failures.wait(address, now);
        match self.settle(presented, wait.is_some(), now).await {
            (kind, Ok(principal)) => {
                metrics.ok(kind);
                Ok(Some(principal))
            }
            (kind, Err(refusal)) if refusal.is_failure() => match wait {
                Some(wait) => refused(kind, Refusal::TooMany(wait)),
                None => {
                    failures.note(address, now);
                    refused(kind, refusal)
                }
            },
            (kind, Err(refusal)) => refused(kind, refusal),
        }
    }

    /// Whose secret it is. Where it comes from a `suspect` address, one with too many failures, a secret that could have
    /// been guessed is wrong even if it is right, unless it was proven within the last hour; and no authorization server
    /// is asked about a token that is not known.
    async fn settle(
        &self,
        presented: Presented<'_>,
        suspect: bool,
        now: Instant,
    ) -> (Kind, Result<Arc<Principal>, Refusal>) {
        let fingerprint = Fingerprint::of(presented.secret);
        let oauth = self.access.oauth.as_ref().filter(|_| presented.bearer);
        if let Some(verdict) = oauth.and_then(|oauth| oauth.recall(&fingerprint)) {
            return (Kind::Token, as_result(verdict));
        }
        let keys = &self.access.keys;
        let guessable = suspect && presented.secret.len() < UNGUESSABLE;
        if !guessable || keys.is_proven(&fingerprint, now) {
            match keys.find(&fingerprint, now) {
                Found::Holder(principal) => return (Kind::ApiKey, Ok(principal)),
                Found::Expired => return (Kind::ApiKey, Err(Refusal::Expired)),
                Found::Unknown => {}
            }
        }
        let Some(oauth) = oauth else { return (Kind::ApiKey, Err(Refusal::Wrong)) };
        let verdict = if suspect && !oauth.is_proven(&fingerprint) {
            oauth.verify_at_hand(presented.secret, fingerprint)
        } else {
            // Rare, and larger than everything else.
            Some(Box::pin(oauth.verify(presented.secret, fingerprint)).await)
        };
        (Kind::Token, verdict.map_or(Err(Refusal::Wrong), as_result))
    }

    /// A refusal in words.
    #[must_use]
    pub fn deny(&self, refusal: Refusal) -> Denied {
        let with_tokens = self.access.oauth.is_some();
        let code = match refusal {
            Refusal::Missing
            | Refusal::Wrong
            | Refusal::Expired
            | Refusal::Token(_)
            | Refusal::Unreadable(Unreadable::Scheme) => Code::Unauthorized,
            Refusal::Unreadable(_) => Code::MalformedCredentials,
            Refusal::Insufficient => Code::Forbidden,
            Refusal::Unavailable => Code::AuthUnavailable,
            Refusal::TooMany(_) => Code::TooManyRequests,
        };
        let description = match refusal {
            // What is wrong with a token is known to its holder; of a key nothing is told.
            Refusal::Token(invalid) => Some(described(invalid)),
            _ if !with_tokens => Some(TAKES_KEYS),
            _ => None,
        };
        let error = match refusal {
            Refusal::Missing | Refusal::Unreadable(Unreadable::Scheme) => None,
            Refusal::Unreadable(_) => Some("invalid_request"),
            Refusal::Wrong | Refusal::Expired | Refusal::Token(_) => Some("invalid_token"),
            Refusal::Insufficient => Some("insufficient_scope"),
            Refusal::Unavailable | Refusal::TooMany(_) => return self.later(code, refusal),
        };
        let challenge = Challenge { error, description }.header(self.metadata.as_ref());
        let send = if with_tokens {
            "send an access token as \"Authorization: Bearer <token>\", or an API key so or as \"X-API-Key: <key>\""
        } else {
            "send it as \"Authorization: Bearer <key>\" or \"X-API-Key: <key>\""
        };
        let message = match refusal {
            Refusal::Missing if with_tokens => format!("authentication is required: {send}"),
            Refusal::Missing => format!("an API key is required: {send}"),
            Refusal::Unreadable(Unreadable::InUrl) => {
                "access tokens are not taken from the URL; send them as \"Authorization: Bearer <token>\"".to_owned()
            }
            Refusal::Unreadable(_) if with_tokens => format!("the credentials cannot be read: {send}"),
            Refusal::Unreadable(_) => {
                "the credentials cannot be read: send one API key as \"Authorization: Bearer <key>\" or \
                 \"X-API-Key: <key>\""
                    .to_owned()
            }
            Refusal::Insufficient => {
                "the access token is not for this server's scopes; ask for one with the scopes in WWW-Authenticate"
                    .to_owned()
            }
            _ if with_tokens => match description {
                Some(description) => format!("the access token is not accepted: {description}"),
                None => "the API key or access token is not valid".to_owned(),
            },
            _ => "the API key is not valid".to_owned(),
        };
        Denied { fault: Fault::new(code, message), challenge: Some(challenge), retry_after: None }
    }

    fn later(&self, code: Code, refusal: Refusal) -> Denied {
        let (message, seconds) = match refusal {
            Refusal::TooMany(wait) => (
                "too many wrong credentials came from this address; wait, and send the right ones",
                u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1),
            ),
            _ => ("the authorization server cannot be asked just now; try again shortly", 5),
        };
        Denied { fault: Fault::new(code, message), challenge: None, retry_after: Some(seconds) }
    }
}

fn as_result(verdict: Verdict) -> Result<Arc<Principal>, Refusal> {
    match verdict {
        Verdict::Good(principal) => Ok(principal),
        Verdict::Insufficient => Err(Refusal::Insufficient),
        Verdict::Invalid(invalid) => Err(Refusal::Token(invalid)),
        Verdict::Unavailable => Err(Refusal::Unavailable),
    }
}

/// What the holder of a token can do something about; a forger learns no more than that it did not work.
const fn described(invalid: Invalid) -> &'static str {
    match invalid {
        Invalid::Expired => "the token has expired",
        Invalid::NotYet => "the token is not valid yet",
        Invalid::Audience => "the token was not made for this server",
        Invalid::IdToken => "it is an ID token; send an access token",
        Invalid::Untyped => "the token does not say that it is an access token (typ at+jwt)",
        Invalid::Issuer => "the token is of another issuer",
        Invalid::Inactive => "the token is not active",
        Invalid::Shape | Invalid::Algorithm | Invalid::UnknownKey | Invalid::Signature | Invalid::Claims => {
            "the token is not valid"
        }
    }
}

#[cfg(test)]
mod tests;
