//! Clients of 2025-11-25 and 2025-06-18, without sessions.

use serde_json::json;

use crate::harness::{legacy, post, send, server, text};

#[tokio::test]
async fn a_handshake_ends_in_a_legacy_version_and_makes_no_session() {
    let server = server(|config| config.service.instructions = Some("Be kind.".into())).await;
    for (asked, answered) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let params = json!({"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string();
        // No Mcp-* header is asked for, and whatever version header comes along does not count.
        for headers in [&[][..], &[("MCP-Protocol-Version", asked)]] {
            let response = post(server.address, headers, &body).await;
            assert!(response.header("mcp-session-id").is_none());
            let result = response.result();
            assert_eq!(result["protocolVersion"], answered, "{asked}");
            assert_eq!(result["capabilities"], json!({"tools": {}}));
            assert_eq!(result["serverInfo"]["name"], "production-mcp-server");
            assert_eq!(result["instructions"], "Be kind.");
            assert!(result.get("resultType").is_none());
        }
    }
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let response = post(server.address, &[("MCP-Protocol-Version", "2025-11-25")], &initialized).await;
    assert_eq!((response.status, response.body.as_str()), (202, ""));
}

#[tokio::test]
async fn results_have_the_shape_of_their_era() {
    let server = server(|_| {}).await;
    assert_eq!(legacy(server.address, "ping", json!({})).await.result(), json!({}));
    let list = legacy(server.address, "tools/list", json!({})).await.result();
    assert_eq!(list["tools"].as_array().unwrap().len(), 9);
    let called =
        legacy(server.address, "tools/call", json!({"name": "echo", "arguments": {"a": 1}})).await.result();
    assert_eq!(text(&called), r#"nobody: {"a":1}"#);
    for result in [list, called] {
        for modern in ["resultType", "_meta", "ttlMs", "cacheScope"] {
            assert!(result.get(modern).is_none(), "{modern} in {result}");
        }
    }
    let shaped = legacy(server.address, "tools/call", json!({"name": "shape"})).await.result();
    assert_eq!(shaped, json!({"content": []}), "what older clients cannot read is left out");
}

#[tokio::test]
async fn errors_are_answered_in_band() {
    let server = server(|_| {}).await;
    for (method, code) in [("no/such", -32601), ("server/nothing", -32601), ("resources/list", -32601)] {
        assert_eq!(legacy(server.address, method, json!({})).await.refusal(), (200, code), "{method}");
    }
    assert_eq!(
        legacy(server.address, "tools/call", json!({"name": "nothing"})).await.refusal(),
        (200, -32602)
    );
    assert_eq!(legacy(server.address, "tools/call", json!({})).await.refusal(), (200, -32602));
    assert_eq!(legacy(server.address, "tools/list", json!({"cursor": "x"})).await.refusal(), (200, -32602));
    let failed = legacy(server.address, "tools/call", json!({"name": "fail"})).await.result();
    assert_eq!(failed["isError"], true);
}

#[tokio::test]
async fn the_version_header_decides_and_its_absence_is_2025_03_26() {
    let server = server(|_| {}).await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    for (headers, status) in [
        (&[][..], 200),
        (&[("MCP-Protocol-Version", "2025-03-26")], 200),
        (&[("MCP-Protocol-Version", "2025-06-18")], 200),
        (&[("MCP-Protocol-Version", "2025-11-25")], 200),
        (&[("MCP-Protocol-Version", "2024-11-05")], 400),
        (&[("MCP-Protocol-Version", "bogus")], 400),
        (&[("MCP-Protocol-Version", "2025-11-25"), ("MCP-Protocol-Version", "2025-06-18")], 400),
    ] {
        assert_eq!(post(server.address, headers, &body).await.status, status, "{headers:?}");
    }
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    assert_eq!(post(server.address, &[("MCP-Protocol-Version", "bogus")], &note).await.status, 400);
}

#[tokio::test]
async fn discover_without_metadata_is_malformed_not_legacy() {
    let server = server(|_| {}).await;
    assert_eq!(legacy(server.address, "server/discover", json!({})).await.refusal(), (400, -32602));
}

#[tokio::test]
async fn sessions_of_another_server_are_ignored() {
    let server = server(|_| {}).await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let headers = [("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Session-Id", "gone")];
    assert_eq!(post(server.address, &headers, &body).await.status, 200);
}

#[tokio::test]
async fn streams_and_sessions_are_refused_and_answers_accepted() {
    let server = server(|_| {}).await;
    for method in ["GET", "DELETE"] {
        let headers = [("Accept", "text/event-stream"), ("Mcp-Session-Id", "x")];
        assert_eq!(send(server.address, method, "/mcp", &headers, "").await.status, 405);
    }
    let answer = json!({"jsonrpc": "2.0", "id": 9, "result": {}}).to_string();
    assert_eq!(post(server.address, &[("MCP-Protocol-Version", "2025-11-25")], &answer).await.status, 202);
}
