//! Cached answers, as callers see them.

use std::time::Duration;

use mcp_server::dispatch::snapshot::Snapshot;
use mcp_server_config::{
    AuthMode, CacheMode, Duration as Span, Literal, Redis, SecretRef, ServerConfig, Sharing, Store, Tool,
    ToolCache,
};
use serde_json::{Value, json};

use crate::harness::{
    Connection, JSON, Server, call, counts, eventually, legacy, modern_body, post, reaches, request, server,
    text,
};
use crate::redis_server::RedisServer;

fn entry(pattern: &str) -> ToolCache {
    ToolCache { r#match: pattern.into(), ..ToolCache::default() }
}

async fn caching(pattern: &str, change: impl FnOnce(&mut ServerConfig)) -> Server {
    server(|config| {
        config.service.cache.tools = vec![entry(pattern)];
        change(config);
    })
    .await
}

/// What `_meta` says of the cache.
fn told(result: &Value) -> &str {
    result["_meta"]["mcp-operator.dev/cache"].as_str().unwrap_or("nothing")
}

async fn asked(server: &Server, tool: &str, arguments: Value) -> (String, String) {
    let result = call(server.address, tool, arguments).await.result();
    (told(&result).to_owned(), text(&result).to_owned())
}

#[tokio::test]
async fn the_same_question_is_answered_once_whatever_its_spelling() {
    let server = caching("echo", |_| {}).await;
    let (first, answer) = asked(&server, "echo", json!({"a": 1, "b": [1.5]})).await;
    assert_eq!(first, "miss");
    let spelt = r#"{"name": "echo", "arguments": { "b":[ 15e-1 ], "\u0061":1 }}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{spelt}}}"#);
    let again = post(server.address, &[("MCP-Protocol-Version", "2025-11-25")], &body).await.result();
    assert_eq!((told(&again), text(&again)), ("hit", answer.as_str()), "of another era, too");
    assert_eq!(asked(&server, "echo", json!({"a": 1.0, "b": [1.5]})).await.0, "miss");
    assert_eq!(asked(&server, "echo", json!({"a": 1, "b": [1.5]})).await.0, "hit");
    counts(&server, r#"mcp_server_cache_requests_total{outcome="hit"}"#, 2).await;
    counts(&server, r#"mcp_server_cache_requests_total{outcome="miss"}"#, 2).await;
}

#[tokio::test]
async fn a_tool_without_an_entry_knows_nothing_of_a_cache() {
    let server = caching("other", |_| {}).await;
    for _ in 0..2 {
        assert_eq!(asked(&server, "echo", json!({})).await.0, "nothing");
    }
    let off = caching("echo", |config| config.service.cache.mode = Some(CacheMode::Off)).await;
    for _ in 0..2 {
        assert_eq!(asked(&off, "echo", json!({})).await.0, "nothing");
    }
}

#[tokio::test]
async fn each_era_reads_a_kept_answer_in_its_own_shape() {
    let server = caching("shape", |_| {}).await;
    for expected in ["miss", "hit"] {
        let modern = call(server.address, "shape", json!({})).await.result();
        assert_eq!((told(&modern), &modern["structuredContent"]), (expected, &json!([1])));
        assert!(modern["_meta"]["io.modelcontextprotocol/serverInfo"].is_object(), "{modern}");
    }
    let legacy = legacy(server.address, "tools/call", json!({"name": "shape"})).await.result();
    assert_eq!(told(&legacy), "hit");
    assert!(legacy.get("structuredContent").is_none() && legacy.get("resultType").is_none(), "{legacy}");
}

#[tokio::test]
async fn errors_and_panics_are_not_kept() {
    let server = caching("*", |_| {}).await;
    for tool in ["fail", "panic"] {
        for _ in 0..2 {
            let result = call(server.address, tool, json!({})).await.result();
            assert_eq!((told(&result), &result["isError"]), ("miss", &json!(true)), "{tool}");
        }
    }
}

#[tokio::test]
async fn callers_do_not_see_each_other_s_answers_unless_they_may() {
    for (scope, expected) in [(Sharing::Private, "miss"), (Sharing::Public, "hit")] {
        let server = caching("echo", |config| {
            config.service.auth.mode = Some(AuthMode::Optional);
            config.service.cache.tools[0].scope = Some(scope);
        })
        .await;
        let standard =
            [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "echo")];
        let body = modern_body(1, "tools/call", json!({"name": "echo"}));
        let mut first = true;
        for key in [Some("key-of-ci"), Some("key-of-ops"), None] {
            let headers: Vec<_> = standard.into_iter().chain(key.map(|key| ("X-API-Key", key))).collect();
            let result = post(server.address, &headers, &body).await.result();
            let own = text(&result).split(':').next().unwrap().to_owned();
            assert_eq!(told(&result), if first { "miss" } else { expected }, "{scope:?} {key:?}");
            if scope == Sharing::Private {
                assert_eq!(own, key.map_or("nobody", |key| &key["key-of-".len()..]));
            }
            first = false;
        }
    }
}

#[tokio::test]
async fn an_answer_is_used_as_long_as_it_says() {
    let server =
        caching("echo", |config| config.service.cache.tools[0].ttl = Some(Span::from_millis(200))).await;
    assert_eq!(asked(&server, "echo", json!({})).await.0, "miss");
    eventually("it expires", async || {
        tokio::time::sleep(Duration::from_millis(210)).await;
        asked(&server, "echo", json!({})).await.0 == "miss"
    })
    .await;
}

#[tokio::test]
async fn many_who_ask_the_same_at_once_cause_one_call() {
    let server = caching("wait", |_| {}).await;
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let address = server.address;
            tokio::spawn(async move { call(address, "wait", json!({"a": 1})).await.result() })
        })
        .collect();
    reaches(&server.backend.begun, 1).await;
    eventually("all wait", async || server.dispatcher.metrics.in_flight.get() == 20).await;
    server.backend.release.add_permits(1);
    for caller in callers {
        let result = caller.await.unwrap();
        assert_eq!(text(&result), "waited");
    }
    assert_eq!(*server.backend.begun.borrow(), 1);
    assert_eq!(asked(&server, "wait", json!({"a": 1})).await.0, "hit");
}

#[tokio::test]
async fn who_began_a_call_may_leave_without_spoiling_it_for_the_rest() {
    let server = caching("wait", |_| {}).await;
    let headers =
        [JSON, ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "wait")];
    let body = modern_body(1, "tools/call", json!({"name": "wait", "arguments": {}}));
    let mut leader = Connection::open(server.address).await;
    leader.write(request("POST", "/mcp", &headers, &body)).await;
    reaches(&server.backend.begun, 1).await;
    let address = server.address;
    let follower = tokio::spawn(async move { call(address, "wait", json!({})).await.result() });
    eventually("both wait", async || server.dispatcher.metrics.in_flight.get() == 2).await;
    drop(leader);
    eventually("one waits", async || server.dispatcher.metrics.in_flight.get() == 1).await;
    server.backend.release.add_permits(1);
    assert_eq!(text(&follower.await.unwrap()), "waited");
    assert_eq!((*server.backend.begun.borrow(), *server.backend.cancelled.borrow()), (1, 0));

    // Where nobody is left, the call is taken back.
    let body = modern_body(1, "tools/call", json!({"name": "wait", "arguments": {"b": 1}}));
    let mut alone = Connection::open(server.address).await;
    alone.write(request("POST", "/mcp", &headers, &body)).await;
    reaches(&server.backend.begun, 2).await;
    drop(alone);
    reaches(&server.backend.cancelled, 1).await;
}

#[tokio::test]
async fn a_reload_forgets_the_answers_of_changed_tools_only() {
    let tool = |text: &str| Tool { name: "echo".into(), text: Some(text.into()), ..Tool::default() };
    let server = caching("*", |config| config.service.tools = vec![tool("one")]).await;
    let reload = |change: &dyn Fn(&mut ServerConfig)| {
        let mut config = (*server.dispatcher.snapshot().config).clone();
        change(&mut config);
        let catalogue = mcp_server::backend::Backend::catalogue(&*server.backend).borrow().clone();
        server.dispatcher.replace(Snapshot::new(config.into(), std::sync::Arc::default(), &catalogue));
    };
    for tool in ["echo", "shape"] {
        let result = call(server.address, tool, json!({})).await.result();
        assert_eq!(told(&result), "miss");
    }
    reload(&|config| {
        config.service.server_name = Some("other".into());
        config.service.cache.max_entries = Some(7);
    });
    assert_eq!(asked(&server, "echo", json!({})).await.0, "hit");
    reload(&|config| config.service.tools = vec![tool("two")]);
    assert_eq!(asked(&server, "echo", json!({})).await.0, "miss");
    let shape = call(server.address, "shape", json!({})).await.result();
    assert_eq!(told(&shape), "hit");
}

#[tokio::test]
async fn replicas_share_answers_and_do_without_redis_when_it_is_gone() {
    let mut redis = RedisServer::start(&[]);
    let replica = async || {
        let url = SecretRef { value: Some(Literal::new(redis.url())), ..SecretRef::default() };
        let server = caching("*", |config| {
            config.service.cache.store = Some(Store::Redis);
            config.service.redis =
                Redis { url: Some(url), key_prefix: Some("mcp:suite".into()), ..Redis::default() };
        })
        .await;
        counts(&server, "mcp_server_redis_up", 1).await;
        server
    };
    let (one, two) = (replica().await, replica().await);
    assert_eq!(asked(&one, "echo", json!({"a": 1})).await.0, "miss");
    assert_eq!(asked(&two, "echo", json!({"a": 1})).await, ("hit".into(), "nobody: {\"a\":1}".into()));
    let first = call(one.address, "shape", json!({})).await.result();
    let second = call(two.address, "shape", json!({})).await.result();
    assert_eq!((told(&first), told(&second)), ("miss", "hit"));
    assert_eq!(first["structuredContent"], second["structuredContent"]);
    assert_eq!(call(one.address, "fail", json!({})).await.result()["isError"], true);
    assert_eq!(told(&call(two.address, "fail", json!({})).await.result()), "miss");

    redis.say("FLUSHALL").unwrap();
    assert_eq!(asked(&two, "echo", json!({"a": 1})).await.0, "miss");
    redis.kill();
    counts(&one, "mcp_server_redis_up", 0).await;
    for _ in 0..2 {
        assert_eq!(asked(&one, "echo", json!({"a": 1})).await.0, "miss");
    }
    counts(&one, r#"mcp_server_cache_requests_total{outcome="bypass"}"#, 2).await;
    redis.start_again();
    counts(&one, "mcp_server_redis_up", 1).await;
    assert_eq!(asked(&one, "echo", json!({"a": 1})).await.0, "miss");
    assert_eq!(asked(&one, "echo", json!({"a": 1})).await.0, "hit");
}
