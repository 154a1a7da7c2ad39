//! Room for calls: the queue, the deadline in it, and refusing what would wait in vain.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mcp_server_config::{Duration as Span, Shedding, ToolRateLimit};
use serde_json::json;

use crate::harness::{
    Connection, JSON, Server, call, counts, eventually, legacy, modern, modern_body, reaches, request, send,
    server, text,
};

const CALL: [(&str, &str); 4] =
    [JSON, ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "wait")];

/// A server with one permit and a queue.
async fn narrow(max_queued: u32, queue_timeout: Span) -> Server {
    server(|config| {
        let performance = &mut config.service.performance;
        performance.max_concurrent_requests = Some(1);
        performance.max_queued = Some(max_queued);
        performance.queue_timeout = Some(queue_timeout);
    })
    .await
}

async fn queued(server: &Server, number: usize) {
    eventually("calls wait", async || server.dispatcher.admission.calls().waiting() == number).await;
}

#[tokio::test]
async fn calls_over_the_limit_wait_their_turn() {
    let server = narrow(10, Span::from_secs(30)).await;
    let address = server.address;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut calls = Vec::new();
    for number in 0..4 {
        let order = order.clone();
        calls.push(tokio::spawn(async move {
            assert_eq!(text(&call(address, "wait", json!({})).await.result()), "waited");
            order.lock().unwrap().push(number);
        }));
        reaches(&server.backend.begun, 1).await;
        queued(&server, number).await;
    }
    for method in ["ping", "initialize"] {
        assert_eq!(legacy(address, method, json!({})).await.status, 200, "control messages never wait");
    }
    assert_eq!(modern(address, "tools/list", json!({})).await.status, 200);
    assert_eq!(send(address, "GET", "/health", &[], "").await.status, 200);
    for number in 0..4 {
        server.backend.release.add_permits(1);
        eventually("one more is answered", async || order.lock().unwrap().len() == number + 1).await;
    }
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3], "who came first goes first");
    counts(&server, r#"mcp_server_queue_duration_seconds_count{limit="server"}"#, 3).await;
    counts(&server, r#"mcp_server_queued_calls{limit="server"}"#, 0).await;
    counts(&server, "mcp_server_permits_in_use", 0).await;
}

#[tokio::test]
async fn a_wait_that_is_too_long_ends_in_503() {
    let server = narrow(10, Span::from_millis(50)).await;
    let address = server.address;
    let running = tokio::spawn(async move { call(address, "wait", json!({})).await });
    reaches(&server.backend.begun, 1).await;
    let refused = call(address, "echo", json!({})).await;
    assert_eq!(refused.refusal(), (503, 503));
    assert_eq!(refused.json()["id"], 1);
    assert!(refused.header("retry-after").is_some());
    counts(&server, r#"mcp_server_shed_total{limit="server",reason="queue_timeout"}"#, 1).await;
    server.backend.release.add_permits(1);
    assert_eq!(running.await.unwrap().status, 200);
    assert_eq!(call(address, "echo", json!({})).await.status, 200);
}

#[tokio::test]
async fn the_wait_is_a_part_of_the_time_that_a_request_has() {
    let server = server(|config| {
        let performance = &mut config.service.performance;
        performance.max_concurrent_requests = Some(1);
        performance.request_timeout = Some(Span::from_millis(300));
        performance.queue_timeout = Some(Span::from_secs(600));
    })
    .await;
    let address = server.address;
    let first = tokio::spawn(async move { call(address, "wait", json!({})).await });
    reaches(&server.backend.begun, 1).await;
    let began = Instant::now();
    let second = call(address, "wait", json!({})).await;
    assert!(began.elapsed() < Duration::from_secs(10), "not the ten minutes of the queue");
    assert!([(200, 504), (503, 503)].contains(&second.refusal()), "{second:?}");
    assert_eq!(first.await.unwrap().refusal(), (200, 504));
    eventually("permits come back", async || server.dispatcher.admission.calls().used() == 0).await;
}

#[tokio::test]
async fn what_would_wait_in_vain_is_refused_before_its_body_is_read() {
    let server = narrow(0, Span::from_secs(5)).await;
    let address = server.address;
    let running = tokio::spawn(async move { call(address, "wait", json!({})).await });
    reaches(&server.backend.begun, 1).await;
    let head = request("POST", "/mcp", &[&CALL[..], &[("Content-Length", "1000000")]].concat(), "");
    let mut connection = Connection::open(address).await;
    connection.write(head).await;
    let refused = connection.read().await.unwrap();
    assert_eq!(refused.refusal(), (503, 503));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(legacy(address, "ping", json!({})).await.status, 200);
    counts(&server, r#"mcp_server_shed_total{limit="server",reason="queue_full"}"#, 1).await;
    server.backend.release.add_permits(1);
    assert_eq!(running.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_busy_server_does_not_end_the_session_of_an_older_client() {
    let server = narrow(0, Span::from_secs(5)).await;
    let address = server.address;
    let running = tokio::spawn(async move { call(address, "wait", json!({})).await });
    reaches(&server.backend.begun, 1).await;
    // However large it is: what it is, and its id, only the body says.
    for size in [1, 200_000] {
        let arguments = json!({"name": "echo", "arguments": {"a": "x".repeat(size)}});
        let refused = legacy(address, "tools/call", arguments).await;
        let result = refused.result();
        assert_eq!((&result["isError"], &refused.json()["id"]), (&json!(true), &json!(1)));
        let message = text(&result);
        assert!(
            message.starts_with("the server is busy") && message.ends_with("try again in 1 s"),
            "{message}"
        );
    }
    let overloaded =
        r#"mcp_server_requests_total{era="legacy",method="tools/call",outcome="overloaded",tool="echo"}"#;
    counts(&server, overloaded, 2).await;
    server.backend.release.add_permits(1);
    assert_eq!(running.await.unwrap().status, 200);
}

#[tokio::test]
async fn without_shedding_every_body_is_read() {
    let server = server(|config| {
        let performance = &mut config.service.performance;
        performance.max_concurrent_requests = Some(1);
        performance.max_queued = Some(0);
        performance.shedding = Some(Shedding::Off);
    })
    .await;
    let address = server.address;
    let running = tokio::spawn(async move { call(address, "wait", json!({})).await });
    reaches(&server.backend.begun, 1).await;
    let body = modern_body(7, "tools/call", json!({"name": "wait"}));
    let mut connection = Connection::open(address).await;
    let head =
        request("POST", "/mcp", &[&CALL[..], &[("Content-Length", &body.len().to_string())]].concat(), "");
    connection.write(head).await;
    connection.write(body).await;
    let refused = connection.read().await.unwrap();
    assert_eq!((refused.refusal(), &refused.json()["id"]), ((503, 503), &json!(7)));
    server.backend.release.add_permits(1);
    assert_eq!(running.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_the_queue() {
    let server = narrow(10, Span::from_secs(30)).await;
    let address = server.address;
    let running = tokio::spawn(async move { call(address, "wait", json!({})).await });
    reaches(&server.backend.begun, 1).await;
    let mut impatient = Connection::open(address).await;
    impatient
        .write(request("POST", "/mcp", &CALL, &modern_body(1, "tools/call", json!({"name": "wait"}))))
        .await;
    queued(&server, 1).await;
    drop(impatient);
    queued(&server, 0).await;
    server.backend.release.add_permits(1);
    assert_eq!(running.await.unwrap().status, 200);
    assert_eq!(*server.backend.begun.borrow(), 1, "what nobody waits for is not begun");
}

#[tokio::test]
async fn a_reload_changes_the_limits_of_those_who_wait() {
    let server = narrow(10, Span::from_secs(30)).await;
    let address = server.address;
    let calls = [(); 3].map(|()| tokio::spawn(async move { call(address, "wait", json!({})).await }));
    queued(&server, 2).await;
    server.reconfigure(|config| config.service.performance.max_concurrent_requests = Some(2));
    reaches(&server.backend.begun, 2).await;
    assert_eq!(
        (server.dispatcher.admission.calls().used(), server.dispatcher.admission.calls().waiting()),
        (2, 1)
    );
    server.backend.release.add_permits(3);
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
}

/// Four permits, of which one tool may use one.
async fn with_a_slow_tool(request_timeout: Span) -> Server {
    server(|config| {
        let performance = &mut config.service.performance;
        performance.max_concurrent_requests = Some(4);
        performance.request_timeout = Some(request_timeout);
        let slow = ToolRateLimit { r#match: "wait".into(), concurrency: Some(1), ..ToolRateLimit::default() };
        config.service.rate_limit.tools = vec![slow];
    })
    .await
}

#[tokio::test]
async fn a_slow_tool_with_a_limit_of_its_own_starves_nobody() {
    let server = with_a_slow_tool(Span::from_secs(60)).await;
    let address = server.address;
    let running = tokio::spawn(async move { call(address, "wait", json!({})).await });
    reaches(&server.backend.begun, 1).await;
    let waiting = tokio::spawn(async move { call(address, "wait", json!({})).await });
    counts(&server, r#"mcp_server_queued_calls{limit="tool"}"#, 1).await;
    // Its part of the queue is as large as its part of the permits.
    for _ in 0..10 {
        let refused = call(address, "wait", json!({})).await;
        assert_eq!(refused.refusal(), (503, 503));
        assert!(refused.json()["error"]["message"].as_str().unwrap().starts_with("this tool is busy"));
    }
    for _ in 0..10 {
        assert_eq!(call(address, "echo", json!({})).await.status, 200);
    }
    assert_eq!(server.dispatcher.admission.calls().used(), 1, "who waits for the tool holds no permit");
    counts(&server, r#"mcp_server_shed_total{limit="tool",reason="queue_full"}"#, 10).await;
    server.backend.release.add_permits(2);
    for call in [running, waiting] {
        assert_eq!(text(&call.await.unwrap().result()), "waited");
    }
    assert_eq!(server.dispatcher.admission.calls().used(), 0);
}

#[tokio::test]
async fn a_tool_that_takes_too_long_hears_of_it_and_the_next_one_begins() {
    let server = with_a_slow_tool(Span::from_millis(200)).await;
    for number in 1..=3 {
        assert_eq!(call(server.address, "wait", json!({})).await.refusal(), (200, 504));
        reaches(&server.backend.cancelled, number).await;
        eventually("permits come back", async || server.dispatcher.admission.calls().used() == 0).await;
    }
    // A reload keeps the gate of the tool, and takes it away with the limit.
    server.reconfigure(|config| config.service.rate_limit.tools.clear());
    let address = server.address;
    let calls = [(); 3].map(|()| tokio::spawn(async move { call(address, "wait", json!({})).await }));
    reaches(&server.backend.begun, 6).await;
    for call in calls {
        assert_eq!(call.await.unwrap().refusal(), (200, 504));
    }
}

/// Keeps so many clients calling for a while: answers in good order, refusals, and how long the refusals took.
async fn load(server: &Server, clients: usize, pause: Duration, time: Duration) -> (usize, Vec<Duration>) {
    let address = server.address;
    let answered = Arc::new(AtomicUsize::new(0));
    let until = Instant::now() + time;
    let body = modern_body(1, "tools/call", json!({"name": "sleep", "arguments": {"ms": 20}}));
    let headers = CALL.map(|(name, value)| if name == "Mcp-Name" { (name, "sleep") } else { (name, value) });
    let message = request("POST", "/mcp", &headers, &body);
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            let (answered, message) = (answered.clone(), message.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                let mut refusals = Vec::new();
                while Instant::now() < until {
                    let began = Instant::now();
                    connection.write(&message).await;
                    let response = connection.read().await.expect("the connection stays open");
                    match response.status {
                        200 => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        503 => {
                            assert!(response.header("retry-after").is_some());
                            refusals.push(began.elapsed());
                            tokio::time::sleep(pause).await;
                        }
                        other => panic!("{other}"),
                    }
                }
                refusals
            })
        })
        .collect();
    let mut refusals = Vec::new();
    for client in clients {
        refusals.extend(client.await.unwrap());
    }
    (answered.load(Ordering::Relaxed), refusals)
}

/// Four permits of 20 ms each are 200 calls a second; five times that is what comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_times_the_load_costs_next_to_nothing_of_what_is_answered() {
    let server = server(|config| {
        let performance = &mut config.service.performance;
        performance.max_concurrent_requests = Some(4);
        performance.max_queued = Some(4);
    })
    .await;
    // Both are measured alike, one after the other; where the machine was busy with something else meanwhile, again.
    for attempt in 1..=4 {
        let time = Duration::from_millis(1500);
        // Eight clients keep four permits busy.
        let (peak, _) = load(&server, 8, Duration::ZERO, time).await;
        // Forty-eight: those who are refused come back after 40 ms, 1000 times a second in all.
        let (answered, mut refusals) = load(&server, 48, Duration::from_millis(40), time).await;
        refusals.sort_unstable();
        let offered = answered + refusals.len();
        let median = refusals[refusals.len() / 2];
        println!("{answered} answers under load, {peak} without; {offered} calls; refusals take {median:?}");
        if offered >= 3 * peak && 10 * answered >= 9 * peak && median <= Duration::from_millis(10) {
            return;
        }
        assert!(
            attempt < 4,
            "{answered} of {offered} answered, {peak} without load; refusals take {median:?}"
        );
    }
}
