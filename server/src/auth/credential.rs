//! What a caller presents, from its headers.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};

/// The other header that carries a key, without a scheme.
pub const API_KEY_HEADER: &str = "x-api-key";

/// One secret that a caller presents.
#[derive(Clone, Copy)]
pub struct Presented<'h> {
    pub secret: &'h [u8],
    /// Sent as `Authorization: Bearer`, where alone tokens are looked for.
    pub bearer: bool,
}

// A secret is not shown.
impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented").field("bearer", &self.bearer).finish_non_exhaustive()
    }
}

/// Why nothing can be made of what a caller presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A scheme that is not spoken here.
    Scheme,
    /// Not one secret, or none at all.
    Malformed,
    /// In the URL, where logs and histories keep it (RFC 6750, section 5.3).
    InUrl,
}

/// The one secret that a caller presents.
///
/// # Errors
/// Where it cannot be told which that is.
pub fn presented<'h>(uri: &Uri, headers: &'h HeaderMap) -> Result<Option<Presented<'h>>, Unreadable> {
    if uri.query().is_some_and(names_token) {
        return Err(Unreadable::InUrl);
    }
    let mut found: Option<Presented<'h>> = None;
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| Ok((bearer(value.as_bytes())?, true)));
    let plain =
        headers.get_all(API_KEY_HEADER).iter().map(|value| Ok((value.as_bytes().trim_ascii(), false)));
    for one in bearers.chain(plain) {
        let (secret, bearer) = one?;
        if secret.is_empty() {
            return Err(Unreadable::Malformed);
        }
        match &mut found {
            None => found = Some(Presented { secret, bearer }),
            // The same secret twice is odd but clear; two are not: which one is the caller?
            Some(earlier) if earlier.secret == secret => earlier.bearer |= bearer,
            Some(_) => return Err(Unreadable::Malformed),
        }
    }
    Ok(found)
}

/// The token of the scheme `Bearer`, which is written in any case (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Result<&[u8], Unreadable> {
    match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => Ok(token.trim_ascii()),
        _ if value.trim_ascii().eq_ignore_ascii_case(b"bearer") || value.is_empty() => {
            Err(Unreadable::Malformed)
        }
        _ => Err(Unreadable::Scheme),
    }
}

fn names_token(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some("access_token"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(uri: &str, pairs: &[(&'static str, &'static str)]) -> Result<Option<(String, bool)>, Unreadable> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let shown = |presented: Presented<'_>| {
            (String::from_utf8_lossy(presented.secret).into_owned(), presented.bearer)
        };
        presented(&uri.parse().unwrap(), &headers).map(|presented| presented.map(shown))
    }

    #[test]
    fn one_secret_or_none() {
        let k = |bearer| Ok(Some(("k".to_owned(), bearer)));
        for (pairs, expected) in [
            (&[][..], Ok(None)),
            (&[("authorization", "Bearer k")], k(true)),
            (&[("authorization", "bEARER  k ")], k(true)),
            (&[("x-api-key", "k")], k(false)),
            (&[("x-api-key", "k"), ("authorization", "Bearer k")], k(true)),
            (&[("x-api-key", "j"), ("authorization", "Bearer k")], Err(Unreadable::Malformed)),
            (&[("authorization", "Bearer j"), ("authorization", "Bearer k")], Err(Unreadable::Malformed)),
            (&[("authorization", "Basic Y2k6c2VjcmV0")], Err(Unreadable::Scheme)),
            (&[("authorization", "k")], Err(Unreadable::Scheme)),
            (&[("authorization", "Bearer ")], Err(Unreadable::Malformed)),
            (&[("authorization", "Bearer")], Err(Unreadable::Malformed)),
            (&[("authorization", "")], Err(Unreadable::Malformed)),
            (&[("x-api-key", "")], Err(Unreadable::Malformed)),
        ] {
            assert_eq!(of("/mcp", pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_token_in_the_url_is_refused_whatever_else_is_sent() {
        let header = [("authorization", "Bearer k")];
        assert_eq!(of("/mcp?access_token=k", &[]), Err(Unreadable::InUrl));
        assert_eq!(of("/mcp?a=b&access_token=k", &header), Err(Unreadable::InUrl));
        assert!(of("/mcp?my_access_token=k", &header).is_ok());
    }
}
