//! Secrets stay out of the log, whoever lets them slip: what the process holds as a secret, what stands behind `Bearer`
//! and `Basic`, and what a URL says in front of its host.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use mcp_server_config::secret::REDACTED;
use secrecy::{ExposeSecret as _, SecretString};

/// Shorter ones would take ordinary words out of the log.
const SHORTEST: usize = 6;
/// More secrets than this are not looked for.
const MOST: usize = 4096;

static KNOWN: LazyLock<ArcSwap<Vec<SecretString>>> = LazyLock::new(ArcSwap::default);

/// From now on this text is not logged by anybody. Once known, a secret is never forgotten: a key that was replaced may
/// still be somebody's elsewhere.
pub fn learn(secret: &str) {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        return;
    }
    KNOWN.rcu(|known| {
        if known.len() >= MOST || known.iter().any(|other| other.expose_secret() == secret) {
            return known.clone();
        }
        let mut more: Vec<SecretString> = known.as_ref().clone();
        more.push(SecretString::from(secret));
        // The longest first: one may be a part of another.
        more.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        Arc::new(more)
    });
}

/// The text without secrets.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    let mut cleaned = Cow::Borrowed(text);
    for secret in KNOWN.load().iter() {
        if memchr::memmem::find(cleaned.as_bytes(), secret.expose_secret().as_bytes()).is_some() {
            cleaned = Cow::Owned(cleaned.replace(secret.expose_secret(), REDACTED));
        }
    }
    let mut from = 0;
    while let Some(found) = user_information(&cleaned, from) {
        from = found.start + REDACTED.len();
        cleaned.to_mut().replace_range(found, REDACTED);
    }
    for scheme in ["bearer", "basic"] {
        let mut from = 0;
        while let Some(found) = credential(&cleaned, scheme, from) {
            from = found.start + REDACTED.len();
            cleaned.to_mut().replace_range(found, REDACTED);
        }
    }
    cleaned
}

/// What stands in front of the host of the next URL that has such.
fn user_information(text: &str, mut from: usize) -> Option<Range<usize>> {
    loop {
        let begin = from + text.get(from..)?.find("://")? + 3;
        let authority = &text[begin..];
        let end = authority.find(|c: char| "/?#\"'<>".contains(c) || c.is_whitespace());
        if let Some(at) = authority[..end.unwrap_or(authority.len())].rfind('@') {
            return Some(begin..begin + at);
        }
        from = begin;
    }
}

/// What follows the next name of an authentication scheme and looks like a credential.
fn credential(text: &str, scheme: &str, mut from: usize) -> Option<Range<usize>> {
    loop {
        let at = find_ignoring_case(text, scheme, from)?;
        from = at + scheme.len();
        let rest = &text[from..];
        let blanks = rest.len() - rest.trim_start_matches([' ', ':']).len();
        let token = &rest[blanks..];
        let length = token.find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/=".contains(c)));
        let token = &token[..length.unwrap_or(token.len())];
        if blanks > 0 && is_credential(token) {
            return Some(from + blanks..from + blanks + token.len());
        }
    }
}

/// "Bearer tokens are missing" and "basic rules" are words; `eyJhbGciOi` and `dXNlcjpwYXNz` are none.
fn is_credential(token: &str) -> bool {
    let odd = |c: char| c.is_ascii_digit() || "_~+/=".contains(c);
    let capital_inside = || token.chars().skip(1).any(|c| c.is_ascii_uppercase());
    token.len() >= 16 || (token.len() >= SHORTEST && (token.contains(odd) || capital_inside()))
}

fn find_ignoring_case(text: &str, word: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes().get(from..)?;
    let found = bytes.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word.as_bytes()));
    found.map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_secret_by_its_place() {
        for (text, expected) in [
            ("redis://user:pa55@host:6379/0 is down", "redis://[redacted]@host:6379/0 is down"),
            ("https://host/a@b", "https://host/a@b"),
            ("https://a@b@host/x, https://u:p@other", "https://[redacted]@host/x, https://[redacted]@other"),
            ("Authorization: Bearer abc123def", "Authorization: Bearer [redacted]"),
            (
                "{\"authorization\":\"bearer eyJhbGciOiJIUzI1NiJ9.e30.x\"}",
                "{\"authorization\":\"bearer [redacted]\"}",
            ),
            ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
            ("Bearer tokens are missing", "Bearer tokens are missing"),
            ("a basic rule, the bearer", "a basic rule, the bearer"),
            ("://", "://"),
            ("grüße ://é@ü", "grüße ://[redacted]@ü"),
        ] {
            assert_eq!(clean(text), expected);
            assert_eq!(clean(expected), expected, "once is enough");
        }
        assert!(matches!(clean("nothing here"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_known_to_be_a_secret() {
        learn("scrub-canary");
        learn("scrub-canary-longer");
        learn("ab");
        assert_eq!(clean("x scrub-canary-longer y scrub-canary z ab"), "x [redacted] y [redacted] z ab");
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd(text in "(://|@|Bearer |basic:|/| |é|a1b2c3d4){0,12}") {
            let cleaned = clean(&text).into_owned();
            proptest::prop_assert!(!cleaned.contains("Bearer a1b2c3d4"), "{cleaned}");
        }
    }
}
