use super::*;
use crate::environment::Environment;
use crate::limit::gcra::Bucket;
use crate::redis::settings::Settings;
use crate::redis::testing::RedisServer;
use mcp_server_config::rate_limit::{RateLimitMode, Refusal};
use mcp_server_config::{Literal, SecretRef};
use proptest::prelude::*;
use std::net::IpAddr;
use tokio_util::sync::CancellationToken;

fn policy(store: Store, on_store_loss: OnStoreLoss, replicas: u32) -> Policy {
    Policy {
        mode: RateLimitMode::Enforce,
        rate: Rate::per_minute(60, 8),
        limits_local: true,
        store,
        on_store_loss,
        refusal: Refusal::Error,
        replicas,
    }
}

fn limiter() -> Limiter {
    let registry = prometheus::Registry::new();
    let redis = Redis::new(&registry);
    Limiter::new(&registry, redis)
}

fn from(address: &str) -> Caller {
    Caller { principal: None, address: Some(address.parse::<IpAddr>().unwrap()) }
}

async fn passes(limiter: &Limiter, policy: &Policy, caller: &Caller, tool: Option<(&str, Rate)>) -> usize {
    let mut count = 0;
    while limiter.check(policy, Request { caller, tool, completes: false }).await.is_ok() {
        count += 1;
        assert!(count < 1000, "no limit");
    }
    count
}

#[tokio::test]
async fn a_refused_call_counts_against_no_limit() {
    let (limiter, caller) = (limiter(), from("192.0.2.1"));
    let policy = policy(Store::Memory, OnStoreLoss::LocalShare, 1);
    let slow = Some(("slow", Rate::per_minute(1, 3)));
    assert_eq!(passes(&limiter, &policy, &caller, slow).await, 3);
    let refused = limiter.check(&policy, Request { caller: &caller, tool: slow, completes: false }).await;
    assert!(matches!(refused, Err(Refused::TooMany { scope: Scope::Tool, .. })), "{refused:?}");
    assert_eq!(passes(&limiter, &policy, &caller, None).await, 5, "eight in all");
    let other = Some(("other", Rate::per_minute(1, 3)));
    let refused = limiter.check(&policy, Request { caller: &caller, tool: other, completes: false }).await;
    assert!(matches!(refused, Err(Refused::TooMany { scope: Scope::Caller, .. })), "{refused:?}");
    assert_eq!(passes(&limiter, &policy, &from("192.0.2.2"), other).await, 3, "another caller");
}

#[tokio::test]
async fn completions_use_up_nothing_that_calls_need() {
    let (limiter, caller) = (limiter(), from("192.0.2.1"));
    let policy = policy(Store::Memory, OnStoreLoss::LocalShare, 1);
    let completion = Request { caller: &caller, tool: None, completes: true };
    for _ in 0..8 {
        limiter.check(&policy, completion).await.unwrap();
    }
    let refused = limiter.check(&policy, completion).await.unwrap_err();
    let Refused::TooMany { scope, rate, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((scope, rate.requests_per_minute(), rate.burst()), (Scope::Completion, 600, 8));
    assert_eq!(passes(&limiter, &policy, &caller, None).await, 8, "typing costs no calls");
}

#[tokio::test]
async fn over_stdio_only_a_limit_of_ones_own_counts() {
    let (limiter, caller) = (limiter(), Caller::default());
    let own = Some(("slow", Rate::per_minute(1, 3)));
    let policy = Policy { limits_local: false, ..policy(Store::Memory, OnStoreLoss::LocalShare, 1) };
    for _ in 0..100 {
        limiter.check(&policy, Request { caller: &caller, tool: None, completes: false }).await.unwrap();
    }
    assert_eq!(passes(&limiter, &policy, &caller, own).await, 3, "that of a tool is set, so it counts");
    let policy = Policy { limits_local: true, ..policy };
    assert_eq!(passes(&limiter, &policy, &caller, None).await, 8);
}

#[tokio::test]
async fn without_the_store_the_policy_says_how_much_passes() {
    for (on_store_loss, replicas, expected) in [
        (OnStoreLoss::LocalShare, 1, 8),
        (OnStoreLoss::LocalShare, 4, 2),
        (OnStoreLoss::LocalShare, 100, 1),
        (OnStoreLoss::Full, 4, 8),
        (OnStoreLoss::Deny, 4, 0),
    ] {
        let (limiter, caller) = (limiter(), from("192.0.2.1"));
        let policy = policy(Store::Redis, on_store_loss, replicas);
        assert_eq!(passes(&limiter, &policy, &caller, None).await, expected, "{on_store_loss:?} {replicas}");
    }
}

#[test]
fn a_decision_in_memory_takes_less_than_a_microsecond() {
    let (limiter, caller) = (limiter(), from("192.0.2.1"));
    let policy = Policy {
        rate: Rate::per_minute(1_000_000, 1_000_000),
        ..policy(Store::Memory, OnStoreLoss::Full, 1)
    };
    let request = Request { caller: &caller, tool: None, completes: false };
    let (who, buckets) = (Who::of(&caller), [None, Some(general(&policy, request))]);
    let began = Instant::now();
    for _ in 0..100_000 {
        let _answer = limiter.local(who, buckets, 1);
    }
    let each = began.elapsed() / 100_000;
    // Unoptimised, on a busy machine; optimised it is a tenth of this.
    assert!(each < Duration::from_micros(5), "{each:?}");
}

/// Redis behind a keeper.
async fn redis_of(server: &RedisServer) -> Arc<Redis> {
    let redis = Redis::new(&prometheus::Registry::new());
    redis.configure(Some(Settings {
        url: SecretRef { value: Some(Literal::new(server.url())), ..SecretRef::default() },
        ca: None,
        connect_timeout: Duration::from_secs(5),
        // The test is about numbers, not about time.
        response_timeout: Duration::from_secs(10),
        key_prefix: "mcp:test".into(),
    }));
    tokio::spawn(redis.clone().keep(Environment::default(), CancellationToken::new()));
    let deadline = Instant::now() + Duration::from_secs(30);
    while redis.link().is_none() {
        assert!(Instant::now() < deadline, "no connection");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    redis
}

/// Requests to one bucket: how much later than the one before, and at which rate.
fn requests() -> impl Strategy<Value = Vec<(i64, u32, u32)>> {
    let rates = prop_oneof![
        Just((100, 10)),
        Just((7, 3)),
        Just((60, 1)),
        Just((1_000_000, 1_000_000)),
        Just((1, 1_000_000)),
        (1_u32..1_000_000, 1_u32..1000)
    ];
    let later = prop_oneof![Just(0), 0_i64..1000, 0_i64..10_000_000, 0_i64..10_000_000_000];
    // Mostly the same rate for a while, as between two reloads.
    prop::collection::vec((prop::collection::vec(later, 1..12), rates), 1..5).prop_map(|runs| {
        let of_run = |(laters, (rpm, burst)): (Vec<i64>, (u32, u32))| {
            laters.into_iter().map(move |later| (later, rpm, burst))
        };
        runs.into_iter().flat_map(of_run).collect()
    })
}

#[test]
fn redis_and_memory_compute_the_same() {
    let server = RedisServer::start(&[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let redis = runtime.block_on(redis_of(&server));
    let link = redis.link().unwrap();
    let case = std::sync::atomic::AtomicU64::new(0);
    let config = ProptestConfig { cases: 200, ..ProptestConfig::default() };
    proptest!(config, |(requests in requests())| {
        let who = case.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        let who = Who::Principal(crate::auth::principal::PrincipalKind::ApiKey, &who);
        // The time of day, as Redis has it: keys expire by its own clock, which the test does not move.
        let mut now = 4_000_000_000_000_000;
        let mut bucket = Bucket::default();
        for (later, rpm, burst) in requests {
            now += later;
            let rate = Rate::per_minute(rpm, burst);
            let (next, expected) = bucket.take(rate, now);
            bucket = next;
            let buckets = [Shared { who, part: Part::Requests, rate }];
            let answer = runtime.block_on(shared::take(&redis, &link, &buckets, Some(now)));
            prop_assert_eq!(answer, Ok((0, expected)), "at {} with {:?}", now, rate);
        }
    });
}

#[tokio::test]
async fn of_several_buckets_in_redis_all_are_taken_from_or_none() {
    let server = RedisServer::start(&[]);
    let redis = redis_of(&server).await;
    let registry = prometheus::Registry::new();
    let (one, two) =
        (Limiter::new(&registry, redis.clone()), Limiter::new(&prometheus::Registry::new(), redis));
    let policy = policy(Store::Redis, OnStoreLoss::Deny, 1);
    let (caller, slow) = (from("192.0.2.1"), Some(("slow", Rate::per_minute(1, 3))));
    assert_eq!(passes(&one, &policy, &caller, slow).await, 3);
    assert_eq!(passes(&two, &policy, &caller, slow).await, 0, "the other replica knows");
    assert_eq!(passes(&two, &policy, &caller, None).await, 5, "eight in all");
    assert_eq!(passes(&one, &policy, &from("192.0.2.2"), None).await, 8);
}
