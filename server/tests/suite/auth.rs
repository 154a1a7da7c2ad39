//! API keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use mcp_server::auth::access::Access;
use mcp_server::auth::fingerprint::Fingerprint;
use mcp_server::auth::keyring::{Key, Keyring};
use mcp_server::auth::keys_file;
use mcp_server::auth::rules::Rules;
use mcp_server::dispatch::snapshot::Snapshot;
use mcp_server_config::compile::compile_rules;
use mcp_server_config::{AuthMode, Rule};
use serde_json::{Value, json};

use crate::harness::{Connection, Server, counts, modern_body, post, request, send, server, text};
use crate::process::{Served, program, run, stderr, stdout};

const HEADERS: [(&str, &str); 3] =
    [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "echo")];

fn body() -> String {
    modern_body(1, "tools/call", json!({"name": "echo", "arguments": {}}))
}

const TAKES_KEYS: &str =
    "this server takes API keys, not OAuth: send one as Authorization: Bearer <key> or X-API-Key: <key>";

#[tokio::test]
async fn a_missing_or_wrong_key_is_401_and_names_no_authorization_server() {
    let server = server(|config| config.service.auth.mode = Some(AuthMode::Required)).await;
    let (missing, wrong) = (
        &*format!("Bearer error_description=\"{TAKES_KEYS}\""),
        &*format!("Bearer error=\"invalid_token\", error_description=\"{TAKES_KEYS}\""),
    );
    for (key, challenge) in [
        (None, missing),
        (Some(("Authorization", "Bearer nonsense")), wrong),
        (Some(("X-API-Key", "key-of-c")), wrong),
        (Some(("Authorization", "Basic eDp5")), missing),
    ] {
        let headers: Vec<_> = HEADERS.into_iter().chain(key).collect();
        let response = post(server.address, &headers, &body()).await;
        assert_eq!(response.refusal(), (401, 401), "{key:?}");
        assert_eq!(response.header("www-authenticate"), Some(challenge));
        assert!(!response.body.contains("resource_metadata"));
        assert_eq!(response.json().get("id"), Some(&Value::Null), "the body was not read");
    }
    for (reason, times) in [("missing", 1), ("wrong", 2), ("malformed", 1)] {
        counts(&server, &format!("mcp_server_auth_failures_total{{reason=\"{reason}\"}}"), times).await;
    }
}

#[tokio::test]
async fn a_key_is_taken_from_either_header_and_names_the_caller() {
    let server = server(|config| config.service.auth.mode = None).await;
    for (key, principal) in [
        (("Authorization", "Bearer key-of-ci"), "ci: {}"),
        (("authorization", "bearer key-of-ops"), "ops: {}"),
        (("X-API-Key", "key-of-ops"), "ops: {}"),
    ] {
        let headers: Vec<_> = HEADERS.into_iter().chain([key]).collect();
        assert_eq!(text(&post(server.address, &headers, &body()).await.result()), principal, "{key:?}");
    }
}

#[tokio::test]
async fn optional_lets_in_without_a_key_but_not_with_a_wrong_one() {
    let server = server(|config| config.service.auth.mode = Some(AuthMode::Optional)).await;
    assert_eq!(text(&post(server.address, &HEADERS, &body()).await.result()), "nobody: {}");
    let with = |key| HEADERS.into_iter().chain([("X-API-Key", key)]).collect::<Vec<_>>();
    assert_eq!(text(&post(server.address, &with("key-of-ci"), &body()).await.result()), "ci: {}");
    assert_eq!(post(server.address, &with("nonsense"), &body()).await.status, 401);
}

#[tokio::test]
async fn disabled_does_not_look_at_keys() {
    let server = server(|_| {}).await;
    let headers: Vec<_> = HEADERS.into_iter().chain([("X-API-Key", "nonsense")]).collect();
    assert_eq!(text(&post(server.address, &headers, &body()).await.result()), "nobody: {}");
}

/// What the TypeScript SDK does after a 401: it looks for metadata, then for those of the server as an authorization
/// server, then registers; of the last answer it shows `error_description`.
#[tokio::test]
async fn an_oauth_client_is_told_that_keys_are_taken_wherever_it_looks() {
    let server = server(|config| config.service.auth.mode = None).await;
    for (method, path) in [
        ("GET", "/.well-known/oauth-protected-resource"),
        ("GET", "/.well-known/oauth-protected-resource/mcp"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("GET", "/.well-known/oauth-authorization-server/mcp"),
        ("GET", "/.well-known/openid-configuration"),
        ("GET", "/mcp/.well-known/openid-configuration"),
        ("POST", "/register"),
        ("POST", "/token"),
        ("GET", "/authorize"),
    ] {
        let response =
            send(server.address, method, path, &[("Origin", "https://inspector.example")], "{}").await;
        assert_eq!(response.status, 404, "{path}");
        assert_eq!(response.json(), json!({"error": "invalid_request", "error_description": TAKES_KEYS}));
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        assert_eq!(send(server.address, "OPTIONS", path, &[], "").await.status, 204);
    }
    for method in ["GET", "DELETE"] {
        let response = send(server.address, method, "/mcp", &[], "").await;
        assert_eq!(response.status, 405);
        let description = response.json()["error_description"].as_str().unwrap().to_owned();
        assert!(description.contains(method) && description.ends_with(TAKES_KEYS), "{description}");
    }
}

#[tokio::test]
async fn a_server_that_takes_nothing_does_not_speak_of_keys() {
    let server = server(|_| {}).await;
    let response = send(server.address, "POST", "/register", &[], "{}").await;
    assert_eq!(response.refusal(), (404, 404));
    assert_eq!(send(server.address, "GET", "/mcp", &[], "").await.status, 405);
}

#[tokio::test]
async fn a_caller_is_refused_before_its_body_is_read() {
    let server = server(|config| config.service.auth.mode = None).await;
    let mut connection = Connection::open(server.address).await;
    let head =
        request("POST", "/mcp", &[("Content-Type", "application/json"), ("Content-Length", "1000000")], "");
    connection.write(head).await;
    assert_eq!(connection.read().await.unwrap().status, 401, "though not a byte of the body was sent");
}

#[tokio::test]
async fn legacy_clients_need_a_key_for_their_handshake_too() {
    let server = server(|config| config.service.auth.mode = None).await;
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}).to_string();
    assert_eq!(post(server.address, &[], &initialize).await.status, 401);
    assert_eq!(post(server.address, &[("X-API-Key", "key-of-ci")], &initialize).await.status, 200);
}

#[tokio::test]
async fn credentials_that_cannot_be_read_are_400() {
    let server = server(|config| config.service.auth.mode = None).await;
    for pair in [("Authorization", "Bearer "), ("X-API-Key", "")] {
        let headers: Vec<_> = HEADERS.into_iter().chain([pair]).collect();
        let response = post(server.address, &headers, &body()).await;
        assert_eq!(response.refusal(), (400, 400), "{pair:?}");
        let challenge = response.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer error=\"invalid_request\""), "{challenge}");
    }
}

#[tokio::test]
async fn a_caller_that_guesses_has_to_wait() {
    let server = server(|config| {
        config.service.auth.mode = None;
        config.service.auth.max_failures_per_minute = Some(3);
    })
    .await;
    let with = |key| HEADERS.into_iter().chain([("X-API-Key", key)]).collect::<Vec<_>>();
    for _ in 0..3 {
        assert_eq!(post(server.address, &with("guess"), &body()).await.status, 401);
    }
    for key in ["guess", "key-of-ci"] {
        let response = post(server.address, &with(key), &body()).await;
        assert_eq!(response.refusal(), (429, 429), "{key}");
        let wait: u64 = response.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
        assert!(response.header("www-authenticate").is_none());
    }
    assert_eq!(post(server.address, &HEADERS, &body()).await.status, 401, "saying nothing is no guess");
}

#[tokio::test]
async fn wrong_keys_do_not_lock_out_a_key_that_worked() {
    let server = server(|config| config.service.auth.mode = None).await;
    let with = |key| HEADERS.into_iter().chain([("X-API-Key", key)]).collect::<Vec<_>>();
    let status = async |key| post(server.address, &with(key), &body()).await.status;
    assert_eq!(status("key-of-ci").await, 200);
    for _ in 0..30 {
        assert_eq!(status("guess").await, 401);
    }
    for _ in 0..5 {
        assert_eq!(status("guess").await, 429);
        assert_eq!(status("key-of-ci").await, 200);
    }
    assert_eq!(status("key-of-ops").await, 429, "right, but it may be a guess");
}

#[tokio::test]
async fn a_generated_key_works_behind_a_proxy_where_others_guess() {
    let home = tempfile::tempdir().unwrap();
    let config = r#"{"auth": {"apiKeys": {"file": "keys.json"}}, "tools": [{"name": "t", "text": "yes"}]}"#;
    fs::write(home.path().join("config.json"), config).unwrap();
    let added = run(home.path(), &["keys", "--file", "keys.json", "add", "ci"]);
    let served = Served::start(home.path(), &["--config", "config.json"]);
    let call = |key: &str| run(home.path(), &["call", "t", "--url", &served.url(), "--key", key]);
    for _ in 0..40 {
        let status = post(served.address, &[("X-API-Key", "guess")], &body()).await.status;
        assert!([401, 429].contains(&status), "{status}");
    }
    let called = call(stdout(&added).trim());
    assert_eq!(stdout(&called), "yes\n", "{}", stderr(&called));
}

/// A server with rules, and the keys of `ci` and `ops`.
async fn server_with_rules(rules: Value) -> Server {
    let rules: Vec<Rule> = serde_json::from_value(rules).unwrap();
    let server = server(|config| config.service.auth.mode = None).await;
    let config = server.dispatcher.snapshot().config.clone();
    let keys = Keyring::new(&[Key::new("ci", "key-of-ci"), Key::new("ops", "key-of-ops")]);
    let access = Access { rules: Rules::new(compile_rules(&rules).unwrap()), ..Access::of_keys(keys) };
    let catalogue = server.dispatcher.backend().catalogue().borrow().clone();
    server.dispatcher.replace(Snapshot::with_access(config, access, &catalogue));
    server
}

#[tokio::test]
async fn tools_that_a_caller_may_not_call_do_not_exist_for_it() {
    let server = server_with_rules(json!([
        {"principals": ["ops"], "allow": ["*"]},
        {"principals": ["ci"], "allow": ["e*", "mirrored"]},
        {"principals": ["ci"], "allow": ["large"], "when": "args.size == 1"},
        {"deny": ["panic", "mirrored"]},
    ]))
    .await;
    let names = async |key: &str| {
        let headers =
            [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list"), ("X-API-Key", key)];
        let list = post(server.address, &headers, &modern_body(1, "tools/list", json!({}))).await.result();
        assert_eq!(list["cacheScope"], "private");
        let tools = list["tools"].as_array().unwrap().iter();
        tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("key-of-ci").await, ["echo", "large"]);
    let of_ops = names("key-of-ops").await;
    assert!(of_ops.contains(&"wait".to_owned()) && !of_ops.contains(&"panic".to_owned()), "{of_ops:?}");

    let call = async |tool: &str, arguments: Value| {
        let headers = [
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", tool),
            ("X-API-Key", "key-of-ci"),
        ];
        let body = modern_body(1, "tools/call", json!({"name": tool, "arguments": arguments}));
        post(server.address, &headers, &body).await
    };
    assert_eq!(text(&call("echo", json!({})).await.result()), "ci: {}");
    let unknown = call("nowhere", json!({})).await;
    for hidden in ["wait", "panic", "mirrored"] {
        let refused = call(hidden, json!({"region": "x"})).await;
        assert_eq!(refused.status, unknown.status);
        assert_eq!(refused.body, unknown.body.replace("nowhere", hidden), "as if it did not exist");
    }
    assert!(call("large", json!({"size": 1})).await.json().get("error").is_none());
    let refused = call("large", json!({"size": 2})).await;
    assert!(refused.body.contains("may not be called with these arguments"), "{refused:?}");
}

#[test]
fn keys_are_managed_without_an_editor_while_the_server_runs() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.json");
    fs::write(
        &config,
        json!({"auth": {"apiKeys": {"file": "keys.json"}}, "tools": [{"name": "t", "text": "yes"}]})
            .to_string(),
    )
    .unwrap();
    let keys = |more: &[&str]| run(home.path(), &[&["keys", "--config", "config.json"][..], more].concat());
    let added = keys(&["add", "ci", "--scope", "read", "--expires", "90d"]);
    let key = stdout(&added).trim().to_owned();
    assert_eq!(key.len(), 43, "{}", stderr(&added));
    let file = home.path().join("keys.json");
    assert!(!fs::read_to_string(&file).unwrap().contains(&key));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(keys(&["add", "ci"]).status.code(), Some(1), "the id is taken");
    assert!(stdout(&keys(&["list"])).contains("ci  sha256"));
    assert_eq!(run(home.path(), &["keys", "list"]).status.code(), Some(2), "which file?");

    let served = Served::start(home.path(), &["--config", "config.json"]);
    let call = |key: &str| run(home.path(), &["call", "t", "--url", &served.url(), "--key", key]);
    assert_eq!(stdout(&call(&key)), "yes\n");
    let other = stdout(&keys(&["add", "other", "--requests-per-minute", "6"])).trim().to_owned();
    served.logged("the changed API keys are in force");
    let called = call(&other);
    assert_eq!(stdout(&called), "yes\n", "{}", stderr(&called));
    assert_eq!(keys(&["revoke", "ci"]).status.code(), Some(0));
    let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
    while call(&key).status.success() {
        assert!(std::time::Instant::now() < deadline, "a revoked key is still good");
    }
    assert!(!served.log().contains(&key));
}

#[test]
fn keys_that_are_added_at_the_same_time_are_all_kept() {
    const COUNT: usize = 24;
    let home = tempfile::tempdir().unwrap();
    let adding: Vec<_> = (0..COUNT)
        .map(|n| {
            let id = format!("id-{n}");
            let mut command = program(home.path());
            command.args(["keys", "--file", "keys.json", "add", &id]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let printed: Vec<_> = adding
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
            stdout(&output).trim().to_owned()
        })
        .collect();
    let kept = keys_file::parse(&fs::read_to_string(home.path().join("keys.json")).unwrap()).unwrap();
    assert_eq!(kept.len(), COUNT);
    for key in printed {
        let fingerprint = Fingerprint::of(key.as_bytes());
        assert!(kept.iter().any(|kept| kept.fingerprint == fingerprint), "a printed key is not in the file");
    }
}
