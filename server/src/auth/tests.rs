use http::HeaderValue;

use super::*;
use crate::auth::keyring::{Key, Keyring};

fn policy(mode: AuthMode) -> Policy {
    let keys = vec![Key::new("ci", "secret-of-ci"), Key::new("ops", "secret-of-ops")];
    Policy { mode, access: Access::of_keys(Keyring::new(&keys)), metadata: None }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

async fn identify(
    policy: &Policy,
    pairs: &[(&'static str, &'static str)],
    failures: &Failures,
) -> Result<Option<String>, Refusal> {
    let uri = Uri::from_static("/mcp");
    let address = IpAddr::from([192, 0, 2, 1]);
    let identified = policy.identify(&uri, &headers(pairs), address, failures, &AuthMetrics::default()).await;
    identified.map(|principal| principal.map(|principal| principal.id.to_string()))
}

#[tokio::test]
async fn who_is_let_in() {
    let ci = || Ok(Some("ci".to_owned()));
    let malformed = || Err(Refusal::Unreadable(Unreadable::Malformed));
    let scheme = || Err(Refusal::Unreadable(Unreadable::Scheme));
    for (pairs, required, optional) in [
        (&[][..], Err(Refusal::Missing), Ok(None)),
        (&[("authorization", "Bearer secret-of-ci")], ci(), ci()),
        (&[("x-api-key", "secret-of-ci")], ci(), ci()),
        (&[("x-api-key", "secret-of-ci"), ("authorization", "Bearer secret-of-ci")], ci(), ci()),
        (
            &[("x-api-key", "secret-of-ops"), ("authorization", "Bearer secret-of-ci")],
            malformed(),
            malformed(),
        ),
        (&[("authorization", "Bearer secret-of-c")], Err(Refusal::Wrong), Err(Refusal::Wrong)),
        (&[("x-api-key", "nonsense")], Err(Refusal::Wrong), Err(Refusal::Wrong)),
        (&[("authorization", "Basic Y2k6c2VjcmV0")], scheme(), scheme()),
        (&[("x-api-key", "")], malformed(), malformed()),
    ] {
        let failures = Failures::new(100);
        assert_eq!(identify(&policy(AuthMode::Required), pairs, &failures).await, required, "{pairs:?}");
        assert_eq!(identify(&policy(AuthMode::Optional), pairs, &failures).await, optional, "{pairs:?}");
        assert_eq!(identify(&policy(AuthMode::Disabled), pairs, &failures).await, Ok(None), "{pairs:?}");
    }
}

#[tokio::test]
async fn no_keys_let_nobody_in() {
    let policy = Policy { mode: AuthMode::Required, ..Policy::open() };
    let refused = identify(&policy, &[("x-api-key", "anything")], &Failures::new(1)).await;
    assert_eq!(refused, Err(Refusal::Wrong));
}

#[tokio::test]
async fn a_guess_learns_nothing_and_locks_out_neither_a_proven_nor_a_long_key() {
    let mut policy = policy(AuthMode::Required);
    let long = "fedcba9876543210fedcba9876543210";
    let keys = [Key::new("ci", "secret-of-ci"), Key::new("ops", "secret-of-ops"), Key::new("long", long)];
    policy.access = Access::of_keys(Keyring::new(&keys));
    let failures = Failures::new(3);
    let (wrong, ci) = (&[("x-api-key", "guess")], &[("x-api-key", "secret-of-ci")]);
    assert_eq!(identify(&policy, ci, &failures).await, Ok(Some("ci".to_owned())));
    for _ in 0..3 {
        assert_eq!(identify(&policy, wrong, &failures).await, Err(Refusal::Wrong));
    }
    let long_guess = &[("x-api-key", "00000000000000000000000000000000000")];
    for guess in [&wrong[..], &[("x-api-key", "secret-of-ops")], long_guess] {
        let refused = identify(&policy, guess, &failures).await;
        assert!(matches!(refused, Err(Refusal::TooMany(_))), "{refused:?}");
    }
    assert_eq!(
        identify(&policy, ci, &failures).await,
        Ok(Some("ci".to_owned())),
        "proven before the guesses"
    );
    let long = identify(&policy, &[("x-api-key", long)], &failures).await;
    assert_eq!(long, Ok(Some("long".to_owned())), "too long to be a guess");
    // Saying nothing is no guess.
    assert_eq!(identify(&policy, &[], &failures).await, Err(Refusal::Missing));
}

#[test]
fn a_refusal_of_a_key_says_the_same_whatever_is_wrong_with_it() {
    let policy = policy(AuthMode::Required);
    let (wrong, expired) = (policy.deny(Refusal::Wrong), policy.deny(Refusal::Expired));
    assert_eq!(wrong.fault.message, expired.fault.message);
    assert_eq!(wrong.challenge, expired.challenge);
    assert_eq!(wrong.fault.code, expired.fault.code);
    assert_ne!(Refusal::Wrong.reason(), Refusal::Expired.reason());
}
