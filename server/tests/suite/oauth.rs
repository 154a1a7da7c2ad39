//! Tokens of an authorization server, good and forged, and the server when that one misbehaves.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use futures::future::join_all;
use mcp_server::auth::access::{Access, Grants};
use mcp_server::auth::keyring::Key;
use mcp_server::auth::oauth::settings::Timing;
use mcp_server::auth::obtain::Obtained;
use mcp_server::dispatch::snapshot::Snapshot;
use mcp_server::observe::health::State;
use mcp_server::outbound::Client;
use mcp_server_config::{AuthMode, Introspection, OAuth2, SecretRef, ServerConfig};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::harness::{
    Connection, Response, Server, counts, eventually, modern_body, post, request, send, server, text,
};
use crate::idp::{Behaviour, Idp, RSA, Signer, encode, from_now};

const PRM: &str = "/.well-known/oauth-protected-resource";

/// Times for impatient tests.
fn timing() -> Timing {
    Timing { retry: Duration::from_millis(50), answer: Duration::from_secs(5), ..Timing::default() }
}

fn configure(config: &mut ServerConfig, issuer: &str, introspection: Option<Introspection>) {
    config.service.auth.mode = Some(AuthMode::Required);
    config.service.http.public_url = Some("https://mcp.example.com/mcp".into());
    config.service.auth.oauth2 = Some(OAuth2 {
        issuer: Some(issuer.into()),
        audiences: vec!["mcp".into()],
        required_scopes: vec!["mcp".into()],
        introspection,
        ..OAuth2::default()
    });
    config.service.auth.max_failures_per_minute = Some(100_000);
}

/// A server that accepts the tokens of an authorization server, and the key of `ci`.
async fn resource_server(idp: &Idp, timing: Timing, introspection: bool) -> Server {
    let introspection = introspection.then(|| Introspection {
        client_id: Some("mcp server".into()),
        client_secret: Some(SecretRef::from_env("UNUSED")),
        ..Introspection::default()
    });
    let server = server(|config| configure(config, &idp.issuer(), introspection)).await;
    let config = server.dispatcher.snapshot().config.clone();
    let client = Client::new(&config.service, None, &prometheus::Registry::new()).unwrap();
    let grants = Grants::new(Arc::new(client), server.dispatcher.metrics.auth.clone(), timing);
    let obtained = Obtained {
        keys: vec![Key::new("ci", "key-of-ci")],
        client_secret: Some("s:cret".to_owned().into()),
        ..Obtained::default()
    };
    let access = grants.access(&config, &obtained, None, &Access::default());
    let catalogue = server.dispatcher.backend().catalogue().borrow().clone();
    server.dispatcher.replace(Snapshot::with_access(config, access, &catalogue));
    server
}

async fn call(server: &Server, token: &str) -> Response {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "echo"),
        ("Authorization", &bearer),
    ];
    post(server.address, &headers, &modern_body(1, "tools/call", json!({"name": "echo", "arguments": {}})))
        .await
}

async fn says(server: &Server, token: &str, who: &str) {
    let response = call(server, token).await;
    assert_eq!(text(&response.result()), format!("{who}: {{}}"));
}

async fn idp_with(signer: &Signer) -> Idp {
    Idp::start(Behaviour { keys: vec![signer.jwk("k")], ..Behaviour::default() }).await
}

#[tokio::test]
async fn tokens_of_every_kind_of_key_are_accepted_and_remembered() {
    for signer in [&*RSA, &Signer::ec(), &Signer::ed()] {
        let idp = idp_with(signer).await;
        let server = resource_server(&idp, timing(), false).await;
        let token = signer.token("k", &idp.claims());
        for _ in 0..3 {
            says(&server, &token, "ada").await;
        }
        counts(&server, "mcp_server_auth_token_cache_total{outcome=\"hit\"}", 2).await;
        counts(&server, "mcp_server_auth_attempts_total{kind=\"token\",outcome=\"ok\"}", 3).await;
        assert_eq!(idp.asked("/keys"), 1);
        // A key of the server's own, at the same time.
        says(&server, "key-of-ci", "ci").await;
    }
}

#[tokio::test]
async fn no_forgery_is_accepted() {
    let other = Signer::rsa();
    let ec = Signer::ec();
    let idp = idp_with(&RSA).await;
    let mut secret = json!({"kty": "oct", "kid": "oct", "k": encode("secret")});
    let mut encryption = other.jwk("enc");
    encryption["use"] = "enc".into();
    secret["alg"] = "HS256".into();
    idp.change(|behaviour| {
        behaviour.keys.extend([secret, encryption, ec.jwk("ec"), json!({"kty": "X"}), json!(1)])
    });
    let server = resource_server(&idp, timing(), false).await;
    let good = idp.claims();
    let with = |key: &str, value: Value| {
        let mut claims = idp.claims();
        claims[key] = value;
        claims
    };
    let rs = |claims: &Value| RSA.token("k", claims);
    let hs = |kid: &str, secret: &[u8]| {
        let header = json!({"alg": "HS256", "kid": kid});
        let signed = format!("{}.{}", encode(header.to_string()), encode(good.to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", encode(tag))
    };
    let modulus = RSA.jwk("k")["n"].as_str().unwrap().to_owned();
    let unsigned = |alg: &str| {
        format!("{}.{}.", encode(json!({"alg": alg, "kid": "k"}).to_string()), encode(good.to_string()))
    };
    let token = rs(&good);
    let parts: Vec<_> = token.split('.').collect();
    let tampered = format!("{}.{}.{}", parts[0], encode(with("sub", json!("root")).to_string()), parts[2]);
    for (reason, token) in [
        ("shape", "nonsense".to_owned()),
        ("shape", "a.b.c".to_owned()),
        ("shape", format!("{token}=")),
        ("shape", format!("{token}.x")),
        ("algorithm", unsigned("none")),
        ("algorithm", unsigned("None")),
        ("algorithm", hs("k", modulus.as_bytes())),
        ("algorithm", hs("oct", b"secret")),
        ("signature", unsigned("RS256")),
        ("signature", tampered),
        ("signature", other.token("k", &good)),
        ("signature", ec.token_with(&json!({"alg": "ES256", "kid": "k"}), &good)),
        ("signature", RSA.token_with(&json!({"alg": "PS256", "kid": "k"}), &good)),
        ("unknown_key", other.token("enc", &good)),
        ("unknown_key", other.token("new", &good)),
        ("signature", other.token_with(&json!({"alg": "RS256", "kid": "k", "jwk": other.jwk("k")}), &good)),
        ("shape", RSA.token_with(&json!({"alg": "RS256", "kid": "k", "crit": ["x"], "x": 1}), &good)),
        ("shape", RSA.token_with(&json!({"alg": "RS256", "kid": "k", "typ": "logout+jwt"}), &good)),
        ("issuer", rs(&with("iss", json!("https://evil.example")))),
        ("issuer", rs(&with("iss", json!([idp.issuer()])))),
        ("issuer", rs(&with("iss", Value::Null))),
        ("audience", rs(&with("aud", json!("other")))),
        ("audience", rs(&with("aud", Value::Null))),
        ("audience", rs(&with("aud", json!({"mcp": "mcp"})))),
        ("expired", rs(&with("exp", json!(from_now(-61))))),
        ("claims", rs(&with("exp", Value::Null))),
        ("claims", rs(&with("exp", json!("tomorrow")))),
        ("claims", rs(&with("exp", json!(-1)))),
        ("not_yet", rs(&with("nbf", json!(from_now(90))))),
        ("claims", rs(&with("sub", Value::Null))),
        ("claims", rs(&with("sub", json!("a\nb")))),
    ] {
        let metric = format!("mcp_server_auth_attempts_total{{kind=\"token\",outcome=\"{reason}\"}}");
        let before = count(&server, &metric);
        let response = call(&server, &token).await;
        assert_eq!(response.refusal(), (401, 401), "{reason} {token}");
        let challenge = response.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        assert!(
            challenge.contains("resource_metadata=\"https://mcp.example.com/.well-known/"),
            "{challenge}"
        );
        assert_eq!(count(&server, &metric), before + 1, "{reason} {token}");
    }
    // Within the clock skew.
    says(&server, &rs(&with("exp", json!(from_now(-30)))), "ada").await;
    says(&server, &rs(&with("nbf", json!(from_now(30)))), "ada").await;
    says(&server, &rs(&with("aud", json!("mcp"))), "ada").await;
}

fn count(server: &Server, metric: &str) -> u64 {
    let text = server.dispatcher.metrics.render().unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(metric)?.trim().parse().ok());
    value.unwrap_or(0)
}

#[tokio::test]
async fn a_token_for_too_little_is_403_with_all_scopes() {
    let idp = idp_with(&RSA).await;
    let server = resource_server(&idp, timing(), false).await;
    let mut claims = idp.claims();
    claims["scope"] = "tools".into();
    let token = RSA.token("k", &claims);
    for _ in 0..2 {
        let response = call(&server, &token).await;
        assert_eq!(response.refusal(), (403, 403));
        let challenge = response.header("www-authenticate").unwrap();
        assert!(
            challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"mcp\""),
            "{challenge}"
        );
    }
    claims["scope"] = Value::Null;
    claims["scp"] = json!(["tools", "mcp"]);
    says(&server, &RSA.token("k", &claims), "ada").await;
}

#[tokio::test]
async fn clients_are_told_where_to_get_a_token() {
    let idp = idp_with(&RSA).await;
    let server = resource_server(&idp, timing(), false).await;
    for path in [PRM, "/.well-known/oauth-protected-resource/mcp"] {
        let response = send(server.address, "GET", path, &[("Origin", "https://anywhere.example")], "").await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        assert!(response.header("cache-control").unwrap().contains("max-age"));
        assert_eq!(response.json()["resource"], "https://mcp.example.com/mcp");
        assert_eq!(response.json()["authorization_servers"], json!([idp.issuer()]));
        assert_eq!(response.json()["scopes_supported"], json!(["mcp"]));
    }
    assert_eq!(send(server.address, "OPTIONS", PRM, &[], "").await.status, 204);
    assert_eq!(send(server.address, "GET", &format!("{PRM}/other"), &[], "").await.status, 404);
    let missing = post(server.address, &[], &modern_body(1, "ping", json!({}))).await;
    assert_eq!(missing.status, 401);
    assert_eq!(
        missing.header("www-authenticate"),
        Some(
            "Bearer resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/mcp\", scope=\"mcp\""
        )
    );
    let token = RSA.token("k", &idp.claims());
    let path = format!("/mcp?access_token={token}");
    let in_url = send(server.address, "POST", &path, &[crate::harness::JSON], "{}").await;
    assert_eq!(in_url.refusal(), (400, 400));
    assert!(!in_url.body.contains(&token));
}

#[tokio::test]
async fn a_server_with_keys_alone_does_not_speak_of_oauth() {
    let server = server(|config| config.service.auth.mode = Some(AuthMode::Required)).await;
    assert_eq!(send(server.address, "GET", PRM, &[], "").await.status, 404);
    let refused = call(&server, "nonsense").await;
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
    assert!(!challenge.contains("resource_metadata"), "{challenge}");
}

#[tokio::test]
async fn looking_for_a_stream_without_a_token_is_401_and_with_one_405() {
    let idp = idp_with(&RSA).await;
    let server = resource_server(&idp, timing(), false).await;
    let token = format!("Bearer {}", RSA.token("k", &idp.claims()));
    let challenge = "/.well-known/oauth-protected-resource/mcp";
    for (authorization, status, part) in [
        (None, "401", challenge),
        (Some("Bearer nonsense"), "401", challenge),
        (Some(&*token), "405", "allow: POST, OPTIONS"),
    ] {
        let headers: Vec<_> = authorization.map(|value| ("Authorization", value)).into_iter().collect();
        for method in ["GET", "HEAD"] {
            let mut connection = Connection::open(server.address).await;
            connection.write(request(method, "/mcp", &headers, "")).await;
            let mut head = Vec::new();
            // The answer to HEAD has no body, whatever its length says.
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                assert!(connection.stream.read_buf(&mut head).await.unwrap() > 0, "it hung up");
            }
            let head = String::from_utf8_lossy(&head);
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status} ")) && head.contains(part),
                "{method}: {head}"
            );
        }
    }
    assert_eq!(send(server.address, "DELETE", "/mcp", &[], "").await.status, 405);
}

#[tokio::test]
async fn keys_rotate_without_a_restart_and_one_that_is_taken_back_is_worth_nothing() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let idp = Idp::start(Behaviour { keys: vec![old.jwk("old")], ..Behaviour::default() }).await;
    let floor = Duration::from_millis(100);
    let server = resource_server(&idp, Timing { floor, ..timing() }, false).await;
    let (before, after) = (old.token("old", &idp.claims()), new.token("new", &idp.claims()));
    says(&server, &before, "ada").await;
    idp.change(|behaviour| behaviour.keys = vec![new.jwk("new")]);
    eventually("the new key is known", async || call(&server, &after).await.status == 200).await;
    assert_eq!(call(&server, &before).await.status, 401, "though it was remembered");
    says(&server, &after, "ada").await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_does_not_reach_the_authorization_server() {
    let idp = idp_with(&RSA).await;
    let server = resource_server(&idp, timing(), false).await;
    says(&server, &RSA.token("k", &idp.claims()), "ada").await;
    let forger = Signer::ec();
    let tokens: Vec<_> = (0..200).map(|n| forger.token(&format!("x{n}"), &idp.claims())).collect();
    let answers = join_all(tokens.iter().map(|token| call(&server, token))).await;
    assert!(answers.iter().all(|answer| answer.status == 401));
    assert_eq!(idp.asked("/keys"), 1);
}

#[tokio::test]
async fn the_last_good_keys_stay_for_a_while_and_then_nobody_is_let_in() {
    let idp = idp_with(&RSA).await;
    let (floor, refresh) = (Duration::from_millis(20), Duration::from_millis(20));
    let short = Timing {
        floor,
        refresh,
        max_age: Duration::from_secs(4),
        answer: Duration::from_millis(300),
        ..timing()
    };
    let server = resource_server(&idp, short, false).await;
    let token = RSA.token("k", &idp.claims());
    says(&server, &token, "ada").await;
    let failures = || count(&server, "mcp_server_auth_jwks_refreshes_total{outcome=\"failure\"}");
    for (status, body) in [
        (500, Bytes::new()),
        (200, Bytes::from("<html>maintenance</html>")),
        (200, Bytes::from(r#"{"keys":[]}"#)),
        (200, Bytes::from("x".repeat(2 << 20))),
    ] {
        let before = failures();
        idp.change(|behaviour| behaviour.instead = Some((status, body)));
        eventually("a fetch has failed", async || failures() > before).await;
        says(&server, &token, "ada").await;
        idp.change(|behaviour| behaviour.instead = None);
        let good = count(&server, "mcp_server_auth_jwks_refreshes_total{outcome=\"success\"}");
        let now = || count(&server, "mcp_server_auth_jwks_refreshes_total{outcome=\"success\"}");
        eventually("keys are fetched again", async || now() > good).await;
    }
    idp.change(|behaviour| behaviour.delay = Duration::from_secs(60));
    eventually("the keys are too old", async || call(&server, &token).await.status == 503).await;
    let response = call(&server, &token).await;
    assert_eq!(response.refusal(), (503, 503));
    assert!(response.header("retry-after").is_some());
    says(&server, "key-of-ci", "ci").await;
}

#[tokio::test]
async fn a_server_starts_without_its_authorization_server() {
    let idp = Idp::start(Behaviour { instead: Some((503, Bytes::new())), ..Behaviour::default() }).await;
    let server = resource_server(&idp, Timing { floor: Duration::from_millis(50), ..timing() }, false).await;
    let token = RSA.token("k", &idp.claims());
    assert_eq!(call(&server, &token).await.status, 503);
    says(&server, "key-of-ci", "ci").await;
    idp.change(|behaviour| {
        behaviour.instead = None;
        behaviour.keys = vec![RSA.jwk("k")];
    });
    eventually("the keys are there", async || call(&server, &token).await.status == 200).await;
}

#[tokio::test]
async fn metadata_that_lie_are_not_believed() {
    let elsewhere = idp_with(&RSA).await;
    for lie in
        [json!({"issuer": "https://evil.example"}), json!({"jwks_uri": elsewhere.upstream.url("/keys")})]
    {
        let idp = idp_with(&RSA).await;
        idp.change(|behaviour| behaviour.metadata = lie.clone());
        let server = resource_server(&idp, timing(), false).await;
        assert_eq!(call(&server, &RSA.token("k", &idp.claims())).await.status, 503, "{lie}");
    }
    assert_eq!(elsewhere.asked("/keys"), 0, "a private address that was only learned is not asked");
}

#[tokio::test]
async fn opaque_tokens_are_asked_about_once() {
    let idp = idp_with(&RSA).await;
    let mut active = idp.claims();
    active["active"] = true.into();
    idp.change(|behaviour| {
        behaviour.introspection = Some((200, active.clone()));
        behaviour.delay = Duration::from_millis(100);
    });
    let server = resource_server(&idp, timing(), true).await;
    eventually("the endpoint is known", async || call(&server, "first").await.status == 200).await;
    let before = idp.asked("/introspect");
    let answers = join_all((0..20).map(|_| call(&server, "opaque+1"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(idp.asked("/introspect"), before + 1);
    let question = idp.upstream.seen.last();
    assert_eq!(&question.body()[..], b"token=opaque%2B1&token_type_hint=access_token");
    // base64 of "mcp%20server:s%3Acret"
    assert_eq!(question.headers()["authorization"], "Basic bWNwJTIwc2VydmVyOnMlM0FjcmV0");
    // A JWT needs no question.
    says(&server, &RSA.token("k", &idp.claims()), "ada").await;
    assert_eq!(idp.asked("/introspect"), before + 1);

    idp.change(|behaviour| behaviour.introspection = Some((200, json!({"active": false}))));
    for _ in 0..3 {
        assert_eq!(call(&server, "revoked").await.refusal(), (401, 401));
    }
    assert_eq!(idp.asked("/introspect"), before + 2, "that it is not active is remembered, too");
    active["aud"] = json!("other");
    idp.change(|behaviour| behaviour.introspection = Some((200, active.clone())));
    assert_eq!(call(&server, "of-others").await.status, 401);
}

#[tokio::test]
async fn nobody_is_let_in_unasked() {
    let idp = idp_with(&RSA).await;
    let breather = Duration::ZERO;
    let short = Timing { answer: Duration::from_millis(300), breather, ..timing() };
    let server = resource_server(&idp, short, true).await;
    let active = json!({"active": true, "sub": "ada", "aud": "mcp", "scope": "mcp"});
    idp.change(|behaviour| behaviour.introspection = Some((200, active.clone())));
    eventually("the endpoint is known", async || call(&server, "a").await.status == 200).await;
    for (status, answer) in
        [(500, json!({})), (401, json!({})), (200, json!([])), (200, json!({"active": "yes"}))]
    {
        idp.change(|behaviour| behaviour.introspection = Some((status, answer.clone())));
        let response = call(&server, &format!("b-{status}-{answer}").replace('"', "")).await;
        assert_eq!(response.refusal(), (503, 503), "{status} {answer}");
    }
    idp.change(|behaviour| {
        behaviour.introspection = Some((200, active.clone()));
        behaviour.delay = Duration::from_secs(60);
    });
    assert_eq!(call(&server, "c").await.status, 503);
    says(&server, "a", "ada").await;
}

#[tokio::test]
async fn an_odd_answer_about_one_token_refuses_that_token_only() {
    let idp = idp_with(&RSA).await;
    let active = json!({"active": true, "sub": "ada", "aud": "mcp", "scope": "mcp"});
    idp.change(|behaviour| behaviour.introspection = Some((200, active)));
    let short = Timing { answer: Duration::from_millis(500), ..timing() };
    let server = resource_server(&idp, short, true).await;
    eventually("the endpoint is known", async || call(&server, "first").await.status == 200).await;
    let odd = [
        (400, r#"{"error": "invalid_request"}"#, Duration::ZERO),
        (200, "<html>please wait</html>", Duration::ZERO),
        (200, "", Duration::from_secs(60)),
    ];
    for (n, odd) in odd.into_iter().enumerate() {
        idp.change(|behaviour| behaviour.odd = Some(odd));
        let (one, other) = (format!("odd-{n}"), format!("good-{n}"));
        let (refused, meanwhile) = tokio::join!(call(&server, &one), call(&server, &other));
        assert_eq!((refused.refusal(), meanwhile.status), ((503, 503), 200), "{odd:?}");
        says(&server, &format!("good-{n}-afterwards"), "ada").await;
    }
    let oauth = server.dispatcher.snapshot().auth.access.oauth.clone().unwrap();
    assert_eq!(oauth.told().state, State::Healthy, "{:?}", oauth.told());

    let before = idp.asked("/introspect");
    idp.change(|behaviour| behaviour.odd = Some((500, "", Duration::ZERO)));
    for n in 0..20 {
        assert_eq!(call(&server, &format!("odd-of-several-{n}")).await.status, 503);
    }
    assert!(
        idp.asked("/introspect") < before + 20,
        "a server that answers nobody is left alone for a moment"
    );
    assert_eq!(oauth.told().state, State::Unhealthy);
    eventually("it is asked again", async || call(&server, "good-in-the-end").await.status == 200).await;
    assert_eq!(oauth.told().state, State::Healthy);
}

#[tokio::test]
async fn an_id_token_is_no_access_token() {
    let idp = idp_with(&RSA).await;
    let server = resource_server(&idp, timing(), false).await;
    says(&server, &RSA.token("k", &idp.claims()), "ada").await;
    let mut claims = idp.claims();
    claims.as_object_mut().unwrap().remove("scope");
    for (name, value) in
        [("at_hash", "x"), ("c_hash", "x"), ("nonce", "x"), ("typ", "ID"), ("token_use", "id")]
    {
        let mut id_token = claims.clone();
        id_token[name] = value.into();
        let refused = call(&server, &RSA.token("k", &id_token)).await;
        assert_eq!(refused.status, 401, "{name}");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.contains("it is an ID token; send an access token"), "{challenge}");
    }
    // Keycloak wrote a nonce into access tokens.
    let mut of_keycloak = idp.claims();
    of_keycloak["nonce"] = "x".into();
    of_keycloak["typ"] = "Bearer".into();
    says(&server, &RSA.token("k", &of_keycloak), "ada").await;
}

#[tokio::test]
async fn with_the_client_id_for_an_audience_a_jwt_has_to_say_that_it_is_an_access_token() {
    let idp = idp_with(&RSA).await;
    let server = resource_server(&idp, timing(), true).await;
    let mut config = (*server.dispatcher.snapshot().config).clone();
    config.service.http.public_url = None;
    config.service.auth.oauth2.as_mut().unwrap().audiences.clear();
    let config = Arc::new(config);
    let client = Client::new(&config.service, None, &prometheus::Registry::new()).unwrap();
    let grants = Grants::new(Arc::new(client), server.dispatcher.metrics.auth.clone(), timing());
    let obtained = Obtained { client_secret: Some("s:cret".to_owned().into()), ..Obtained::default() };
    let access = grants.access(&config, &obtained, None, &Access::default());
    let catalogue = server.dispatcher.backend().catalogue().borrow().clone();
    server.dispatcher.replace(Snapshot::with_access(config, access, &catalogue));
    let mut claims = idp.claims();
    claims["aud"] = "mcp server".into();
    let refused = call(&server, &RSA.token("k", &claims)).await;
    assert_eq!(refused.status, 401);
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains("at+jwt"), "{challenge}");
    let typed = RSA.token_with(&json!({"alg": "RS256", "kid": "k", "typ": "at+jwt"}), &claims);
    says(&server, &typed, "ada").await;
}
