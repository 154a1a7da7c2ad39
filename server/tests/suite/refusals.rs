//! Refusals that go out before the body has arrived: the client is still sending, and wants its connection afterwards.

use std::time::Duration;

use mcp_server_config::AuthMode;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{Connection, JSON, Server, post, request, server, text};

async fn with_keys() -> Server {
    server(|config| config.service.auth.mode = Some(AuthMode::Required)).await
}

fn call() -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}).to_string()
}

const RIGHT: (&str, &str) = ("X-API-Key", "key-of-ci");
const WRONG: (&str, &str) = ("X-API-Key", "wrong");

/// Method, path, headers, and the status that they get.
type Early = (&'static str, &'static str, Vec<(&'static str, &'static str)>, u16);

fn refused_early() -> Vec<Early> {
    vec![
        ("POST", "/mcp", vec![JSON, WRONG], 401),
        ("POST", "/mcp", vec![JSON, RIGHT, ("Host", "evil.example")], 403),
        ("POST", "/elsewhere", vec![JSON, RIGHT], 404),
        ("PUT", "/mcp", vec![JSON, RIGHT], 405),
        ("POST", "/mcp", vec![JSON, RIGHT, ("Accept", "text/html")], 406),
        ("POST", "/mcp", vec![("Content-Type", "text/plain"), RIGHT], 415),
        ("POST", "/health", vec![], 200),
    ]
}

#[tokio::test]
async fn a_refused_client_goes_on_over_the_same_connection() {
    let server = with_keys().await;
    // Line breaks and what looks like a head: no part of a body may be taken for the next request.
    let body = "\n\r\nGET / HTTP/1.1\r\nContent-Length: 1\nContent-Length: 2\n".repeat(1_700);
    let length = body.len().to_string();
    for (method, path, headers, status) in refused_early() {
        for pieces in [1, 10] {
            let mut connection = Connection::open(server.address).await;
            let headers = [&headers[..], &[("Content-Length", length.as_str())]].concat();
            connection.write(request(method, path, &headers, "")).await;
            if pieces > 1 {
                let refused = connection.read().await.unwrap();
                assert_eq!((refused.status, refused.header("connection")), (status, None), "{method} {path}");
            }
            for piece in body.as_bytes().chunks(body.len() / pieces + 1) {
                connection.write(piece).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if pieces == 1 {
                assert_eq!(connection.read().await.unwrap().status, status, "{method} {path}");
            }
            connection.write(request("POST", "/mcp", &[JSON, RIGHT], &call())).await;
            let answer = connection.read().await.unwrap_or_else(|| panic!("closed after {status}"));
            assert_eq!(text(&answer.result()), "ci: nothing");
        }
    }
}

#[tokio::test]
async fn a_client_with_more_to_send_is_told_that_the_connection_closes() {
    let server = with_keys().await;
    let piece = vec![b'x'; 64 << 10];
    for (size, framing) in [(3 << 20, "Content-Length"), (2 << 20, "Transfer-Encoding")] {
        let value = if framing == "Content-Length" { size.to_string() } else { "chunked".to_owned() };
        let mut connection = Connection::open(server.address).await;
        connection.write(request("POST", "/mcp", &[JSON, WRONG, (framing, &value)], "")).await;
        let mut sent = 0;
        while sent < size {
            // A client that looks at the answer only after it has sent everything.
            if framing == "Transfer-Encoding" {
                connection.write(format!("{:x}\r\n", piece.len())).await;
            }
            connection.write(&piece).await;
            if framing == "Transfer-Encoding" {
                connection.write("\r\n").await;
            }
            sent += piece.len();
        }
        let refused = connection.read().await.unwrap();
        assert_eq!((refused.status, refused.header("connection")), (401, Some("close")), "{framing}");
    }
}

#[tokio::test]
async fn a_chunked_body_that_is_there_already_costs_no_connection() {
    let server = with_keys().await;
    let mut connection = Connection::open(server.address).await;
    let chunked = ("Transfer-Encoding", "chunked");
    let head = request("POST", "/mcp", &[JSON, WRONG, chunked], "");
    connection.write(format!("{head}5\r\nhello\r\n0\r\n\r\n")).await;
    let refused = connection.read().await.unwrap();
    assert_eq!((refused.status, refused.header("connection")), (401, None));
    connection.write(request("POST", "/mcp", &[JSON, RIGHT], &call())).await;
    assert_eq!(connection.read().await.unwrap().status, 200);
}

#[tokio::test]
async fn who_asks_before_sending_a_body_is_refused_without_being_asked_for_it() {
    let server = with_keys().await;
    let mut connection = Connection::open(server.address).await;
    let headers = [JSON, WRONG, ("Content-Length", "100000"), ("Expect", "100-continue")];
    connection.write(request("POST", "/mcp", &headers, "")).await;
    let refused = connection.read().await.unwrap();
    assert_eq!((refused.status, refused.header("connection")), (401, Some("close")));
    connection.closed().await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for_by_a_stop() {
    let server = with_keys().await;
    let mut connection = Connection::open(server.address).await;
    connection.write(request("POST", "/mcp", &[JSON, WRONG, ("Content-Length", "1000")], "")).await;
    assert_eq!(connection.read().await.unwrap().status, 401);
    server.serving.finish();
    tokio::time::timeout(Duration::from_secs(10), server.serving.finished()).await.unwrap();
    connection.closed().await;
}

#[tokio::test]
async fn a_refusal_before_the_body_was_read_has_an_id_that_is_null() {
    let server = with_keys().await;
    for (method, path, headers, status) in refused_early() {
        if status != 200 {
            let refused = crate::harness::send(server.address, method, path, &headers, &call()).await;
            assert_eq!(refused.status, status);
            if status == 405 {
                // No JSON-RPC client reads what answers another method than POST; those that look for OAuth do.
                assert!(refused.json()["error_description"].is_string(), "{method}");
            } else {
                assert_eq!(refused.json().get("id"), Some(&serde_json::Value::Null), "{status}");
            }
        }
    }
    let refused = post(server.address, &[RIGHT], "{").await;
    assert_eq!(
        (refused.refusal(), refused.json().get("id")),
        ((400, -32700), Some(&serde_json::Value::Null))
    );
}

#[tokio::test]
async fn the_admin_port_keeps_the_connection_of_who_posts_to_it() {
    let home = tempfile::tempdir().unwrap();
    let served = crate::process::Served::start(home.path(), &[]);
    let mut connection = Connection::open(served.admin).await;
    connection.write(request("POST", "/health", &[("Content-Length", "100000")], "")).await;
    assert_eq!(connection.read().await.unwrap().status, 405);
    connection.stream.write_all(&vec![b'\n'; 100_000]).await.unwrap();
    connection.write(request("GET", "/health", &[], "")).await;
    assert_eq!(connection.read().await.unwrap().status, 200);
}
