//! Rate limits, as callers see them.

use std::net::SocketAddr;
use std::time::Duration;

use mcp_server::dispatch::snapshot::Snapshot;
use mcp_server_config::rate_limit::ToolRateLimit;
use mcp_server_config::{
    AuthMode, Duration as Span, Literal, OnStoreLoss, RateLimitMode, Redis, Refusal, SecretRef, ServerConfig,
    Store,
};
use serde_json::{Value, json};

use crate::harness::{
    Response, Server, call, counts, eventually, legacy, modern, modern_body, post, server, text,
};
use crate::process::{Served, get, run, stderr, stdout};
use crate::redis_server::RedisServer;

/// A server with room for so many requests at once, and next to none after.
async fn limited(burst: u32, change: impl FnOnce(&mut ServerConfig)) -> Server {
    server(|config| {
        let limit = &mut config.service.rate_limit;
        (limit.mode, limit.requests_per_minute, limit.burst) = (None, Some(2), Some(burst));
        change(config);
    })
    .await
}

async fn passes(server: &Server) -> usize {
    let mut count = 0;
    while call(server.address, "echo", json!({})).await.status == 200 {
        count += 1;
        assert!(count < 100, "no limit");
    }
    count
}

/// A call with a key and perhaps other headers.
async fn call_with(server: &Server, headers: &[(&str, &str)]) -> Response {
    call_at(server.address, headers).await
}

async fn call_at(address: SocketAddr, headers: &[(&str, &str)]) -> Response {
    let standard =
        [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "echo")];
    let headers: Vec<_> = standard.iter().chain(headers).copied().collect();
    post(address, &headers, &modern_body(1, "tools/call", json!({"name": "echo"}))).await
}

#[tokio::test]
async fn who_is_over_the_limit_is_told_when_to_come_again() {
    let server = limited(3, |_| {}).await;
    assert_eq!(passes(&server).await, 3);
    let refused = call(server.address, "echo", json!({})).await;
    assert_eq!(refused.refusal(), (429, 429));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((28..=30).contains(&seconds), "{seconds}");
    let data = refused.json()["error"]["data"].clone();
    assert_eq!((&data["scope"], &data["limit"], &data["burst"]), (&json!("caller"), &json!(2), &json!(3)));
    assert_eq!(data["remaining"], 0);
    let millis = data["retryAfterMs"].as_u64().unwrap();
    assert!(millis > (seconds - 1) * 1000 && millis <= seconds * 1000, "{millis}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((now + 25..now + 35).contains(&data["resetAt"].as_u64().unwrap()), "{data}");
    counts(&server, r#"mcp_server_rate_limit_decisions_total{decision="refused",scope="caller"}"#, 2).await;
}

/// Several SDKs end their session, and all calls under way, at an HTTP status of 400 or more.
#[tokio::test]
async fn an_older_client_over_the_limit_keeps_its_session() {
    for refusal in [None, Some(Refusal::Error), Some(Refusal::ToolResult)] {
        let server = limited(1, |config| config.service.rate_limit.refusal = refusal).await;
        let call = async || legacy(server.address, "tools/call", json!({"name": "echo"})).await;
        assert_eq!(call().await.result().get("isError"), None);
        let refused = call().await;
        assert_eq!(refused.header("retry-after"), None);
        let result = refused.result();
        assert_eq!(result["isError"], true);
        let message = text(&result);
        assert!(message.contains("2 requests a minute") && message.contains("try again in "), "{message}");
        let refused = r#"mcp_server_requests_total{era="legacy",method="tools/call",outcome="rate_limited",tool="echo"}"#;
        counts(&server, refused, 1).await;
    }
}

#[tokio::test]
async fn an_agent_s_quick_calls_pass_with_the_defaults() {
    let server = server(|config| config.service.rate_limit.mode = None).await;
    for number in 0..50 {
        assert_eq!(call(server.address, "echo", json!({})).await.status, 200, "call {number}");
    }
    assert_eq!(call(server.address, "echo", json!({})).await.status, 429);
}

#[tokio::test]
async fn typing_uses_up_no_calls() {
    let home = tempfile::tempdir().unwrap();
    let config = json!({
        "auth": {"mode": "Disabled"},
        "rateLimit": {"requestsPerMinute": 1, "burst": 2},
        "prompts": [{"name": "ask", "arguments": [{"name": "tone", "values": ["kind", "curt"]}], "messages": [{"text": "{{args.tone}}"}]}],
    });
    std::fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    let served = Served::start(home.path(), &["--config", "config.json"]);
    let complete = async || {
        let argument = json!({"name": "tone", "value": "k"});
        let params = json!({"ref": {"type": "ref/prompt", "name": "ask"}, "argument": argument});
        legacy(served.address, "completion/complete", params).await
    };
    for _ in 0..2 {
        assert_eq!(complete().await.result()["completion"]["values"], json!(["kind"]));
    }
    let refused = complete().await;
    assert_eq!(refused.refusal(), (200, 429));
    let error = refused.json()["error"].clone();
    assert_eq!(error["data"]["scope"], "completion");
    assert!(error["message"].as_str().unwrap().contains("10 completions a minute"), "{error}");
    let get = async || legacy(served.address, "prompts/get", json!({"name": "ask"})).await;
    for _ in 0..2 {
        get().await.result();
    }
    let refused = get().await;
    assert_eq!(refused.refusal(), (200, 429), "what is no call of a tool has an error, with status 200");
    assert!(refused.json()["error"]["data"]["retryAfterMs"].as_u64().unwrap() > 50_000);
}

#[tokio::test]
async fn lists_pings_and_unknown_tools_do_not_count() {
    let server = limited(1, |_| {}).await;
    for _ in 0..3 {
        assert_eq!(modern(server.address, "tools/list", json!({})).await.status, 200);
        assert_eq!(legacy(server.address, "ping", json!({})).await.status, 200);
        assert_eq!(call(server.address, "nothing", json!({})).await.status, 200);
    }
    assert_eq!(passes(&server).await, 1);
    assert_eq!(modern(server.address, "tools/list", json!({})).await.status, 200);
}

#[tokio::test]
async fn keys_have_limits_of_their_own() {
    let server = limited(2, |config| config.service.auth.mode = Some(AuthMode::Required)).await;
    for key in ["key-of-ci", "key-of-ops"] {
        let headers = [("X-API-Key", key)];
        for expected in [200, 200, 429] {
            assert_eq!(call_with(&server, &headers).await.status, expected, "{key}");
        }
    }
}

#[tokio::test]
async fn a_key_s_own_limit_counts_for_it_alone_in_memory_and_in_redis() {
    let redis = RedisServer::start(&[]);
    for (store, replicas) in [("Memory", 1), ("Redis", 2)] {
        let home = tempfile::tempdir().unwrap();
        let add = |more: &[&str]| {
            let added = run(home.path(), &[&["keys", "--file", "keys.json", "add"][..], more].concat());
            assert!(added.status.success(), "{}", stderr(&added));
            stdout(&added).trim().to_owned()
        };
        let keys = [
            (add(&["frugal", "--requests-per-minute", "2", "--burst", "2"]), 2, 2),
            (add(&["generous", "--burst", "6"]), 1, 6),
            (add(&["plain"]), 1, 4),
        ];
        let config = json!({
            "auth": {"apiKeys": {"file": "keys.json"}},
            "rateLimit": {"requestsPerMinute": 1, "burst": 4, "store": store},
            "redis": {"url": {"value": redis.url()}, "keyPrefix": "mcp:keys", "responseTimeout": "10s"},
            "tools": [{"name": "echo", "text": "hi"}],
        });
        std::fs::write(home.path().join("config.json"), config.to_string()).unwrap();
        let mut servers = Vec::new();
        for _ in 0..replicas {
            let served = Served::start_quiet(home.path(), &["--config", "config.json"]).await;
            let up = format!("mcp_server_redis_up {}", u8::from(store == "Redis"));
            eventually(&up, async || get(served.admin, "/metrics").1.lines().any(|line| line == up)).await;
            servers.push(served);
        }
        for (key, limit, burst) in keys {
            let headers = [("X-API-Key", key.as_str())];
            for served in servers.iter().cycle().take(burst) {
                assert_eq!(call_at(served.address, &headers).await.status, 200, "{store} {burst}");
            }
            for served in &servers {
                let refused = call_at(served.address, &headers).await;
                assert_eq!(refused.refusal(), (429, 429), "{store} {burst}");
                let data = refused.json()["error"]["data"].clone();
                assert_eq!((&data["limit"], &data["burst"]), (&json!(limit), &json!(burst)), "{store}");
            }
        }
    }
}

#[tokio::test]
async fn behind_a_proxy_the_client_s_address_counts() {
    let trusted =
        limited(1, |config| config.service.rate_limit.trusted_proxies = vec!["127.0.0.0/8".into()]).await;
    for (forwarded, expected) in [
        ("203.0.113.1", 200),
        ("203.0.113.1", 429),
        ("203.0.113.2", 200),
        // What a client claims itself stands in front of what the proxy adds.
        ("203.0.113.9, 203.0.113.1", 429),
        ("2001:db8::1", 200),
        ("2001:db8::ffff", 429),
    ] {
        let status = call_with(&trusted, &[("X-Forwarded-For", forwarded)]).await.status;
        assert_eq!(status, expected, "{forwarded}");
    }
    let server = limited(1, |_| {}).await;
    assert_eq!(call_with(&server, &[("X-Forwarded-For", "203.0.113.1")]).await.status, 200);
    let lied = call_with(&server, &[("X-Forwarded-For", "203.0.113.2")]).await;
    assert_eq!(lied.status, 429, "a stranger's word counts for nothing");
}

#[tokio::test]
async fn a_tool_may_have_a_limit_of_its_own() {
    let entry = ToolRateLimit {
        r#match: "ec*".into(),
        requests_per_minute: Some(1),
        burst: Some(2),
        ..ToolRateLimit::default()
    };
    let server = limited(10, |config| config.service.rate_limit.tools = vec![entry]).await;
    assert_eq!(passes(&server).await, 2);
    let refused = call(server.address, "echo", json!({})).await.json();
    assert_eq!(refused["error"]["data"]["scope"], "tool");
    assert_eq!(refused["error"]["data"]["limit"], 1);
    assert_eq!(call(server.address, "shape", json!({})).await.status, 200);
}

#[tokio::test]
async fn the_classic_refusal_is_a_result_that_a_model_reads() {
    let server = limited(1, |config| config.service.rate_limit.refusal = Some(Refusal::ToolResult)).await;
    assert_eq!(call(server.address, "echo", json!({})).await.result().get("isError"), None);
    for refused in [
        call(server.address, "echo", json!({})).await.result(),
        legacy(server.address, "tools/call", json!({"name": "echo"})).await.result(),
    ] {
        assert_eq!(refused["isError"], true);
        assert!(text(&refused).contains("rate limit exceeded"), "{refused}");
    }
}

#[tokio::test]
async fn a_report_refuses_nobody_and_off_does_not_even_count() {
    let server = limited(1, |config| config.service.rate_limit.mode = Some(RateLimitMode::Report)).await;
    for _ in 0..5 {
        assert_eq!(call(server.address, "echo", json!({})).await.status, 200);
    }
    counts(&server, r#"mcp_server_rate_limit_decisions_total{decision="reported",scope="caller"}"#, 4).await;
    let server = limited(1, |config| config.service.rate_limit.mode = Some(RateLimitMode::Off)).await;
    for _ in 0..5 {
        assert_eq!(call(server.address, "echo", json!({})).await.status, 200);
    }
    counts(&server, r#"mcp_server_rate_limit_decisions_total{decision="allowed",scope=""}"#, 0).await;
}

#[tokio::test]
async fn a_reload_changes_the_rate_and_not_what_was_used() {
    let server = limited(5, |_| {}).await;
    assert_eq!(passes(&server).await, 5);
    let reloaded = |rate: u32, burst: u32| {
        let mut config = (*server.dispatcher.snapshot().config).clone();
        let limit = &mut config.service.rate_limit;
        (limit.requests_per_minute, limit.burst) = (Some(rate), Some(burst));
        let catalogue = mcp_server::backend::Backend::catalogue(&*server.backend).borrow().clone();
        server.dispatcher.replace(Snapshot::new(config.into(), std::sync::Arc::default(), &catalogue));
    };
    for (rate, burst) in [(3, 5), (1, 5), (2, 4)] {
        reloaded(rate, burst);
        assert_eq!(passes(&server).await, 0, "{rate} {burst}");
    }
    reloaded(6000, 5);
    eventually("the new rate fills it", async || call(server.address, "echo", json!({})).await.status == 200)
        .await;
}

/// A replica with room for so many requests, which it counts in Redis.
async fn replica(redis: &RedisServer, burst: u32, response_timeout: Option<Span>) -> Server {
    let server = limited(burst, |config| {
        config.service.rate_limit.store = Some(Store::Redis);
        config.service.rate_limit.on_store_loss = Some(OnStoreLoss::LocalShare);
        let url = Some(SecretRef { value: Some(Literal::new(redis.url())), ..SecretRef::default() });
        let key_prefix = Some("mcp:suite".into());
        config.service.redis = Redis { url, key_prefix, response_timeout, ..Redis::default() };
    })
    .await;
    counts(&server, "mcp_server_redis_up", 1).await;
    server
}

#[tokio::test]
async fn two_replicas_share_one_limit_and_each_keeps_its_share_while_redis_is_gone() {
    let mut redis = RedisServer::start(&[]);
    // A late answer would be counted here and there: none is late, however busy the machine is.
    let in_time = Some(Span::from_secs(10));
    let (one, two) = (replica(&redis, 12, in_time).await, replica(&redis, 12, in_time).await);
    for server in [&one, &two] {
        counts(server, "mcp_server_redis_replicas", 2).await;
    }
    for server in [&one, &two].into_iter().cycle().take(10) {
        assert_eq!(call(server.address, "echo", json!({})).await.status, 200);
    }
    assert_eq!(passes(&one).await, 2, "twelve in all");
    assert_eq!(passes(&two).await, 0);

    redis.kill();
    for server in [&one, &two] {
        counts(server, "mcp_server_redis_up", 0).await;
        assert_eq!(passes(server).await, 6, "half of twelve");
    }
    redis.start_again();
    for server in [&one, &two] {
        counts(server, "mcp_server_redis_up", 1).await;
    }
    // It has forgotten everything, and counts anew.
    assert_eq!(passes(&one).await, 12);
    assert_eq!(passes(&two).await, 0);
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up_for_long() {
    let redis = RedisServer::start(&[]);
    let server = replica(&redis, 1000, None).await;
    assert_eq!(call(server.address, "echo", json!({})).await.status, 200);
    redis.pause();
    eventually("the breaker is open", async || {
        assert_eq!(call(server.address, "echo", json!({})).await.status, 200);
        server.dispatcher.redis.health().borrow().clone() != mcp_server::backend::Health::Healthy
    })
    .await;
    let mut times = Vec::new();
    for _ in 0..21 {
        let began = std::time::Instant::now();
        assert_eq!(call(server.address, "echo", json!({})).await.status, 200);
        times.push(began.elapsed());
    }
    times.sort();
    assert!(times[10] < Duration::from_millis(40), "nobody waits for Redis: {times:?}");
    redis.resume();
    let began = std::time::Instant::now();
    counts(&server, "mcp_server_redis_up", 1).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    redis.say("FLUSHALL").unwrap();
    redis.say("SCRIPT FLUSH").unwrap();
    let answer: Value = call(server.address, "echo", json!({})).await.result();
    assert!(text(&answer).contains("{}"), "{answer}");
    counts(&server, "mcp_server_redis_up", 1).await;
}
