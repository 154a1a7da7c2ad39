//! Calls of declared tools that share a request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use mcp_server::backend::Backend as _;
use mcp_server::dispatch::Dispatcher;
use mcp_server::dispatch::snapshot::Snapshot;
use mcp_server::http::body::ARRIVAL;
use mcp_server::http::pulse::Patience;
use mcp_server::observe::metrics::Metrics;

use crate::declared::{Tools, config, cx};
use crate::harness::{call, eventually, open, reaches};
use crate::upstream::{Upstream, text};

/// An upstream of lists: doubles numbers, and waits at the gate.
async fn doubling(gate: Arc<Semaphore>) -> Upstream {
    Upstream::start(move |request: Request<Bytes>| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            assert_eq!(body["model"], "small");
            let inputs = body["inputs"].as_array().unwrap();
            if inputs.iter().any(|input| input["n"] == 422) {
                return text(422, "one of them is bad");
            }
            let one = |input: &Value| match input["n"].as_i64() {
                Some(7) => json!({"error": {"reason": "seven"}}),
                Some(n) => json!({"value": {"double": 2 * n}, "error": null}),
                None => json!({"error": "not a number"}),
            };
            let results: Vec<_> = inputs.iter().map(one).collect();
            text(200, json!({"results": results}).to_string())
        }
    })
    .await
}

fn batching(upstream: &Upstream, batching: Value) -> Value {
    json!({"performance": {"batching": batching}, "tools": [{"name": "double", "http": {
        "url": upstream.url("/"), "body": {"json": {"n": "{{args.n}}"}},
        "batch": {"items": "/inputs", "body": {"model": "small"}, "results": "/results", "error": "/error"},
        "result": {"pointer": "/value"}}}]})
}

/// How many items each request had.
fn sizes(upstream: &Upstream) -> Vec<usize> {
    let requests = upstream.seen.requests.lock().unwrap();
    let size = |request: &Request<Bytes>| {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        body["inputs"].as_array().unwrap().len()
    };
    requests.iter().map(size).collect()
}

fn spawn(tools: &Arc<Tools>, principal: Option<&'static str>, n: Value) -> tokio::task::JoinHandle<Value> {
    let tools = tools.clone();
    tokio::spawn(async move {
        let answer = tools.call_with("double", &json!({"n": n}), cx(principal)).await.unwrap();
        serde_json::from_str(answer.result.as_str()).unwrap()
    })
}

#[tokio::test]
async fn calls_that_come_while_one_is_under_way_share_a_request_and_a_bad_one_harms_no_other() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = doubling(gate.clone()).await;
    let settings = json!({"mode": "On", "maxSize": 4, "maxDelay": "10s"});
    let tools = Arc::new(Tools::new(&batching(&upstream, settings)));
    let first = spawn(&tools, None, json!(1));
    // Nothing was under way: it went out at once, by itself.
    reaches(&upstream.seen.begun, 1).await;
    // As many as allowed go out although another is under way.
    let four = [2, 7, 4, 5].map(|n| spawn(&tools, None, json!(n)));
    reaches(&upstream.seen.begun, 2).await;
    let rest = [spawn(&tools, None, json!("x")), spawn(&tools, None, json!(9))];
    gate.add_permits(1000);
    assert_eq!(first.await.unwrap()["structuredContent"], json!({"double": 2}));
    let [a, b, c, d] = four;
    assert_eq!(a.await.unwrap()["structuredContent"], json!({"double": 4}));
    let bad = b.await.unwrap();
    assert_eq!(bad["isError"], true);
    assert!(bad["content"][0]["text"].as_str().unwrap().contains("seven"), "{bad}");
    assert_eq!(c.await.unwrap()["structuredContent"], json!({"double": 8}));
    assert_eq!(d.await.unwrap()["structuredContent"], json!({"double": 10}));
    let [x, nine] = rest;
    assert_eq!(x.await.unwrap()["isError"], true);
    assert_eq!(nine.await.unwrap()["structuredContent"], json!({"double": 18}));
    let sizes = sizes(&upstream);
    assert_eq!((sizes[0], sizes[1], sizes.iter().sum::<usize>()), (1, 4, 7), "{sizes:?}");
    let metrics = tools.metrics();
    assert!(metrics.contains("mcp_server_batch_flushes_total{reason=\"size\"} 1"), "{metrics}");
    assert!(metrics.contains("mcp_server_batch_size_sum 7"), "{metrics}");
}

#[tokio::test]
async fn what_waits_goes_out_after_its_delay_although_something_is_under_way() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = doubling(gate.clone()).await;
    let settings = json!({"mode": "On", "maxDelay": "20ms"});
    let tools = Arc::new(Tools::new(&batching(&upstream, settings)));
    let first = spawn(&tools, None, json!(1));
    reaches(&upstream.seen.begun, 1).await;
    let second = spawn(&tools, None, json!(2));
    reaches(&upstream.seen.begun, 2).await;
    gate.add_permits(2);
    assert_eq!(first.await.unwrap()["structuredContent"], json!({"double": 2}));
    assert_eq!(second.await.unwrap()["structuredContent"], json!({"double": 4}));
    assert!(tools.metrics().contains("mcp_server_batch_flushes_total{reason=\"delay\"} 1"));
}

#[tokio::test]
async fn callers_are_never_mixed() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = doubling(gate.clone()).await;
    let settings = json!({"mode": "On", "maxDelay": "10s"});
    let tools = Arc::new(Tools::new(&batching(&upstream, settings)));
    let mut calls = Vec::new();
    for (index, principal) in [None, Some("alice"), Some("bob")].into_iter().enumerate() {
        calls.push(spawn(&tools, principal, json!(1)));
        // Each finds nothing of its own under way.
        reaches(&upstream.seen.begun, index + 1).await;
    }
    for principal in [Some("alice"), Some("bob"), None, Some("alice")] {
        calls.push(spawn(&tools, principal, json!(2)));
    }
    gate.add_permits(1000);
    for call in calls {
        assert!(call.await.unwrap().get("isError").is_none());
    }
    // At the most two calls of alice's went together.
    assert!(
        sizes(&upstream).len() >= 6 && sizes(&upstream).iter().all(|size| *size <= 2),
        "{:?}",
        sizes(&upstream)
    );
}

#[tokio::test]
async fn where_a_whole_list_is_refused_each_item_is_asked_by_itself() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = doubling(gate.clone()).await;
    let settings = json!({"mode": "On", "maxSize": 3, "maxDelay": "10s"});
    let tools = Arc::new(Tools::new(&batching(&upstream, settings)));
    let first = spawn(&tools, None, json!(1));
    reaches(&upstream.seen.begun, 1).await;
    let three = [2, 422, 3].map(|n| spawn(&tools, None, json!(n)));
    gate.add_permits(1000);
    first.await.unwrap();
    let [two, bad, three] = three;
    assert_eq!(two.await.unwrap()["structuredContent"], json!({"double": 4}));
    assert!(bad.await.unwrap()["content"][0]["text"].as_str().unwrap().contains("422"));
    assert_eq!(three.await.unwrap()["structuredContent"], json!({"double": 6}));
}

#[tokio::test]
async fn without_batching_each_call_is_a_list_of_one_and_all_that_leave_take_a_request_back() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = doubling(gate.clone()).await;
    let tools = Arc::new(Tools::new(&batching(&upstream, json!({"mode": "Off"}))));
    let calls = [1, 2].map(|n| spawn(&tools, None, json!(n)));
    reaches(&upstream.seen.begun, 2).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    reaches(&upstream.seen.dropped, 2).await;
    assert_eq!(sizes(&upstream), [1, 1]);
}

#[tokio::test]
async fn results_that_do_not_match_the_items_are_nobodys() {
    let upstream = Upstream::start(|request: Request<Bytes>| async move {
        match request.uri().path() {
            "/few" => text(200, "[]"),
            "/none" => text(200, r#"{"results":1}"#),
            _ => text(500, "broken"),
        }
    })
    .await;
    let tool = |name: &str| json!({"name": name, "http": {"url": upstream.url(&format!("/{name}")), "body": {"json": "{{args}}"}, "batch": {}}});
    let tools = Tools::new(&json!({"tools": [tool("few"), tool("none"), tool("broken")]}));
    assert!(tools.error("few", json!({})).await.contains("0 results to 1 items"));
    assert!(tools.error("none", json!({})).await.contains("no list of results"));
    assert!(tools.error("broken", json!({})).await.contains("500"));
    assert_eq!(upstream.seen.last().body().as_ref(), b"[{}]");
}

#[tokio::test]
async fn calls_that_share_a_request_take_room_for_one() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = doubling(gate.clone()).await;
    let mut document = batching(&upstream, json!({"mode": "On", "maxSize": 4, "maxDelay": "10s"}));
    document["auth"] = json!({"mode": "Disabled"});
    document["rateLimit"] = json!({"mode": "Off"});
    // Room for one request at a time, and one that waits.
    document["performance"]["maxConcurrentRequests"] = json!(1);
    document["performance"]["maxQueued"] = json!(1);
    let tools = Tools::new(&document).tools;
    let catalogue = tools.catalogue().borrow().clone();
    let snapshot = Snapshot::new(Arc::new(config(&document)), Arc::default(), &catalogue);
    let dispatcher = Arc::new(Dispatcher::new(tools, snapshot, Arc::new(Metrics::new())));
    let (address, _serving) = open(&dispatcher, Patience::default(), 100, ARRIVAL).await;
    let calls = dispatcher.admission.calls();
    let ask = |n: i64| tokio::spawn(async move { call(address, "double", json!({"n": n})).await });
    let first = ask(1);
    reaches(&upstream.seen.begun, 1).await;
    // As many as fit into a request, which waits for room: each by itself, three of them would have been refused.
    let four = [2, 3, 4, 5].map(ask);
    eventually("the four wait as one", async || calls.waiting() == 1).await;
    assert_eq!(calls.used(), 1);
    gate.add_permits(2);
    assert_eq!(first.await.unwrap().result()["structuredContent"], json!({"double": 2}));
    for (n, answer) in (2..).zip(four) {
        assert_eq!(answer.await.unwrap().result()["structuredContent"], json!({"double": 2 * n}));
    }
    assert_eq!(sizes(&upstream), [1, 4]);
    assert_eq!(*upstream.seen.most.borrow(), 1, "never two requests at once");
}

#[tokio::test]
async fn the_timer_of_a_batch_that_has_gone_does_not_send_the_next_one_early() {
    const DELAY: Duration = Duration::from_millis(400);
    let gate = Arc::new(Semaphore::new(0));
    let upstream = doubling(gate.clone()).await;
    let settings = json!({"mode": "On", "maxSize": 4, "maxDelay": format!("{}ms", DELAY.as_millis())});
    let tools = Arc::new(Tools::new(&batching(&upstream, settings)));
    let first = spawn(&tools, None, json!(1));
    reaches(&upstream.seen.begun, 1).await;
    let second = spawn(&tools, None, json!(2));
    // It waits now, and its timer runs.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(2);
    first.await.unwrap();
    second.await.unwrap();
    // The next ones come while the timer of the second call still runs.
    tokio::time::sleep(DELAY / 2).await;
    let third = spawn(&tools, None, json!(3));
    reaches(&upstream.seen.begun, 3).await;
    let began = Instant::now();
    let fourth = spawn(&tools, None, json!(4));
    reaches(&upstream.seen.begun, 4).await;
    let waited = began.elapsed();
    gate.add_permits(2);
    third.await.unwrap();
    fourth.await.unwrap();
    assert!(waited >= DELAY * 9 / 10, "sent after {waited:?}");
}
