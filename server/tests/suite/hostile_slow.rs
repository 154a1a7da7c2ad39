//! Clients that take their time: over headers, over bodies, over reading, or over anything at all.

use std::time::{Duration, Instant};

use mcp_server::http::pulse::Patience;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{Connection, JSON, call, modern_body, request, server_slow, text};
use crate::hostile_target::Target;

fn impatient() -> Patience {
    Patience {
        header: Duration::from_millis(300),
        idle: Duration::from_secs(30),
        stalled: Duration::from_millis(300),
    }
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let server = server_slow(impatient(), Duration::from_millis(200)).await;
    let mut slow = Connection::open(server.address).await;
    slow.write(request("POST", "/mcp", &[JSON, ("Content-Length", "100")], "")).await;
    slow.write("{").await;
    assert_eq!(slow.read().await.unwrap().refusal(), (408, 408));
    let mut chunked = Connection::open(server.address).await;
    chunked.write(request("POST", "/mcp", &[JSON, ("Transfer-Encoding", "chunked")], "")).await;
    chunked.write("1\r\n{\r\n").await;
    assert_eq!(chunked.read().await.unwrap().refusal(), (408, 408));
    assert_eq!(server.dispatcher.body_budget.used(), 0, "what was held of them is free again");
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answers_is_dropped() {
    let server = server_slow(impatient(), Duration::from_secs(30)).await;
    let mut deaf = Connection::open(server.address).await;
    let body = modern_body(1, "tools/call", json!({"name": "large"}));
    let headers =
        [JSON, ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "large")];
    let message = request("POST", "/mcp", &headers, &body);
    // Each answer is a mebibyte: some of them fit into the buffers of the kernel, and then it stops.
    for _ in 0..64 {
        if deaf.stream.write_all(message.as_bytes()).await.is_err() {
            break;
        }
    }
    crate::harness::eventually("the connection is gone", async || {
        server.dispatcher.metrics.connections.get() == 0
    })
    .await;
    assert_eq!(text(&call(server.address, "echo", json!({})).await.result()), "nobody: {}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_slow_connections_are_dropped_and_harm_nobody() {
    let target = Target::start();
    let bystander = target.bystander();
    let began = Instant::now();
    let mut clients = Vec::new();
    for number in 0..600 {
        let mut client = Connection::open(target.address()).await;
        match number % 3 {
            0 => {}
            1 => client.write("POST /mcp HTTP/1.1\r\nHost: local").await,
            _ => client.write(request("POST", "/mcp", &[JSON, ("Content-Length", "1000")], "")).await,
        }
        clients.push(client);
    }
    // A byte now and then keeps nothing open.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        for (number, client) in clients.iter_mut().enumerate() {
            if number % 3 != 0 {
                // Those that are closed already may be; they are looked at below.
                let _closed = client.stream.write_all(b"h").await;
            }
        }
    }
    for (number, client) in clients.iter_mut().enumerate() {
        if number % 3 != 2 {
            client.closed().await;
        }
    }
    let elapsed = began.elapsed();
    assert!(elapsed < Duration::from_secs(20), "silent clients and slow headers were kept for {elapsed:?}");
    bystander.assert_unharmed();
    target.took_at_most(32, Duration::from_secs(4));
}
