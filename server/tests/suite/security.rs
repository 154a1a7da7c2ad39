//! Origin, Host, media types, and what browsers ask.

use serde_json::json;

use crate::harness::{JSON, meta, modern_body, request, send, server};

const LIST: [(&str, &str); 2] = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];

async fn status(change: impl FnOnce(&mut mcp_server_config::ServerConfig), headers: &[(&str, &str)]) -> u16 {
    let server = server(change).await;
    let body = modern_body(1, "tools/list", json!({}));
    let has_type = headers.iter().any(|(name, _)| *name == "Content-Type");
    let json = (!has_type).then_some(JSON);
    let headers: Vec<_> = LIST.into_iter().chain(json).chain(headers.iter().copied()).collect();
    send(server.address, "POST", "/mcp", &headers, &body).await.status
}

#[tokio::test]
async fn origins_are_checked_on_every_method_before_anything_else() {
    let server = server(|config| config.service.auth.mode = None).await;
    for method in ["GET", "POST", "DELETE", "OPTIONS"] {
        let response = send(server.address, method, "/mcp", &[("Origin", "http://evil.example")], "").await;
        assert_eq!(response.refusal(), (403, 403), "{method}");
        assert_eq!(response.json().get("id"), Some(&serde_json::Value::Null));
        assert!(response.header("access-control-allow-origin").is_none());
    }
}

#[tokio::test]
async fn a_browser_on_an_allowed_page_may_call() {
    let server = server(|_| {}).await;
    let page = ("Origin", "http://localhost:6274");
    let asked =
        [page, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "mcp-method")];
    let preflight = send(server.address, "OPTIONS", "/mcp", &asked, "").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some(page.1));
    let allowed = preflight.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("Mcp-Method") && allowed.contains("mcp-param-region"), "{allowed}");
    let body = modern_body(1, "tools/list", json!({"_meta": meta()}));
    let headers: Vec<_> = LIST.into_iter().chain([JSON, page]).collect();
    let response = send(server.address, "POST", "/mcp", &headers, &body).await;
    assert_eq!(response.header("access-control-allow-origin"), Some(page.1));
    assert!(response.header("access-control-expose-headers").unwrap().contains("WWW-Authenticate"));
    assert_eq!(response.header("vary"), Some("Origin"));
    assert_eq!(
        send(server.address, "OPTIONS", "/mcp", &[], "").await.status,
        405,
        "without an origin nobody asks"
    );
}

#[tokio::test]
async fn media_types_are_lenient_but_not_blind() {
    for (headers, expected) in [
        (&[("Accept", "*/*")][..], 200),
        (&[("Accept", "application/json")], 200),
        (&[("Accept", "application/json, text/event-stream")], 200),
        (&[("Accept", "text/html")], 406),
        (&[("Content-Type", "text/plain")], 415),
        (&[("Content-Type", "application/json; charset=utf-8")], 200),
        (&[("Content-Encoding", "gzip")], 415),
    ] {
        assert_eq!(status(|_| {}, headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn health_and_readiness_say_one_word() {
    let server = server(|config| config.service.auth.mode = None).await;
    for (path, word) in [("/health", "ok\n"), ("/ready", "ready\n")] {
        let response = send(server.address, "GET", path, &[("Host", "10.1.2.3:8080")], "").await;
        assert_eq!(
            (response.status, response.body.as_str()),
            (200, word),
            "probes name any host and have no key"
        );
    }
    for path in ["/metrics", "/status"] {
        assert_eq!(
            send(server.address, "GET", path, &[], "").await.status,
            404,
            "{path} is on the admin port only"
        );
    }
}

#[test]
fn requests_of_tests_are_what_they_seem() {
    let text = request("POST", "/mcp", &[JSON], "{}");
    assert_eq!(
        text,
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    );
}
