//! How much is done at once, and for how long: `performance.*`.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::Request;
use serde_json::{Value, json};

use super::{Case, Running, fresh};
use crate::upstream::{Upstream, text};

pub(super) async fn max_concurrent_requests(case: Case) {
    let upstream = slow(50).await;
    asking(case, &upstream)
        .shows([(json!(1), "1"), (json!(3), "3")], async |running| at_once(running, &upstream, 4).await)
        .await;
}

pub(super) async fn connection_pool_size(case: Case) {
    let upstream = slow(50).await;
    asking(case, &upstream)
        .shows([(json!(1), "1"), (json!(3), "3")], async |running| at_once(running, &upstream, 4).await)
        .await;
}

pub(super) async fn request_timeout(case: Case) {
    let upstream = slow(300).await;
    asking(case, &upstream)
        .shows([(json!(30), "answered"), (json!(0.05), "given up")], async |running| {
            let answer = running.call("ask", json!({})).await.json();
            let result = &answer["result"];
            let answered = result["content"][0]["text"] == "[]" && result.get("isError").is_none();
            if answered { "answered" } else { "given up" }.to_owned()
        })
        .await;
}

/// Calls that take long are worked on by threads of their own.
pub(super) async fn thread_pool_size(case: Case) {
    let list: Vec<_> = (0..3000).collect();
    case.with(json!({"tools": [{"name": "double", "cel": "args.list.map(x, x * 2)"}]}))
        .shows([(json!(1), "1"), (json!(3), "3")], async |running| {
            let calls = (0..6).map(|_| running.call("double", json!({"list": list})));
            for answer in join_all(calls).await {
                assert_eq!(answer.result().get("isError"), None);
            }
            let tasks = fs::read_dir(format!("/proc/{}/task", running.served.child.id())).unwrap();
            let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
            names.filter(|name| name.trim_end() == "tools").count().to_string()
        })
        .await;
}

pub(super) async fn enable_request_batching(case: Case) {
    let upstream = slow(50).await;
    batching(case, &upstream)
        .shows([(json!(true), "together"), (json!(false), "alone")], async |running| {
            if largest(running, &upstream, 4).await > 1 { "together" } else { "alone" }.to_owned()
        })
        .await;
}

pub(super) async fn batch_size(case: Case) {
    let upstream = slow(50).await;
    batching(case, &upstream)
        .shows([(json!(2), "2"), (json!(4), "4")], async |running| {
            largest(running, &upstream, 9).await.to_string()
        })
        .await;
}

/// Whether a call that waits for company goes out although another is under way.
pub(super) async fn batch_timeout(case: Case) {
    let upstream = slow(150).await;
    batching(case, &upstream)
        .shows([(json!(10), "1"), (json!(0.01), "2")], async |running| at_once(running, &upstream, 2).await)
        .await;
}

/// An upstream that takes its time to say what it was told.
async fn slow(millis: u64) -> Upstream {
    Upstream::start(move |request: Request<Bytes>| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        let body = request.into_body();
        text(200, if body.is_empty() { Bytes::from_static(b"[]") } else { body })
    })
    .await
}

fn asking(case: Case, upstream: &Upstream) -> Case {
    case.with(json!({"tools": [{"name": "ask", "http": {"url": upstream.url("/")}}]}))
}

fn batching(case: Case, upstream: &Upstream) -> Case {
    case.with(json!({
        "performance": {"enable_request_batching": true, "batch_timeout": 10},
        "tools": [{"name": "ask", "http": {
            "url": upstream.url("/"), "body": {"json": {"n": "{{args.n}}"}}, "batch": {},
        }}],
    }))
}

async fn ask_often(running: &Running, count: usize) {
    join_all((0..count).map(|_| running.call("ask", json!({"n": fresh()})))).await;
}

/// How many requests the upstream has to answer at once, of so many calls.
async fn at_once(running: &Running, upstream: &Upstream, calls: usize) -> String {
    upstream.seen.most.send_replace(0);
    ask_often(running, calls).await;
    upstream.seen.most.borrow().to_string()
}

/// The most calls that went out in one request.
async fn largest(running: &Running, upstream: &Upstream, calls: usize) -> usize {
    upstream.seen.requests.lock().unwrap().clear();
    ask_often(running, calls).await;
    let requests = upstream.seen.requests.lock().unwrap();
    let size = |request: &Request<Bytes>| {
        let items: Value = serde_json::from_slice(request.body()).unwrap();
        items.as_array().unwrap().len()
    };
    requests.iter().map(size).max().unwrap()
}
