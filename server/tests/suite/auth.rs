//! API keys.

use mcp_server_config::AuthMode;
use serde_json::json;

use crate::harness::{Connection, counts, modern_body, post, request, server, text};

const HEADERS: [(&str, &str); 3] =
    [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "echo")];

fn body() -> String {
    modern_body(1, "tools/call", json!({"name": "echo", "arguments": {}}))
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_401_without_a_word_of_oauth() {
    let server = server(|config| config.service.auth.mode = Some(AuthMode::Required)).await;
    for (key, challenge) in [
        (None, "Bearer"),
        (Some(("Authorization", "Bearer nonsense")), "Bearer error=\"invalid_token\""),
        (Some(("X-API-Key", "key-of-c")), "Bearer error=\"invalid_token\""),
        (Some(("Authorization", "Basic eDp5")), "Bearer error=\"invalid_request\""),
    ] {
        let headers: Vec<_> = HEADERS.into_iter().chain(key).collect();
        let response = post(server.address, &headers, &body()).await;
        assert_eq!(response.refusal(), (401, 401), "{key:?}");
        assert_eq!(response.header("www-authenticate"), Some(challenge));
        assert!(!response.body.contains("resource_metadata"));
        assert!(response.json().get("id").is_none(), "the body was not read");
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
