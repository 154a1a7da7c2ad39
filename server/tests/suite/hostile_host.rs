//! Games with Host and Origin: DNS rebinding, and names that look like others.

use mcp_server_config::ServerConfig;
use serde_json::json;

use crate::harness::{JSON, Server, modern_body, send, server};

/// A server that is reached under a name, and called by one web page.
async fn configured() -> Server {
    server(|config: &mut ServerConfig| {
        config.service.http.allowed_hosts = vec!["mcp.example.com".into(), "xn--bcher-kva.example".into()];
        config.service.http.allowed_origins = vec!["https://app.example.com".into()];
    })
    .await
}

async fn status(server: &Server, headers: &[(&str, &str)]) -> u16 {
    let body = modern_body(1, "tools/list", json!({}));
    let list = [JSON, ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
    send(server.address, "POST", "/mcp", &[&list[..], headers].concat(), &body).await.status
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_403() {
    let server = configured().await;
    for (host, expected) in [
        ("localhost", 200),
        ("localhost.", 200),
        ("LocalHost:99", 200),
        ("127.0.0.1:99", 200),
        ("[::1]:99", 200),
        ("mcp.example.com", 200),
        ("MCP.EXAMPLE.COM.:8443", 200),
        ("xn--bcher-kva.example", 200),
        ("evil.example", 403),
        ("mcp.example.com.evil.example", 403),
        ("mcp.example.com..", 403),
        ("evil.example:80@mcp.example.com", 403),
        ("mcp.example.com:80:80", 403),
        ("mcp.example.com:-1", 403),
        ("mcp.example.com/", 403),
        ("mcp.example.com,evil.example", 403),
        (".mcp.example.com", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.nip.example", 403),
        ("127.1", 403),
        ("0x7f000001", 403),
        ("2130706433", 403),
        ("0.0.0.0", 403),
        ("[::]", 403),
        ("[::ffff:127.0.0.1]", 403),
        ("[::1%25eth0]", 403),
        ("[::1", 403),
        ("::1", 403),
        ("169.254.169.254", 403),
        ("10.0.0.1", 403),
        ("bücher.example", 403),
        ("mcp.examp\u{13a}e.com", 403),
        ("", 403),
    ] {
        assert_eq!(status(&server, &[("Host", host)]).await, expected, "{host:?}");
    }
}

#[tokio::test]
async fn an_origin_that_is_not_ours_is_403() {
    let server = configured().await;
    for (origin, expected) in [
        ("https://app.example.com", 200),
        ("https://app.example.com:443", 200),
        ("HTTPS://APP.EXAMPLE.COM", 200),
        ("https://mcp.example.com", 200),
        ("http://mcp.example.com:3000", 200),
        ("http://app.example.com", 403),
        ("https://app.example.com:8443", 403),
        ("https://app.example.com.evil.example", 403),
        ("https://app.example.com@evil.example", 403),
        ("https://evil.example/https://app.example.com", 403),
        ("https://sub.app.example.com", 403),
        ("https://app.example.com, https://evil.example", 403),
        ("http://localhost:6274", 403),
        ("null", 403),
        ("", 403),
        ("file://", 403),
        ("chrome-extension://mcp.example.com", 403),
        ("https://аpp.example.com", 403),
        ("https://xn--pp-6kc.example.com", 403),
    ] {
        let headers = [("Host", "mcp.example.com"), ("Origin", origin)];
        assert_eq!(status(&server, &headers).await, expected, "{origin:?}");
    }
    let two = [
        ("Host", "mcp.example.com"),
        ("Origin", "https://app.example.com"),
        ("Origin", "https://evil.example"),
    ];
    assert_eq!(status(&server, &two).await, 403, "two origins");
}

#[tokio::test]
async fn a_name_of_a_strangers_page_that_points_here_is_403() {
    // Rebinding: the page, the host and the address agree, and the name is the stranger's.
    let server = server(|_| {}).await;
    let rebound = [("Host", "evil.example"), ("Origin", "http://evil.example")];
    assert_eq!(status(&server, &rebound).await, 403);
    for origin in ["http://evil.example", "null"] {
        assert_eq!(status(&server, &[("Origin", origin)]).await, 403, "{origin}");
    }
    assert_eq!(status(&server, &[("Origin", "http://localhost:1234")]).await, 200);
}
