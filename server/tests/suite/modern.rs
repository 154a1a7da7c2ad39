//! Revision 2026-07-28, one test a rule of its Streamable HTTP transport.

use serde_json::{Value, json};

use crate::harness::{call, counts, legacy, meta, modern, modern_body, post, send, server, text};

const VERSION: (&str, &str) = ("MCP-Protocol-Version", "2026-07-28");
const LIST: (&str, &str) = ("Mcp-Method", "tools/list");

#[tokio::test]
async fn discover_tells_versions_capabilities_identity_and_cache_hints() {
    let server = server(|config| {
        config.service.server_name = Some("hello".into());
        config.service.server_version = Some("2.3".into());
        config.service.instructions = Some("Be kind.".into());
    })
    .await;
    let result = modern(server.address, "server/discover", json!({})).await.result();
    assert_eq!(result["resultType"], "complete");
    assert_eq!(
        result["supportedVersions"],
        json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"])
    );
    assert_eq!(result["capabilities"], json!({"tools": {}}), "nothing is promised that is not kept");
    assert_eq!(result["instructions"], "Be kind.");
    assert!(result["ttlMs"].as_u64().is_some());
    assert_eq!(result["cacheScope"], "public");
    let info = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(info, &json!({"name": "hello", "version": "2.3"}));
}

#[tokio::test]
async fn every_result_has_a_type_and_says_who_answers() {
    let server = server(|_| {}).await;
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("tools/call", json!({"name": "echo"})),
        ("tools/call", json!({"name": "fail"})),
        ("tools/call", json!({"name": "panic"})),
        ("tools/call", json!({"name": "large"})),
    ] {
        let result = modern(server.address, method, params.clone()).await.result();
        assert_eq!(result["resultType"], "complete", "{method} {params}");
        let info = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
        assert_eq!(info["name"], "production-mcp-server", "{method} {params}");
    }
}

#[tokio::test]
async fn lists_are_complete_stable_and_private_where_there_are_keys() {
    let open = server(|_| {}).await;
    let first = modern(open.address, "tools/list", json!({})).await;
    assert_eq!(first.header("content-type"), Some("application/json"));
    let result = first.result();
    let names: Vec<_> = result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names.len(), 9);
    assert!(result["ttlMs"].as_u64().is_some() && result["cacheScope"] == "public");
    assert!(result.get("nextCursor").is_none());
    assert_eq!(
        modern(open.address, "tools/list", json!({})).await.body,
        first.body,
        "the same order each time"
    );

    let closed = server(|config| config.service.auth.mode = None).await;
    let body = modern_body(1, "tools/list", json!({}));
    let list = post(closed.address, &[VERSION, LIST, ("X-API-Key", "key-of-ci")], &body).await.result();
    assert_eq!(list["cacheScope"], "private");
}

#[tokio::test]
async fn a_bad_cursor_is_invalid() {
    let server = server(|_| {}).await;
    for cursor in [json!("nonsense"), json!(5)] {
        let refusal = modern(server.address, "tools/list", json!({"cursor": cursor})).await.refusal();
        assert_eq!(refusal, (200, -32602), "{cursor}");
    }
    assert!(modern(server.address, "tools/list", json!({"cursor": ""})).await.result()["tools"].is_array());
}

#[tokio::test]
async fn a_call_reaches_the_tool_with_its_arguments_untouched() {
    let server = server(|_| {}).await;
    let arguments = r#"{"n":12345678901234567890123,"f":1.0,"u":"\u00fc","unknown":{"deep":[null]}}"#;
    let params = format!(r#"{{"name":"echo","arguments":{arguments},"_meta":{}}}"#, meta());
    let body = format!(r#"{{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{params}}}"#);
    let headers = [VERSION, ("Mcp-Method", "tools/call"), ("Mcp-Name", "echo")];
    let response = post(server.address, &headers, &body).await;
    assert_eq!(response.json()["id"], "a-1");
    assert_eq!(text(&response.result()), format!("nobody: {arguments}"));
    let answered = r#"mcp_server_requests_total{era="modern",method="tools/call",outcome="ok",tool="echo"}"#;
    counts(&server, answered, 1).await;
}

#[tokio::test]
async fn a_missing_or_null_argument_object_is_none() {
    let server = server(|_| {}).await;
    for params in [json!({"name": "echo"}), json!({"name": "echo", "arguments": null})] {
        assert_eq!(text(&modern(server.address, "tools/call", params).await.result()), "nobody: nothing");
    }
}

#[tokio::test]
async fn an_id_is_echoed_in_its_own_type() {
    let server = server(|_| {}).await;
    for id in [json!(0), json!(-7), json!(9_007_199_254_740_993_i64), json!("x"), json!(""), json!("ü\"\\")]
    {
        let body = modern_body(id.clone(), "tools/list", json!({}));
        assert_eq!(post(server.address, &[VERSION, LIST], &body).await.json()["id"], id);
        let body = modern_body(id.clone(), "no/such", json!({}));
        let refused = post(server.address, &[VERSION, ("Mcp-Method", "no/such")], &body).await;
        assert_eq!(refused.json()["id"], id);
    }
}

#[tokio::test]
async fn an_unknown_method_is_404() {
    let server = server(|_| {}).await;
    for method in
        ["no/such", "ping", "initialize", "logging/setLevel", "resources/subscribe", "prompts/list", ""]
    {
        let response = modern(server.address, method, json!({})).await;
        assert_eq!(response.refusal(), (404, -32601), "{method}");
        assert_eq!(response.json()["id"], 1);
    }
}

#[tokio::test]
async fn an_unknown_tool_is_answered_in_band() {
    let server = server(|_| {}).await;
    for name in ["nothing", "Echo", "echo ", ""] {
        assert_eq!(call(server.address, name, json!({})).await.refusal(), (200, -32602), "{name:?}");
    }
    let unnamed =
        r#"mcp_server_requests_total{era="modern",method="tools/call",outcome="invalid_params",tool=""}"#;
    // Names that callers made up are no labels.
    counts(&server, unnamed, 4).await;
}

#[tokio::test]
async fn a_version_that_is_not_served_is_refused_with_those_that_are() {
    let server = server(|_| {}).await;
    for version in ["2099-01-01", "2025-11-25", "1.0"] {
        let mut meta = meta();
        meta["io.modelcontextprotocol/protocolVersion"] = version.into();
        let body = modern_body(1, "tools/list", json!({"_meta": meta}));
        let response = post(server.address, &[("MCP-Protocol-Version", version), LIST], &body).await;
        assert_eq!(response.refusal(), (400, -32022), "{version}");
        let data = &response.json()["error"]["data"];
        assert_eq!(data["requested"], version);
        assert!(data["supported"].as_array().unwrap().contains(&"2026-07-28".into()));
    }
}

#[tokio::test]
async fn headers_have_to_mirror_the_body() {
    let server = server(|_| {}).await;
    let body = modern_body(1, "tools/call", json!({"name": "echo"}));
    let method = ("Mcp-Method", "tools/call");
    let name = ("Mcp-Name", "echo");
    for headers in [
        &[][..],
        &[method, name],
        &[VERSION, name],
        &[VERSION, method],
        &[("MCP-Protocol-Version", "2025-11-25"), method, name],
        &[VERSION, ("Mcp-Method", "tools/list"), name],
        &[VERSION, ("Mcp-Method", "Tools/Call"), name],
        &[VERSION, method, ("Mcp-Name", "wait")],
        &[VERSION, method, name, name],
        &[VERSION, VERSION, method, name],
        &[VERSION, method, ("Mcp-Name", "=?base64?###?=")],
    ] {
        let response = post(server.address, headers, &body).await;
        assert_eq!(response.refusal(), (400, -32020), "{headers:?}");
        assert_eq!(response.json()["id"], 1);
    }
    for headers in [
        &[VERSION, method, name][..],
        &[("mcp-protocol-version", " 2026-07-28 "), ("MCP-METHOD", "tools/call"), ("mcp-name", "echo")],
        &[VERSION, method, ("Mcp-Name", "=?base64?ZWNobw==?=")],
    ] {
        assert_eq!(post(server.address, headers, &body).await.status, 200, "{headers:?}");
    }
    assert_eq!(text(&call(server.address, "grüß", json!({})).await.result()), "nobody: {}");
}

#[tokio::test]
async fn arguments_that_a_tool_mirrors_have_to_agree() {
    let server = server(|_| {}).await;
    let base = [VERSION, ("Mcp-Method", "tools/call"), ("Mcp-Name", "mirrored")];
    for (header, arguments, status) in [
        (Some(("Mcp-Param-Region", "eu")), json!({"region": "eu"}), 200),
        (Some(("mcp-param-region", "=?base64?ZXU=?=")), json!({"region": "eu"}), 200),
        (None, json!({}), 200),
        (None, json!({"region": null}), 200),
        (Some(("Mcp-Param-Other", "x")), json!({}), 200),
        (None, json!({"region": "eu"}), 400),
        (Some(("Mcp-Param-Region", "us")), json!({"region": "eu"}), 400),
        (Some(("Mcp-Param-Region", "=?base64?%?=")), json!({"region": "eu"}), 400),
    ] {
        let body = modern_body(1, "tools/call", json!({"name": "mirrored", "arguments": arguments}));
        let headers: Vec<_> = base.into_iter().chain(header).collect();
        let response = post(server.address, &headers, &body).await;
        assert_eq!(response.status, status, "{header:?} {arguments}: {}", response.body);
        if status == 400 {
            assert_eq!(response.refusal().1, -32020);
        }
    }
    let old =
        legacy(server.address, "tools/call", json!({"name": "mirrored", "arguments": {"region": "eu"}}))
            .await;
    assert_eq!(old.status, 200, "older clients mirror nothing");
}

#[tokio::test]
async fn metadata_has_to_be_whole() {
    let server = server(|_| {}).await;
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    for meta in [
        json!({}),
        json!({capabilities: {}}),
        json!({version: "2026-07-28"}),
        json!({version: "2026-07-28", capabilities: []}),
        json!({version: "2026-07-28", capabilities: null}),
        json!({version: 20_260_728, capabilities: {}}),
        json!({version: "2026-07-28", capabilities: {}, "io.modelcontextprotocol/clientInfo": "me"}),
        json!([]),
        json!("x"),
    ] {
        let body = modern_body(1, "tools/list", json!({"_meta": meta}));
        let response = post(server.address, &[VERSION, LIST], &body).await;
        assert_eq!(response.refusal(), (400, -32602), "{body}");
    }
    let no_info = json!({version: "2026-07-28", capabilities: {}});
    let body = modern_body(1, "tools/list", json!({"_meta": no_info}));
    assert_eq!(post(server.address, &[VERSION, LIST], &body).await.status, 200, "clientInfo may be absent");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    assert_eq!(post(server.address, &[VERSION, LIST], &body).await.refusal(), (400, -32602));
    let mut noisy = meta();
    noisy["io.modelcontextprotocol/logLevel"] = "loud".into();
    let body = modern_body(1, "tools/list", json!({"_meta": noisy}));
    assert_eq!(post(server.address, &[VERSION, LIST], &body).await.refusal().1, -32602);
}

#[tokio::test]
async fn what_is_not_one_message_is_refused() {
    let server = server(|_| {}).await;
    for (body, code) in [
        ("{", -32700),
        ("", -32700),
        ("\u{feff}{}", -32700),
        ("nonsense", -32700),
        ("[]", -32600),
        ("5", -32600),
        ("{}", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}"#, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":1,"\u0061":2}}}"#,
            -32600,
        ),
    ] {
        let response = post(server.address, &[], body).await;
        assert_eq!(response.refusal(), (400, code), "{body}");
    }
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}1{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    assert_eq!(post(server.address, &[], &deep).await.refusal(), (400, -32600));
}

#[tokio::test]
async fn line_breaks_between_tokens_do_not_reach_the_tool() {
    let server = server(|_| {}).await;
    let params = format!(
        "{{\"name\":\"echo\",\"arguments\":{{\"a\":[1,\r\n{{\"b\":\"c\\nd\"}}\n]}},\"_meta\":{}}}",
        meta()
    );
    let body = format!("{{\"jsonrpc\":\"2.0\",\n\"id\":1,\"method\":\"tools/call\",\"params\":{params}}}\n");
    let headers = [VERSION, ("Mcp-Method", "tools/call"), ("Mcp-Name", "echo")];
    let result = post(server.address, &headers, &body).await.result();
    assert_eq!(text(&result), r#"nobody: {"a":[1,  {"b":"c\nd"} ]}"#);
}

#[tokio::test]
async fn notifications_are_accepted_without_an_answer() {
    let server = server(|_| {}).await;
    for (headers, body) in [
        (
            &[VERSION][..],
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1, "_meta": meta()}}),
        ),
        (&[VERSION], json!({"jsonrpc": "2.0", "method": "notifications/anything"})),
        (&[], json!({"jsonrpc": "2.0", "method": "notifications/anything"})),
    ] {
        let response = post(server.address, headers, &body.to_string()).await;
        assert_eq!((response.status, response.body.as_str()), (202, ""), "{body}");
    }
}

#[tokio::test]
async fn only_post_is_served_and_refusals_are_recognisable() {
    let server = server(|_| {}).await;
    for method in ["GET", "DELETE", "PUT", "PATCH"] {
        let response = send(server.address, method, "/mcp", &[VERSION], "").await;
        assert_eq!(response.refusal(), (405, -32600), "{method}");
        assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
    }
    let elsewhere = send(server.address, "POST", "/", &[], "").await;
    assert_eq!(elsewhere.refusal(), (404, 404));
    assert!(
        elsewhere.json()["error"]["message"].as_str().unwrap().contains("\"/mcp\""),
        "{}",
        elsewhere.body
    );
}

#[tokio::test]
async fn sessions_are_neither_made_nor_minded() {
    let server = server(|_| {}).await;
    let body = modern_body(1, "tools/list", json!({}));
    let headers = [VERSION, LIST, ("Mcp-Session-Id", "whatever"), ("Last-Event-ID", "7")];
    let response = post(server.address, &headers, &body).await;
    assert_eq!(response.status, 200);
    assert!(response.header("mcp-session-id").is_none());
}

#[tokio::test]
async fn nothing_is_inferred_from_earlier_requests_of_a_connection() {
    let server = server(|_| {}).await;
    let mut connection = crate::harness::Connection::open(server.address).await;
    let good = modern_body(1, "tools/list", json!({}));
    let bare = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).to_string();
    let post = |headers: &[(&str, &str)], body: &str| crate::harness::request("POST", "/mcp", headers, body);
    connection.write(post(&[VERSION, LIST], &good)).await;
    assert_eq!(connection.read().await.unwrap().status, 200);
    connection.write(post(&[VERSION, LIST], &bare)).await;
    assert_eq!(connection.read().await.unwrap().refusal(), (400, -32602));
    connection.write(post(&[], &bare)).await;
    let old: Value = connection.read().await.unwrap().result();
    assert!(old.get("resultType").is_none(), "the same connection, another era");
}
