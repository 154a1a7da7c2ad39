//! Many clients who all number their requests alike, and clients who do not wait for answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

use crate::harness::{Connection, JSON, PATIENCE, modern_body, request, server, text};
use crate::hostile_target::Target;

/// Clients at once on one connection.
const TOGETHER: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_10_000_clients_with_one_id_each_gets_its_own_answer() {
    let server = server(|config| config.service.performance.max_queued = Some(10_000)).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let connections: Vec<_> = (0..5)
        .map(|connection| {
            let (address, answered) = (server.address, answered.clone());
            tokio::spawn(async move {
                let stream = tokio::net::TcpStream::connect(address).await.unwrap();
                let (sender, driver) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                        .await
                        .unwrap();
                tokio::spawn(driver);
                for round in 0..10 {
                    let clients = (0..TOGETHER).map(|client| {
                        let who = format!("client-{connection}-{round}-{client}");
                        let body =
                            modern_body(1, "tools/call", json!({"name": "echo", "arguments": {"who": who}}));
                        let request = http::Request::post(format!("http://{address}/mcp"))
                            .header("content-type", "application/json")
                            .header("mcp-protocol-version", "2026-07-28")
                            .header("mcp-method", "tools/call")
                            .header("mcp-name", "echo")
                            .body(Full::new(Bytes::from(body)))
                            .unwrap();
                        let (mut sender, answered) = (sender.clone(), answered.clone());
                        async move {
                            let response = sender.send_request(request).await.unwrap();
                            let body = response.into_body().collect().await.unwrap().to_bytes();
                            let answer: Value = serde_json::from_slice(&body).unwrap();
                            assert_eq!(answer["id"], 1);
                            let expected = format!("nobody: {{\"who\":\"{who}\"}}");
                            assert_eq!(text(&answer["result"]), expected, "crossed: {answer}");
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                    futures::future::join_all(clients).await;
                }
            })
        })
        .collect();
    for connection in connections {
        tokio::time::timeout(2 * PATIENCE, connection).await.unwrap().unwrap();
    }
    assert_eq!(answered.load(Ordering::Relaxed), 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_in_one_breath_are_answered_in_order() {
    let target = Target::start();
    let bystander = target.bystander();
    let mut connection = Connection::open(target.address()).await;
    let body = |id: usize| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "greet", "arguments": {"name": id.to_string()}}}).to_string()
    };
    let all: String = (0..1000).map(|id| request("POST", "/mcp", &[JSON], &body(id))).collect();
    connection.write(all).await;
    for id in 0..1000 {
        let answer = connection.read().await.unwrap();
        assert_eq!(
            (&answer.json()["id"], text(&answer.result())),
            (&json!(id), format!("Hello {id}").as_str())
        );
    }
    bystander.assert_unharmed();
    target.took_at_most(8, Duration::from_secs(5));
}
