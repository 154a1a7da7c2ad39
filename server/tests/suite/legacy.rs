//! Clients of 2025-11-25 and before, without sessions.

use mcp_server_config::AuthMode;
use serde_json::{Value, json};

use crate::harness::{
    Connection, JSON, Server, counts, eventually, legacy, modern_body, post, reaches, request, send, server,
    text,
};

#[tokio::test]
async fn a_handshake_ends_in_a_legacy_version_and_makes_no_session() {
    let server = server(|config| config.service.instructions = Some("Be kind.".into())).await;
    for (asked, answered) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
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
        (&[("MCP-Protocol-Version", "2024-11-05")], 200),
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

#[tokio::test]
async fn a_batch_is_answered_message_by_message_where_the_revision_has_batches() {
    let server = server(|_| {}).await;
    let call = |id: u32, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    let modern: Value = serde_json::from_str(&modern_body(5, "tools/list", json!({}))).unwrap();
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let initialize = json!({"jsonrpc": "2.0", "id": 6, "method": "initialize", "params": {}});
    let batch =
        json!([call(1, "echo"), note, call(2, "nothing"), call(3, "fail"), {"x": 1}, modern, initialize]);
    for headers in
        [&[][..], &[("MCP-Protocol-Version", "2025-03-26")], &[("MCP-Protocol-Version", "2024-11-05")]]
    {
        let response = post(server.address, headers, &format!("\n {batch}")).await;
        assert_eq!(response.status, 200);
        let answers = response.json();
        let shown: Vec<_> = answers
            .as_array()
            .unwrap()
            .iter()
            .map(|answer| (answer["id"].clone(), answer["error"]["code"].clone()))
            .collect();
        let expected = [
            (json!(1), Value::Null),
            (json!(2), json!(-32602)),
            (json!(3), Value::Null),
            (Value::Null, json!(-32600)),
            (json!(5), json!(-32020)),
            (json!(6), json!(-32600)),
        ];
        assert_eq!(shown, expected);
    }
    let response = post(server.address, &[], &json!([note, note]).to_string()).await;
    assert_eq!((response.status, response.body.as_str()), (202, ""), "nothing in it is answered");
    for (batch, what) in [
        (json!([]).to_string(), "empty"),
        (json!(vec![note.clone(); 101]).to_string(), "too long"),
        (format!("{} x", json!([note])), "not JSON"),
        ("[".to_owned(), "not JSON"),
    ] {
        assert_eq!(post(server.address, &[], &batch).await.status, 400, "{what}");
    }
    for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let response = post(server.address, &[("MCP-Protocol-Version", version)], &batch.to_string()).await;
        assert_eq!(response.refusal(), (400, -32600), "{version}");
    }
    counts(
        &server,
        r#"mcp_server_requests_total{era="legacy",method="tools/call",outcome="ok",tool="echo"}"#,
        3,
    )
    .await;
}

/// Posts without waiting for the answer.
async fn begin(server: &Server, key: &str, body: &Value) -> Connection {
    let mut connection = Connection::open(server.address).await;
    let headers = [JSON, ("MCP-Protocol-Version", "2025-11-25"), ("X-API-Key", key)];
    connection.write(request("POST", "/mcp", &headers, &body.to_string())).await;
    connection
}

#[tokio::test]
async fn an_older_client_can_take_back_a_call_over_http() {
    let server = server(|config| config.service.auth.mode = Some(AuthMode::Required)).await;
    let wait =
        |id: Value| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "wait"}});
    let cancel = async |key: &str, id: Value| {
        let note =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        assert_eq!(begin(&server, key, &note).await.read().await.unwrap().status, 202);
    };
    let mut of_ci = begin(&server, "key-of-ci", &wait(json!(7))).await;
    let mut of_ops = begin(&server, "key-of-ops", &wait(json!(7))).await;
    reaches(&server.backend.begun, 2).await;
    // Another id, and another type of id.
    cancel("key-of-ci", json!(8)).await;
    cancel("key-of-ci", json!("7")).await;
    cancel("key-of-ci", json!(7)).await;
    reaches(&server.backend.cancelled, 1).await;
    let answer = of_ci.read().await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (202, ""), "a cancelled request has no answer");
    let cancelled =
        r#"mcp_server_requests_total{era="legacy",method="tools/call",outcome="cancelled",tool="wait"}"#;
    counts(&server, cancelled, 1).await;
    eventually("its permit is free", async || server.dispatcher.admission.calls().used() == 1).await;

    // Two clients with one key use the same id: which of the calls is meant, nobody knows.
    let mut again = begin(&server, "key-of-ops", &wait(json!(7))).await;
    reaches(&server.backend.begun, 3).await;
    cancel("key-of-ops", json!(7)).await;
    server.backend.release.add_permits(2);
    for connection in [&mut of_ops, &mut again] {
        assert_eq!(text(&connection.read().await.unwrap().result()), "waited");
    }
    assert_eq!(*server.backend.cancelled.borrow(), 1);

    // Some clients hang up first.
    let gone = begin(&server, "key-of-ci", &wait(json!(9))).await;
    reaches(&server.backend.begun, 4).await;
    drop(gone);
    let aborted =
        r#"mcp_server_requests_total{era="legacy",method="tools/call",outcome="aborted",tool="wait"}"#;
    counts(&server, aborted, 1).await;
    cancel("key-of-ci", json!(9)).await;
    reaches(&server.backend.cancelled, 2).await;
}

#[tokio::test]
async fn a_call_that_waits_for_its_turn_can_be_taken_back_too() {
    let server = server(|config| config.service.performance.max_concurrent_requests = Some(1)).await;
    let wait =
        |id: u32| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "wait"}});
    let mut first = begin(&server, "", &wait(1)).await;
    reaches(&server.backend.begun, 1).await;
    let mut second = begin(&server, "", &wait(2)).await;
    eventually("it waits", async || server.dispatcher.admission.calls().waiting() == 1).await;
    let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}});
    assert_eq!(begin(&server, "", &note).await.read().await.unwrap().status, 202);
    assert_eq!(second.read().await.unwrap().status, 202);
    server.backend.release.add_permits(1);
    assert_eq!(text(&first.read().await.unwrap().result()), "waited");
    assert_eq!(*server.backend.begun.borrow(), 1);
}
