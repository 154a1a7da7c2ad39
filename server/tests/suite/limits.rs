//! Limits: bodies, headers, connections, calls, time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mcp_server::http::pulse::Patience;
use mcp_server_config::{ByteSize, Duration as Span};
use serde_json::json;

use crate::harness::{
    Connection, JSON, PATIENCE, call, counts, eventually, legacy, modern, modern_body, post, reaches,
    request, send, server, server_with, text,
};

#[tokio::test]
async fn a_body_that_is_too_large_is_413_announced_or_not() {
    let server = server(|config| config.service.http.max_body = Some(ByteSize::from_bytes(1024))).await;
    let fits = format!("{:1024}", modern_body(1, "tools/list", json!({})));
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
    assert_eq!(post(server.address, &headers, &fits).await.status, 200);
    let large = " ".repeat(1025);
    assert_eq!(post(server.address, &headers, &large).await.refusal(), (413, 413));
    let very_large = " ".repeat(3 << 20);
    assert_eq!(
        post(server.address, &headers, &very_large).await.refusal(),
        (413, 413),
        "and the client gets to read it"
    );

    let mut connection = Connection::open(server.address).await;
    connection.write(request("POST", "/mcp", &[JSON, ("Transfer-Encoding", "chunked")], "")).await;
    for _ in 0..5 {
        connection.write(format!("{:x}\r\n{}\r\n", 256, " ".repeat(256))).await;
    }
    connection.write("0\r\n\r\n").await;
    assert_eq!(connection.read().await.unwrap().refusal(), (413, 413));
}

#[tokio::test]
async fn a_chunked_body_within_the_limit_is_read() {
    let server = server(|_| {}).await;
    let body = modern_body(1, "tools/call", json!({"name": "echo", "arguments": {"a": "b".repeat(5000)}}));
    let mut connection = Connection::open(server.address).await;
    let headers = [
        JSON,
        ("Transfer-Encoding", "chunked"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "echo"),
    ];
    connection.write(request("POST", "/mcp", &headers, "")).await;
    for piece in body.as_bytes().chunks(700) {
        connection.write(format!("{:x}\r\n", piece.len())).await;
        connection.write(piece).await;
        connection.write("\r\n").await;
    }
    connection.write("0\r\n\r\n").await;
    assert!(text(&connection.read().await.unwrap().result()).contains("bbbb"));
}

#[tokio::test]
async fn headers_that_are_too_large_or_too_many_are_431() {
    let server = server(|_| {}).await;
    let long = "x".repeat(100 * 1024);
    assert_eq!(send(server.address, "GET", "/health", &[("X-Long", &long)], "").await.status, 431);
    let many: Vec<_> = (0..200).map(|n| format!("X-{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(send(server.address, "GET", "/health", &many, "").await.status, 431);
}

fn impatient() -> Patience {
    Patience {
        header: Duration::from_millis(200),
        idle: Duration::from_millis(400),
        stalled: Duration::from_secs(5),
    }
}

#[tokio::test]
async fn a_slow_header_costs_the_connection() {
    let server = server_with(|_| {}, impatient(), 10).await;
    let mut silent = Connection::open(server.address).await;
    let mut slow = Connection::open(server.address).await;
    slow.write("POST /mcp HTTP/1.1\r\nHost: loc").await;
    silent.closed().await;
    slow.closed().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let server = server_with(|_| {}, impatient(), 10).await;
    let mut idle = Connection::open(server.address).await;
    idle.write(request("GET", "/health", &[], "")).await;
    assert_eq!(idle.read().await.unwrap().status, 200);
    let mut busy = Connection::open(server.address).await;
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "wait"}}).to_string();
    busy.write(request("POST", "/mcp", &[JSON], &body)).await;
    idle.closed().await;
    // The busy one has waited for longer than any of these patiences by now, or will have.
    tokio::time::sleep(impatient().idle * 2).await;
    server.backend.release.add_permits(1);
    assert_eq!(text(&busy.read().await.unwrap().result()), "waited");
}

#[tokio::test]
async fn calls_over_the_limit_are_503_while_control_messages_pass() {
    let server = server(|config| {
        config.service.performance.max_concurrent_requests = Some(2);
        config.service.performance.max_queued = Some(0);
    })
    .await;
    let address = server.address;
    let waiting = [(); 2].map(|()| tokio::spawn(async move { call(address, "wait", json!({})).await }));
    reaches(&server.backend.begun, 2).await;
    let refused = call(address, "echo", json!({})).await;
    assert_eq!(refused.refusal(), (503, 503));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let refused = legacy(address, "tools/call", json!({"name": "echo"})).await.result();
    assert_eq!(refused["isError"], true);
    assert_eq!(legacy(address, "ping", json!({})).await.status, 200);
    assert_eq!(legacy(address, "initialize", json!({})).await.status, 200);
    assert_eq!(modern(address, "server/discover", json!({})).await.status, 200);
    assert_eq!(modern(address, "tools/list", json!({})).await.status, 200);
    server.backend.release.add_permits(2);
    for waiting in waiting {
        assert_eq!(text(&waiting.await.unwrap().result()), "waited");
    }
    assert_eq!(call(address, "echo", json!({})).await.status, 200, "permits come back");
    assert_eq!(server.dispatcher.admission.calls().used(), 0);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_taken_back() {
    let server =
        server(|config| config.service.performance.request_timeout = Some(Span::from_millis(50))).await;
    for response in [
        call(server.address, "wait", json!({})).await,
        legacy(server.address, "tools/call", json!({"name": "wait"})).await,
    ] {
        assert_eq!(response.refusal(), (200, 504));
        let message = response.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("50ms") && message.contains("performance.requestTimeout"), "{message}");
    }
    reaches(&server.backend.cancelled, 2).await;
    eventually("permits come back", async || server.dispatcher.admission.calls().used() == 0).await;
}

#[tokio::test]
async fn a_modern_client_that_hangs_up_cancels_its_call() {
    let server = server(|_| {}).await;
    let mut connection = Connection::open(server.address).await;
    let headers =
        [JSON, ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "wait")];
    let body = modern_body(1, "tools/call", json!({"name": "wait"}));
    connection.write(request("POST", "/mcp", &headers, &body)).await;
    reaches(&server.backend.begun, 1).await;
    drop(connection);
    reaches(&server.backend.cancelled, 1).await;
    let aborted =
        r#"mcp_server_requests_total{era="modern",method="tools/call",outcome="aborted",tool="wait"}"#;
    counts(&server, aborted, 1).await;
}

#[tokio::test]
async fn a_legacy_client_that_hangs_up_does_not() {
    let server = server(|_| {}).await;
    let mut connection = Connection::open(server.address).await;
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "wait"}}).to_string();
    connection.write(request("POST", "/mcp", &[JSON], &body)).await;
    reaches(&server.backend.begun, 1).await;
    drop(connection);
    eventually("the connection is gone", async || server.dispatcher.metrics.connections.get() == 0).await;
    server.backend.release.add_permits(1);
    reaches(&server.backend.ended, 1).await;
    assert_eq!(*server.backend.cancelled.borrow(), 0);
}

#[tokio::test]
async fn a_panic_in_a_tool_is_an_error_result_and_the_server_lives() {
    let server = server(|_| {}).await;
    let result = call(server.address, "panic", json!({})).await.result();
    assert_eq!(result["isError"], true);
    assert!(!result.to_string().contains("as asked"), "what happened inside is not the client's business");
    counts(&server, "mcp_server_tool_panics_total", 1).await;
    let panicked =
        r#"mcp_server_requests_total{era="modern",method="tools/call",outcome="panic",tool="panic"}"#;
    counts(&server, panicked, 1).await;
    assert_eq!(call(server.address, "echo", json!({})).await.status, 200);
}

#[tokio::test]
async fn large_answers_arrive_whole_on_http_1_and_2() {
    let server = server(|_| {}).await;
    assert_eq!(text(&call(server.address, "large", json!({})).await.result()).len(), 1 << 20);

    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let requests = (0..20).map(|_| {
        let body = modern_body(1, "tools/call", json!({"name": "large"}));
        let request = http::Request::post(format!("http://{}/mcp", server.address))
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "large")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let response = sender.send_request(request);
        // Each takes its own body at once: an unread one would use up what all of them may send together.
        async move {
            let response = response.await.unwrap();
            assert_eq!(response.status(), 200);
            response.into_body().collect().await.unwrap().to_bytes().len()
        }
    });
    let responses = tokio::time::timeout(PATIENCE, futures::future::join_all(requests)).await.unwrap();
    assert!(responses.iter().all(|length| *length > 1 << 20), "{responses:?}");
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_pipelined_ones_in_order() {
    let server = server(|_| {}).await;
    let mut connection = Connection::open(server.address).await;
    let bodies: Vec<_> =
        (0..10).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string()).collect();
    let all: String = bodies.iter().map(|body| request("POST", "/mcp", &[JSON], body)).collect();
    connection.write(all).await;
    for id in 0..10 {
        assert_eq!(connection.read().await.unwrap().json()["id"], id);
    }
    assert_eq!(server.dispatcher.metrics.connections_total.get(), 1);
}

#[tokio::test]
async fn a_stop_lets_calls_finish_and_takes_no_new_connections() {
    let server = server(|_| {}).await;
    let address = server.address;
    let call_in_flight = tokio::spawn(async move { call(address, "wait", json!({})).await });
    let mut idle = Connection::open(address).await;
    idle.write(request("GET", "/health", &[], "")).await;
    assert_eq!(idle.read().await.unwrap().status, 200);
    reaches(&server.backend.begun, 1).await;
    server.serving.finish();
    idle.closed().await;
    eventually("no new connections", async || tokio::net::TcpStream::connect(address).await.is_err()).await;
    server.backend.release.add_permits(1);
    assert_eq!(text(&call_in_flight.await.unwrap().result()), "waited");
    tokio::time::timeout(PATIENCE, server.serving.finished()).await.unwrap();
}

#[tokio::test]
async fn what_does_not_finish_is_cut_off() {
    let server = server(|_| {}).await;
    let address = server.address;
    let mut stuck = Connection::open(address).await;
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "wait"}}).to_string();
    stuck.write(request("POST", "/mcp", &[JSON], &body)).await;
    reaches(&server.backend.begun, 1).await;
    tokio::time::timeout(PATIENCE, server.serving.abort()).await.unwrap();
    stuck.closed().await;
}
