//! What a refused token says of itself, for the log. Nothing of it is believed; only header and claims are shown, never
//! the token.

use serde_json::{Map, Value};

use crate::auth::oauth::Invalid;
use crate::auth::oauth::jwk::decode;
use crate::auth::oauth::settings::Settings;

/// Characters of a claim that are shown.
const LONGEST: usize = 120;

/// Why a token is not accepted: which claim has which value, and what it should be.
#[must_use]
pub fn explain(invalid: Invalid, token: &[u8], settings: &Settings) -> String {
    let [header, claims] = parts(token);
    let text = match invalid {
        Invalid::Shape if header.is_empty() => "it is no JWT".to_owned(),
        Invalid::Shape => {
            format!("its typ {} is not that of an access token, or it cannot be read", shown(&header, "typ"))
        }
        Invalid::Algorithm => {
            format!("its alg {} is not one of auth.oauth2.algorithms", shown(&header, "alg"))
        }
        Invalid::UnknownKey => {
            format!("no key of {:?} is called as its kid {}", settings.issuer, shown(&header, "kid"))
        }
        Invalid::Signature => {
            format!("its signature is not of the key {} of {:?}", shown(&header, "kid"), settings.issuer)
        }
        Invalid::Issuer => format!("its iss {} is not {:?}", shown(&claims, "iss"), settings.issuer),
        Invalid::Audience => format!("its aud {} is none of {:?}", shown(&claims, "aud"), settings.audiences),
        Invalid::IdToken => "it is an ID token (nonce, at_hash or c_hash), not an access token".to_owned(),
        Invalid::Untyped => format!(
            "its typ {} is not at+jwt, which is required while the client id is the only audience; \
             set http.publicURL or auth.oauth2.audiences",
            shown(&header, "typ")
        ),
        Invalid::Expired => format!("its exp {} has passed", shown(&claims, "exp")),
        Invalid::NotYet => format!("its nbf {} has not come", shown(&claims, "nbf")),
        Invalid::Claims => "it lacks exp or both sub and client_id, or one of them is malformed".to_owned(),
        Invalid::Inactive => format!("{:?} says that it is not active", settings.issuer),
    };
    let of = subject(token).map(|subject| format!(" of {subject:?}")).unwrap_or_default();
    format!("the token{of} is not accepted: {text}")
}

/// Whom a token claims to be of.
#[must_use]
pub fn subject(token: &[u8]) -> Option<String> {
    let [_, claims] = parts(token);
    let subject = ["sub", "client_id"].iter().find_map(|name| claims.get(*name)?.as_str())?;
    Some(cut(subject))
}

/// Header and claims of a JWT; empty where it is none.
fn parts(token: &[u8]) -> [Map<String, Value>; 2] {
    let text = std::str::from_utf8(token).unwrap_or_default();
    let mut parts = text.split('.');
    [parts.next(), parts.next()].map(|part| {
        part.and_then(decode).and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    })
}

fn shown(object: &Map<String, Value>, name: &str) -> String {
    object.get(name).map_or_else(|| "(absent)".to_owned(), |value| cut(&value.to_string()))
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
