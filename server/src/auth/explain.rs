//! Why a caller was not let in, for the log: callers learn less. Nothing here shows a secret.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};

use crate::auth::credential::{Unreadable, presented};
use crate::auth::fingerprint::Fingerprint;
use crate::auth::oauth::{Invalid, claims};
use crate::auth::{Policy, Refusal};

/// A key of this length may be known by its first characters; a shorter one would be half told.
const LONG: usize = 16;
/// Characters of a key that are shown.
const SHOWN: usize = 4;

impl Policy {
    /// A refusal as an operator of the server reads it: which key, which claim, which header.
    #[must_use]
    pub fn explain(&self, refusal: Refusal, uri: &Uri, headers: &HeaderMap) -> String {
        let secret = presented(uri, headers).ok().flatten().map_or(&b""[..], |presented| presented.secret);
        match refusal {
            Refusal::Missing => "neither an API key nor a token was sent".to_owned(),
            Refusal::Unreadable(Unreadable::Scheme) => match scheme(headers) {
                Some(scheme) => format!("Authorization has the scheme {scheme:?}, not Bearer"),
                None => "Authorization has another scheme than Bearer".to_owned(),
            },
            Refusal::Unreadable(Unreadable::Malformed) => {
                "Authorization or X-API-Key is empty, or they hold different secrets".to_owned()
            }
            Refusal::Unreadable(Unreadable::InUrl) => "a token was sent in the URL (access_token)".to_owned(),
            Refusal::Wrong => format!("{} is not known", name_of(secret)),
            Refusal::Expired => match self.access.keys.id_of(&Fingerprint::of(secret)) {
                Some(id) => format!("the API key {id:?} has expired"),
                None => "the API key has expired".to_owned(),
            },
            Refusal::Token(invalid) => self.explain_token(invalid, secret),
            Refusal::Insufficient => {
                let required =
                    self.access.oauth.as_ref().map(|oauth| oauth.settings().required_scopes.join(" "));
                let of =
                    claims::subject(secret).map(|subject| format!(" of {subject:?}")).unwrap_or_default();
                format!("the token{of} lacks one of the scopes {:?}", required.unwrap_or_default())
            }
            Refusal::Unavailable => "the authorization server gave no answer about the token".to_owned(),
            Refusal::TooMany(wait) => format!(
                "too many wrong credentials came from this address; it has to wait {} s, or send others than {}",
                wait.as_secs() + 1,
                name_of(secret)
            ),
        }
    }

    fn explain_token(&self, invalid: Invalid, secret: &[u8]) -> String {
        match &self.access.oauth {
            Some(oauth) => claims::explain(invalid, secret, oauth.settings()),
            None => "the token is not valid".to_owned(),
        }
    }
}

/// What a secret can be told by, without being told.
fn name_of(secret: &[u8]) -> String {
    let length = secret.len();
    match std::str::from_utf8(secret) {
        // The beginning of a JWT is the same for all.
        Ok(text) if crate::auth::oauth::token::looks_like_jwt(text) => {
            format!("a JWT of {length} characters")
        }
        Ok(text) if length >= LONG => {
            let shown: String = text.chars().take(SHOWN).collect();
            format!("the key that begins with {shown:?} ({length} characters)")
        }
        _ => format!("a key of {length} characters"),
    }
}

/// The scheme of `Authorization`, where it can be one: a key without a scheme must not be shown.
fn scheme(headers: &HeaderMap) -> Option<&str> {
    let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let known = scheme.len() <= 16 && scheme.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    (known && !rest.is_empty()).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AuthMode;
    use crate::auth::access::Access;
    use crate::auth::keyring::{Key, Keyring};
    use http::HeaderValue;

    #[test]
    fn says_which_and_shows_no_key() {
        let keys = Keyring::new(&[Key::new("ci", "secret-of-ci")]);
        let policy = Policy { mode: AuthMode::Required, access: Access::of_keys(keys), metadata: None };
        for (header, value, refusal, expected) in [
            (
                "x-api-key",
                "abcdefghijklmnop",
                Refusal::Wrong,
                "the key that begins with \"abcd\" (16 characters) is not known",
            ),
            ("x-api-key", "abcdefghij", Refusal::Wrong, "a key of 10 characters is not known"),
            ("authorization", "Bearer secret-of-ci", Refusal::Expired, "the API key \"ci\" has expired"),
            (
                "authorization",
                "Basic Y2k6c2VjcmV0",
                Refusal::Unreadable(Unreadable::Scheme),
                "Authorization has the scheme \"Basic\", not Bearer",
            ),
            (
                "authorization",
                "Y2k6c2VjcmV0",
                Refusal::Unreadable(Unreadable::Scheme),
                "Authorization has another scheme than Bearer",
            ),
        ] {
            let headers = HeaderMap::from_iter([(header.parse().unwrap(), HeaderValue::from_static(value))]);
            assert_eq!(policy.explain(refusal, &Uri::from_static("/mcp"), &headers), expected);
        }
    }
}
