//! How often one may ask: `rate_limit.*`.

use serde_json::json;

use super::{Case, Running, fresh, soon};
use crate::harness::{Response, send, text};

pub(super) async fn enabled(case: Case) {
    limited(case, 1, 2).shows([(json!(true), "2"), (json!(false), "10")], passes).await;
}

pub(super) async fn burst_size(case: Case) {
    limited(case, 1, 1).shows([(json!(2), "2"), (json!(5), "5")], passes).await;
}

pub(super) async fn requests_per_minute(case: Case) {
    limited(case, 1, 1)
        .shows([(json!(1), "a minute"), (json!(60), "a second")], async |running| {
            let caller = caller();
            ask(running, &caller).await;
            let refused = ask(running, &caller).await.result();
            let wait = text(&refused).strip_suffix(" s").and_then(|message| message.rsplit(' ').next());
            match wait.map(|seconds| seconds.parse::<u32>().unwrap()) {
                Some(0..=1) => "a second",
                Some(55..=60) => "a minute",
                _ => "another time",
            }
            .to_owned()
        })
        .await;
}

/// Callers are counted where those are forgotten that need not be remembered.
pub(super) async fn cleanup_interval(case: Case) {
    limited(case, 1, 10)
        .shows([(json!(3600), "later"), (json!(1), "soon")], async |running| {
            let before = callers(running).await;
            ask(running, &caller()).await;
            if soon(async || callers(running).await > before).await { "soon" } else { "later" }.to_owned()
        })
        .await;
}

/// So many a minute and at once, for each client behind the proxy that the test is.
fn limited(case: Case, requests_per_minute: u32, burst_size: u32) -> Case {
    case.with(json!({
        "rate_limit": {"enabled": true, "requests_per_minute": requests_per_minute, "burst_size": burst_size},
        "rateLimit": {"trustedProxies": ["127.0.0.0/8"]},
    }))
}

/// The address of a client that has not asked before.
fn caller() -> String {
    let number = fresh();
    format!("198.51.{}.{}", number / 250, number % 250 + 1)
}

async fn ask(running: &Running, caller: &str) -> Response {
    running.call_with(&[("X-Forwarded-For", caller)], "say", json!({"text": "hi"})).await
}

/// How many requests of a new caller pass, of ten.
async fn passes(running: &Running) -> String {
    let caller = caller();
    let mut count = 0;
    while count < 10 && ask(running, &caller).await.result()["isError"] != true {
        count += 1;
    }
    count.to_string()
}

async fn callers(running: &Running) -> u32 {
    let metrics = send(running.served.admin, "GET", "/metrics", &[], "").await.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix("mcp_server_rate_limit_callers "));
    line.map_or(0, |count| count.parse().unwrap())
}
