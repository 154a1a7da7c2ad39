//! Too much of everything: headers, bodies, promises of bodies.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{Connection, JSON, modern_body, post, request, send};
use crate::hostile_target::Target;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_are_too_many_or_too_large_are_431() {
    let target = Target::start();
    let bystander = target.bystander();
    let names: Vec<_> = (0..10_000).map(|number| format!("X-{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let long = "x".repeat(1 << 20);
    for headers in [&many[..], &[("X-Long", &long)], &[(&long, "x")]] {
        for _ in 0..5 {
            let mut connection = Connection::open(target.address()).await;
            // The answer comes before all of it is sent.
            let _refused = connection.stream.write_all(request("POST", "/mcp", headers, "").as_bytes()).await;
            assert_eq!(connection.read().await.unwrap().status, 431);
            connection.closed().await;
        }
    }
    bystander.assert_unharmed();
    target.took_at_most(8, Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_a_gibibyte_or_without_end_is_413() {
    let target = Target::start();
    let bystander = target.bystander();
    for _ in 0..10 {
        let mut announced = Connection::open(target.address()).await;
        announced.write(request("POST", "/mcp", &[JSON, ("Content-Length", "1073741824")], "")).await;
        // It goes on sending until it is told.
        let _refused = announced.stream.write_all(&vec![b' '; 1 << 20]).await;
        let began = Instant::now();
        assert_eq!(announced.read().await.unwrap().refusal(), (413, 413));
        assert!(began.elapsed() < Duration::from_secs(1), "the refusal does not wait for the body");
    }
    let address = target.address();
    let endless = (0..16).map(|_| {
        tokio::spawn(async move {
            let mut endless = Connection::open(address).await;
            endless.write(request("POST", "/mcp", &[JSON, ("Transfer-Encoding", "chunked")], "")).await;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(1 << 16));
            let mut sent = 0;
            // Until nobody takes it any more: far from a gibibyte.
            while sent < 1 << 30 && endless.stream.write_all(chunk.as_bytes()).await.is_ok() {
                sent += chunk.len();
            }
            sent
        })
    });
    for sent in futures::future::join_all(endless).await {
        let sent = sent.unwrap();
        assert!(sent < 64 << 20, "{sent} bytes of an endless body were taken");
    }
    bystander.assert_unharmed();
    // Sixteen bodies of 4 MiB may be held at once: the budget for bodies, and the room that they grow into.
    target.took_at_most(160, Duration::from_secs(15));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_bodies_are_415_and_never_unpacked() {
    let target = Target::start();
    // What a megabyte of zeros looks like; a bomb is the same again and again.
    let packed = "\u{1f}\u{8b}".repeat(1000);
    for encoding in ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip, gzip", "unheard-of"] {
        let headers = [("Content-Encoding", encoding)];
        assert_eq!(post(target.address(), &headers, &packed).await.refusal(), (415, 415), "{encoding}");
    }
    for coding in ["gzip, chunked", "gzip", "chunked, gzip", "identity"] {
        let headers = [JSON, ("Transfer-Encoding", coding)];
        let mut connection = Connection::open(target.address()).await;
        connection.write(request("POST", "/mcp", &headers, "")).await;
        connection.write("0\r\n\r\n").await;
        let status = connection.read().await.unwrap().status;
        assert!([400, 415, 501].contains(&status), "{coding}: {status}");
    }
    target.took_at_most(4, Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_large_bodies_at_once_stay_within_the_budget() {
    let target = Target::start();
    let bystander = target.bystander();
    let address = target.address();
    let body = modern_body(
        1,
        "tools/call",
        json!({"name": "fixed", "arguments": {"a": "b".repeat((4 << 20) - 1000)}}),
    );
    let body = std::sync::Arc::new(body);
    let calls = (0..100).map(|_| {
        let body = body.clone();
        tokio::spawn(async move {
            let headers = [
                JSON,
                ("MCP-Protocol-Version", "2026-07-28"),
                ("Mcp-Method", "tools/call"),
                ("Mcp-Name", "fixed"),
            ];
            send(address, "POST", "/mcp", &headers, &body).await.status
        })
    });
    let statuses: Vec<_> = futures::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert!(
        statuses.contains(&200) && statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    bystander.assert_unharmed();
    target.took_at_most(192, Duration::from_secs(30));
}
