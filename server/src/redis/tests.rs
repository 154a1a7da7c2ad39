use super::*;
use crate::redis::testing::RedisServer;
use mcp_server_config::{Literal, SecretRef};
use std::time::Duration;

fn settings(url: &str) -> Settings {
    Settings {
        url: SecretRef { value: Some(Literal::new(url)), ..SecretRef::default() },
        ca: None,
        connect_timeout: Duration::from_secs(1),
        response_timeout: Duration::from_millis(50),
        key_prefix: "mcp:test".into(),
    }
}

/// Redis behind a keeper, which ends with the second value.
fn kept(settings: Settings) -> (Arc<Redis>, CancellationToken) {
    let redis = Redis::new(&prometheus::Registry::new());
    let stop = CancellationToken::new();
    redis.configure(Some(settings));
    tokio::spawn(redis.clone().keep(Environment::default(), stop.clone()));
    (redis, stop)
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

async fn ping(redis: &Redis) -> Result<String, Lost> {
    let link = redis.link().ok_or(Lost)?;
    redis.ask(&link, User::Cache, &redis::cmd("PING")).await
}

#[tokio::test]
async fn over_tcp_a_unix_socket_and_as_a_user_of_its_acl() {
    let server = RedisServer::start(&["--user", "mcp", "on", ">secret", "~mcp:*", "+@all"]);
    let as_user = server.url().replace("redis://", "redis://mcp:secret@");
    for url in [server.url(), server.unix_url(), as_user] {
        let (redis, stop) = kept(settings(&url));
        until("connected", || redis.link().is_some()).await;
        assert_eq!(ping(&redis).await.unwrap(), "PONG");
        stop.cancel();
    }
    let wrong = server.url().replace("redis://", "redis://mcp:wrong@");
    let (redis, _stop) = kept(settings(&wrong));
    until("told", || *redis.health().borrow() != Health::Healthy).await;
    let health = format!("{:?}", redis.health().borrow());
    assert!(health.contains("authentication failed") && !health.contains("wrong@"), "{health}");
}

#[tokio::test]
async fn starts_without_redis_and_finds_it_later() {
    let mut server = RedisServer::start(&[]);
    server.kill();
    let (redis, _stop) = kept(settings(&server.url()));
    until("told", || *redis.health().borrow() != Health::Healthy).await;
    assert_eq!(ping(&redis).await, Err(Lost));
    server.start_again();
    let took = until("connected", || redis.link().is_some()).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(*redis.health().borrow(), Health::Healthy);
}

#[tokio::test]
async fn one_that_was_killed_is_lost_at_once_and_found_within_two_seconds() {
    let mut server = RedisServer::start(&[]);
    let (redis, _stop) = kept(settings(&server.url()));
    until("connected", || redis.link().is_some()).await;
    server.kill();
    until("lost", || redis.link().is_none()).await;
    server.start_again();
    let took = until("found", || redis.link().is_some()).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn one_that_hangs_costs_three_waits_and_then_none() {
    let server = RedisServer::start(&[]);
    let (redis, _stop) = kept(settings(&server.url()));
    until("connected", || redis.link().is_some()).await;
    server.pause();
    let mut asked = 0;
    while redis.link().is_some() {
        assert_eq!(ping(&redis).await, Err(Lost));
        asked += 1;
    }
    assert!((1..=3).contains(&asked), "{asked}");
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(ping(&redis).await, Err(Lost));
    }
    assert!(began.elapsed() / 100 < Duration::from_millis(5));
    server.resume();
    let took = until("found", || redis.link().is_some()).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn one_that_only_lets_itself_be_read_is_lost_until_it_is_written_again() {
    let server = RedisServer::start(&[]);
    let (redis, _stop) = kept(settings(&server.url()));
    until("connected", || redis.link().is_some()).await;
    server.say("REPLICAOF 127.0.0.1 1").unwrap();
    until("lost", || redis.link().is_none()).await;
    assert!(matches!(&*redis.health().borrow(), Health::Degraded(_)));
    server.say("REPLICAOF NO ONE").unwrap();
    until("found", || redis.link().is_some()).await;
}

#[tokio::test]
async fn one_that_forgot_its_scripts_is_told_them_again() {
    let server = RedisServer::start(&[]);
    let (redis, _stop) = kept(settings(&server.url()));
    until("connected", || redis.link().is_some()).await;
    let script = script::Script::new("return redis.call('INCR', KEYS[1])");
    let link = redis.link().unwrap();
    let call = script::Invocation { keys: &["mcp:test:n".to_owned()], arguments: &[] };
    for expected in 1..=3 {
        assert_eq!(script.run::<i64>(&redis, &link, User::Cache, &call).await, Ok(expected));
        server.say("SCRIPT FLUSH").unwrap();
    }
    assert!(redis.link().is_some());
}

#[tokio::test]
async fn replicas_count_each_other_and_notice_who_leaves() {
    let server = RedisServer::start(&[]);
    let (one, _stop) = kept(settings(&server.url()));
    let (two, stop) = kept(settings(&server.url()));
    until("two", || one.replicas() == Some(2) && two.replicas() == Some(2)).await;
    stop.cancel();
    until("one", || one.replicas() == Some(1)).await;
    let mut elsewhere = settings(&server.url());
    elsewhere.key_prefix = "mcp:other".into();
    let (three, _stop) = kept(elsewhere);
    until("alone", || three.replicas() == Some(1)).await;
}

#[tokio::test]
async fn other_settings_are_another_connection() {
    let (first, second) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let (redis, _stop) = kept(settings(&first.url()));
    until("connected", || redis.link().is_some()).await;
    redis.configure(Some(settings(&second.url())));
    until("the other", || {
        second.say("EXISTS mcp:test:replicas").is_some_and(|answer| answer.starts_with(":1"))
    })
    .await;
    redis.configure(None);
    until("none", || redis.link().is_none()).await;
    assert_eq!(*redis.health().borrow(), Health::Healthy, "nobody misses it");
}

#[tokio::test]
async fn a_key_of_another_program_is_named_until_it_is_gone() {
    let server = RedisServer::start(&[]);
    let (redis, _stop) = kept(settings(&server.url()));
    until("connected", || redis.link().is_some()).await;
    server.say("RPUSH mcp:test:answer x").unwrap();
    let link = redis.link().unwrap();
    let mut get = redis::cmd("GET");
    get.arg("mcp:test:answer");
    for _ in 0..3 {
        assert_eq!(redis.ask::<String>(&link, User::Cache, &get).await, Err(Lost));
    }
    until("seen", || redis.told().state == State::Unhealthy).await;
    let details = redis.told().details;
    let expected = "the key \"mcp:test:answer\" in Redis holds a list where this server keeps a string; delete it, or set \
                    redis.keyPrefix to one that no other program uses";
    assert_eq!(details, expected);
    assert!(redis.link().is_some(), "everything else is still kept there");
    assert_eq!(redis.told_of_user(User::Limit, "well", "").state, State::Healthy, "it has no such key");
    assert_eq!(redis.told_of_user(User::Cache, "well", "").details, format!("well, but {expected}"));
    server.say("DEL mcp:test:answer").unwrap();
    until("gone", || redis.told().state == State::Healthy).await;
}

#[tokio::test]
async fn a_list_of_replicas_that_is_none_is_named() {
    let server = RedisServer::start(&[]);
    server.say("SET mcp:test:replicas x").unwrap();
    let (redis, _stop) = kept(settings(&server.url()));
    until("told", || redis.told().details.contains("\"mcp:test:replicas\" in Redis holds a string")).await;
    assert_eq!(redis.told().state, State::Unhealthy);
    server.say("DEL mcp:test:replicas").unwrap();
    until("connected", || redis.told().state == State::Healthy).await;
    server.say("SET mcp:test:replicas x").unwrap();
    until("told again", || redis.told().state == State::Unhealthy).await;
}
