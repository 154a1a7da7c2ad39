//! Which answers are kept, where, how many and how long: `cache.*`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Case, Running, fresh};
use crate::harness::{Connection, JSON, request};
use crate::redis_server::RedisServer;

pub(super) async fn enabled(case: Case) {
    caching(case)
        .shows([(json!(true), "hit"), (json!(false), "nothing")], async |running| {
            let text = fresh().to_string();
            ask(running, &text).await;
            ask(running, &text).await
        })
        .await;
}

pub(super) async fn cache_type(case: Case) {
    let redis = RedisServer::start(&[]);
    caching(case)
        .with(json!({"cache": {"redis_url": redis.url()}}))
        .shows([(json!("memory"), "elsewhere"), (json!("redis"), "there")], async |running| {
            let Some(text) = kept(running).await else { return "nowhere".to_owned() };
            if is_kept_in(running, &redis, &text).await { "there" } else { "elsewhere" }.to_owned()
        })
        .await;
}

pub(super) async fn redis_url(case: Case) {
    let (one, two) = (RedisServer::start(&[]), RedisServer::start(&[]));
    caching(case)
        .with(json!({"cache": {"cache_type": "redis"}}))
        .shows([(json!(one.url()), "one"), (json!(two.url()), "two")], async |running| {
            let Some(text) = kept(running).await else { return "nowhere".to_owned() };
            if is_kept_in(running, &one, &text).await {
                return "one".to_owned();
            }
            if is_kept_in(running, &two, &text).await { "two" } else { "elsewhere" }.to_owned()
        })
        .await;
}

/// Whether there is room for many answers of this size.
pub(super) async fn bounded(case: Case, [large, small]: [Value; 2], size: usize) {
    caching(case)
        .shows([(large, "all are kept"), (small, "some are forgotten")], async |running| {
            // More than the cache notes before it tidies up.
            let texts: Vec<_> = (0..150).map(|_| format!("{:x<size$}", fresh())).collect();
            let mut connection = Connection::open(running.served.address).await;
            for text in &texts {
                ask_on(&mut connection, text).await;
            }
            for text in &texts {
                if ask_on(&mut connection, text).await != "hit" {
                    return "some are forgotten".to_owned();
                }
            }
            "all are kept".to_owned()
        })
        .await;
}

pub(super) async fn ttl(case: Case) {
    caching(case)
        .shows([(json!(3600), "hit"), (json!(0.05), "miss")], async |running| {
            let text = fresh().to_string();
            ask(running, &text).await;
            tokio::time::sleep(Duration::from_millis(60)).await;
            ask(running, &text).await
        })
        .await;
}

fn caching(case: Case) -> Case {
    case.with(json!({"cache": {"tools": [{"match": "say"}]}}))
}

/// What the answer to this text says of the cache.
async fn ask(running: &Running, text: &str) -> String {
    ask_on(&mut Connection::open(running.served.address).await, text).await
}

async fn ask_on(connection: &mut Connection, text: &str) -> String {
    let params = json!({"name": "say", "arguments": {"text": text}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let headers = [JSON, ("MCP-Protocol-Version", "2025-11-25")];
    connection.write(request("POST", "/mcp", &headers, &body)).await;
    let result = connection.read().await.expect("an answer").result();
    result["_meta"]["mcp-operator.dev/cache"].as_str().unwrap_or("nothing").to_owned()
}

/// A text whose answer is kept.
async fn kept(running: &Running) -> Option<String> {
    let text = fresh().to_string();
    ask(running, &text).await;
    (ask(running, &text).await == "hit").then_some(text)
}

/// Whether an answer is forgotten when this Redis forgets everything.
async fn is_kept_in(running: &Running, redis: &RedisServer, text: &str) -> bool {
    redis.say("FLUSHALL").unwrap();
    ask(running, text).await == "miss"
}
