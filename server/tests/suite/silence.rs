//! Calls that take long: something is heard of them before a proxy or a client hangs up.

use std::net::SocketAddr;
use std::time::Duration;

use mcp_server_config::Duration as Span;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Connection, JSON, Response, Server, modern_body, reaches, request, server};

const EVENTS: (&str, &str) = ("Accept", "application/json, text/event-stream");

async fn impatient() -> Server {
    server(|config| config.service.http.stream_after = Some(Span::from_millis(100))).await
}

fn legacy_call(tool: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool}}).to_string()
}

/// Sends a request, as a client of either era does.
async fn begin(address: SocketAddr, is_modern: bool, tool: &str, accept: (&str, &str)) -> Connection {
    let mut connection = Connection::open(address).await;
    let modern = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", tool)];
    let (headers, body) = if is_modern {
        (&modern[..], modern_body(1, "tools/call", json!({"name": tool})))
    } else {
        (&[("MCP-Protocol-Version", "2025-11-25")][..], legacy_call(tool))
    };
    let headers = [&[JSON, accept], headers].concat();
    connection.write(request("POST", "/mcp", &headers, &body)).await;
    connection
}

/// The one message in a stream of events, and how many comments there are before it.
fn streamed(response: &Response) -> (Value, usize) {
    assert_eq!(
        (response.status, response.header("content-type"), response.header("x-accel-buffering")),
        (200, Some("text/event-stream"), Some("no"))
    );
    let (comments, event) = response.body.split_once("event: message\ndata: ").unwrap();
    assert!(comments.split_terminator("\n\n").all(|line| line.starts_with(':')), "{comments:?}");
    (serde_json::from_str(event.trim_end()).unwrap(), comments.matches(": keep-alive\n\n").count())
}

#[tokio::test]
async fn a_call_that_takes_long_is_answered_as_a_stream_and_a_quick_one_is_not() {
    let server = impatient().await;
    for is_modern in [true, false] {
        let quick = begin(server.address, is_modern, "echo", EVENTS).await.read().await.unwrap();
        assert_eq!(quick.header("content-type"), Some("application/json"));
        let mut slow = begin(server.address, is_modern, "wait", EVENTS).await;
        tokio::time::sleep(Duration::from_millis(350)).await;
        server.backend.release.add_permits(1);
        let (answer, comments) = streamed(&slow.read().await.unwrap());
        assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(1), &json!("waited")));
        assert!(comments >= 2, "{comments} comments");
        // The connection is as good as before.
        slow.write(request("GET", "/health", &[], "")).await;
        assert_eq!(slow.read().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn who_reads_no_streams_gets_none() {
    let server = impatient().await;
    for accept in ["application/json", "*/*", "application/json, text/event-stream;q=0"] {
        let mut slow = begin(server.address, true, "wait", ("Accept", accept)).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.backend.release.add_permits(1);
        let answer = slow.read().await.unwrap();
        assert_eq!(answer.header("content-type"), Some("application/json"), "{accept}");
        answer.result();
    }
}

#[tokio::test]
async fn what_goes_wrong_late_is_told_in_the_stream() {
    let server = server(|config| {
        config.service.http.stream_after = Some(Span::from_millis(100));
        config.service.performance.request_timeout = Some(Span::from_millis(300));
    })
    .await;
    for is_modern in [true, false] {
        let mut slow = begin(server.address, is_modern, "wait", EVENTS).await;
        let (answer, _) = streamed(&slow.read().await.unwrap());
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(504)));
    }
}

#[tokio::test]
async fn who_hangs_up_on_a_stream_takes_back_a_modern_call_only() {
    let server = impatient().await;
    let mut heard = [0; 16];
    let mut modern = begin(server.address, true, "wait", EVENTS).await;
    modern.stream.read_exact(&mut heard).await.unwrap();
    drop(modern);
    reaches(&server.backend.cancelled, 1).await;
    let mut older = begin(server.address, false, "wait", EVENTS).await;
    older.stream.read_exact(&mut heard).await.unwrap();
    drop(older);
    crate::harness::eventually("it is gone", async || server.dispatcher.metrics.connections.get() == 0).await;
    server.backend.release.add_permits(1);
    reaches(&server.backend.ended, 1).await;
}

#[tokio::test]
async fn a_stream_ends_without_an_answer_where_the_call_is_taken_back() {
    let server = impatient().await;
    let mut slow = begin(server.address, false, "wait", EVENTS).await;
    reaches(&server.backend.begun, 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(crate::harness::post(server.address, &[], &note.to_string()).await.status, 202);
    let ended = slow.read().await.unwrap();
    assert!(!ended.body.contains("data:"), "{}", ended.body);
}

/// A proxy that hangs up on an upstream that says nothing for a while, as nginx does after a minute.
async fn proxy(upstream: SocketAddr, silence: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(upstream).await.unwrap();
                let (mut to_server, mut to_client) = (vec![0; 8192], vec![0; 8192]);
                loop {
                    tokio::select! {
                        Ok(read @ 1..) = client.read(&mut to_server) => server.write_all(&to_server[..read]).await.unwrap(),
                        read = tokio::time::timeout(silence, server.read(&mut to_client)) => match read {
                            Ok(Ok(read @ 1..)) => client.write_all(&to_client[..read]).await.unwrap(),
                            _ => return,
                        },
                        else => return,
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_call_outlasts_the_patience_of_a_proxy() {
    let server = impatient().await;
    let proxy = proxy(server.address, Duration::from_millis(500)).await;
    for is_modern in [true, false] {
        let mut slow = begin(proxy, is_modern, "wait", EVENTS).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        server.backend.release.add_permits(1);
        let (answer, comments) = streamed(&slow.read().await.expect("the proxy waited"));
        assert_eq!(answer["result"]["content"][0]["text"], "waited");
        assert!(comments > 3, "{comments}");
    }
}
