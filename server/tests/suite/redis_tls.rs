//! Redis behind TLS, as the user of an ACL who may do what the page on Redis says, and nothing else.

use std::net::TcpListener;

use mcp_server::backend::Health;
use mcp_server_config::{Duration, Literal, RateLimitMode, Redis, SecretRef, ServerConfig, Store, ToolCache};
use serde_json::json;

use crate::harness::{Server, call, counts, eventually, server};
use crate::redis_server::RedisServer;
use crate::upstream::Authority;

const PAGE: &str = include_str!("../../../docs/server/redis.md");

/// No answer is late, however busy the machine is.
const IN_TIME: Duration = Duration::from_secs(10);

/// A Redis that speaks TLS in the name of `localhost`, besides plain text for the test.
struct TlsRedis {
    redis: RedisServer,
    port: u16,
    authority: Authority,
}

impl TlsRedis {
    fn start() -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.certificate("localhost");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port_text, ca) = (port.to_string(), authority.bundle.to_str().unwrap());
        let mut options =
            vec!["--tls-port", &port_text, "--tls-auth-clients", "no", "--tls-ca-cert-file", ca];
        options.extend(["--tls-cert-file", certificate.to_str().unwrap()]);
        options.extend(["--tls-key-file", key.to_str().unwrap()]);
        let user = PAGE.lines().find_map(|line| line.strip_prefix("user ")).expect("the page has a user");
        options.push("--user");
        options.extend(user.split(' '));
        let redis = RedisServer::start(&options);
        Self { redis, port, authority }
    }

    fn url(&self, host: &str, password: &str) -> String {
        format!("rediss://mcp:{password}@{host}:{}/0", self.port)
    }

    fn ca(&self) -> Option<SecretRef> {
        Some(SecretRef::from_file(self.authority.bundle.to_str().unwrap()))
    }
}

/// A replica that keeps answers and counts requests in Redis.
async fn replica(url: String, ca: Option<SecretRef>) -> Server {
    server(|config: &mut ServerConfig| {
        let service = &mut config.service;
        let url = Some(SecretRef { value: Some(Literal::new(&url)), ..SecretRef::default() });
        service.redis = Redis { url, ca, response_timeout: Some(IN_TIME), ..Redis::default() };
        service.cache.store = Some(Store::Redis);
        service.cache.tools = vec![ToolCache { r#match: "echo".into(), ..ToolCache::default() }];
        service.rate_limit.store = Some(Store::Redis);
        service.rate_limit.mode = Some(RateLimitMode::Enforce);
        (service.rate_limit.requests_per_minute, service.rate_limit.burst) = (Some(1), Some(4));
    })
    .await
}

#[tokio::test]
async fn replicas_share_answers_and_limits_over_tls_as_a_user_who_may_do_no_more_than_that() {
    let redis = TlsRedis::start();
    let (one, two) = (
        replica(redis.url("localhost", "password"), redis.ca()).await,
        replica(redis.url("localhost", "password"), redis.ca()).await,
    );
    for server in [&one, &two] {
        counts(server, "mcp_server_redis_replicas", 2).await;
    }
    let told = async |server: &Server| {
        let result = call(server.address, "echo", json!({"a": 1})).await.result();
        result["_meta"]["mcp-operator.dev/cache"].as_str().unwrap().to_owned()
    };
    assert_eq!((told(&one).await.as_str(), told(&two).await.as_str()), ("miss", "hit"));
    for server in [&one, &two] {
        assert_eq!(told(server).await, "hit");
    }
    for server in [&one, &two] {
        let refused = call(server.address, "echo", json!({"a": 1})).await;
        assert_eq!(refused.refusal(), (429, 429), "four in all, wherever they were asked");
        counts(server, r#"mcp_server_redis_calls_total{outcome="ok",user="limit"}"#, 3).await;
        counts(server, "mcp_server_rate_limit_without_store_total", 0).await;
    }
    let clients = redis.redis.say("CLIENT LIST").unwrap();
    assert_eq!(clients.matches("user=mcp ").count(), 2, "{clients}");
    assert_eq!(redis.redis.say("ACL LOG").unwrap(), "*0\r\n", "nothing was refused");
}

#[tokio::test]
async fn a_redis_that_cannot_be_trusted_or_that_does_not_trust_is_not_used_and_the_reason_is_told() {
    let redis = TlsRedis::start();
    let stranger = Authority::new();
    let stranger = Some(SecretRef::from_file(stranger.bundle.to_str().unwrap()));
    for (url, ca, reason) in [
        (redis.url("localhost", "password"), None, "UnknownIssuer"),
        (redis.url("localhost", "password"), stranger, "certificate"),
        (redis.url("127.0.0.1", "password"), redis.ca(), "not valid for name"),
        (redis.url("localhost", "canary"), redis.ca(), "authentication failed"),
    ] {
        let server = replica(url.clone(), ca).await;
        let told = server.dispatcher.redis.health();
        eventually(reason, async || *told.borrow() != Health::Healthy).await;
        let told = format!("{:?}", told.borrow());
        assert!(told.contains(reason) && !told.contains("canary"), "{url}: {told}");
        counts(&server, "mcp_server_redis_up", 0).await;
        // Answers are given, and the limit holds, all the same.
        for expected in [200, 200, 200, 200, 429] {
            assert_eq!(call(server.address, "echo", json!({})).await.status, expected);
        }
    }
}
