//! Checks, the summary, and the order of things.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::collector::{Collector, Manner};
use crate::process::{Served, get, run, status, stdout, until};
use crate::redis_server::RedisServer;

fn write(home: &Path, checks: &Value) {
    let config = json!({
        "auth": {"mode": "Disabled"},
        "health": {"interval": "1s", "checks": checks},
        "tools": [{"name": "fine", "text": "x"}, {"name": "broken", "text": "{{args.missing}}"}],
    });
    fs::write(home.join("config.json"), config.to_string()).unwrap();
}

fn state(served: &Served, check: &str) -> Value {
    status(served)["checks"][check]["state"].clone()
}

#[test]
fn configured_checks_tell_what_they_see() {
    let home = tempfile::tempdir().unwrap();
    let fine = Collector::start(Manner::Takes);
    let hangs = Collector::start(Manner::Hangs);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let get_fine = json!({"name": "http-fine", "http": {"url": fine.url()}});
    write(
        home.path(),
        &json!([
            get_fine,
            {"name": "http-wrong", "http": {"url": fine.url(), "expectStatus": 204}},
            {"name": "http-hangs", "timeout": "50ms", "http": {"url": hangs.url()}},
            {"name": "tcp-fine", "tcp": {"address": fine.address.to_string()}},
            {"name": "tcp-closed", "tcp": {"address": closed.to_string()}},
            {"name": "tool-fine", "tool": {"name": "fine"}},
            {"name": "tool-broken", "tool": {"name": "broken", "arguments": {"n": 1}}},
            {"name": "tool-gone", "tool": {"name": "nothing"}},
        ]),
    );
    let served = Served::start(home.path(), &["--config", "config.json"]);
    for (check, expected) in [
        ("http-fine", "healthy"),
        ("http-wrong", "unhealthy"),
        ("http-hangs", "error"),
        ("tcp-fine", "healthy"),
        ("tcp-closed", "error"),
        ("tool-fine", "healthy"),
        ("tool-broken", "unhealthy"),
        ("tool-gone", "error"),
    ] {
        until(check, || state(&served, check) == expected);
    }
    let shown = status(&served);
    let wrong = &shown["checks"]["http-wrong"];
    assert!(
        wrong["lastCheck"].as_str().unwrap().ends_with('Z') && wrong["durationMs"].is_number(),
        "{wrong}"
    );
    assert!(
        wrong["consecutiveFailures"].as_u64() >= Some(1)
            && wrong["details"].as_str().unwrap().contains("200")
    );
    let failing = json!(["http-hangs", "http-wrong", "tcp-closed", "tool-broken", "tool-gone"]);
    // Whether it has also been seen that the hanging upstream hangs is a matter of moments.
    let mut unhealthy = shown["unhealthy_checks"].clone();
    unhealthy.as_array_mut().unwrap().retain(|name| name != "upstreams");
    assert_eq!(unhealthy, failing);
    assert!(shown["components"].get("http-fine").is_none(), "a check is no component");
    assert_eq!(shown["components"]["config"]["health"], "Healthy");
    let hangs = &shown["checks"]["http-hangs"];
    assert_eq!((&hangs["interval"], &hangs["timeout"]), (&json!("1s"), &json!("50ms")));
    // Nothing of it makes the server unready.
    assert_eq!((get(served.admin, "/health").0, get(served.admin, "/ready").0), (200, 200));
    let metrics = get(served.admin, "/metrics").1;
    assert!(metrics.contains("mcp_server_health{check=\"http-fine\"} 1"), "{metrics}");
    assert!(metrics.contains("mcp_server_health{check=\"tcp-closed\"} 0"), "{metrics}");
    let counted =
        |line: &str| line.starts_with("mcp_server_requests_total") && line.contains("tool=\"fine\"");
    assert!(!metrics.lines().any(counted), "checks are no requests");

    let before = shown["checks"]["http-fine"]["lastCheck"].clone();
    assert_ne!(before, Value::Null);
    write(home.path(), &json!([get_fine]));
    until("the others are gone", || status(&served)["unhealthy_checks"] == json!([]));
    assert_eq!(state(&served, "http-fine"), "healthy", "what did not change is not asked anew");
    assert!(!get(served.admin, "/metrics").1.contains("tcp-closed"));
}

fn words(shown: &Value, section: &str, word: &str, parts: &[&str]) -> Vec<Value> {
    parts.iter().map(|part| shown[section][part][word].clone()).collect()
}

#[test]
fn what_is_not_configured_is_not_called_healthy() {
    const UNUSED: [&str; 7] =
        ["auth", "authorization-server", "disk", "redis", "telemetry", "cache", "rate-limit"];
    let home = tempfile::tempdir().unwrap();
    let mut config = json!({
        "auth": {"mode": "Disabled"}, "cache": {"mode": "Off"}, "rateLimit": {"mode": "Off"},
        "redis": {"url": {"value": "redis://127.0.0.1:1/0"}}, "tools": [{"name": "fine", "text": "x"}],
    });
    let write = |config: &Value| fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    write(&config);
    let served = Served::start(home.path(), &["--config", "config.json"]);
    let shown = status(&served);
    assert_eq!(words(&shown, "components", "health", &UNUSED), ["Not used"; 7], "{shown:#}");
    assert_eq!(words(&shown, "checks", "state", &UNUSED), ["not used"; 7]);
    assert!(UNUSED.iter().all(|part| shown["components"][part]["message"].is_string()), "each says why");
    assert_eq!(words(&shown, "checks", "state", &["config", "log", "tools"]), ["healthy"; 3]);
    assert_eq!((&shown["unhealthy_checks"], &shown["upstreams"]), (&json!([]), &json!([])));
    let metrics = get(served.admin, "/metrics").1;
    assert!(metrics.contains("mcp_server_health{check=\"config\"} 1"), "{metrics}");
    for part in UNUSED {
        assert!(!metrics.contains(&format!("mcp_server_health{{check=\"{part}\"}}")), "{part}: {metrics}");
    }
    // What a reload brings is used from then on.
    (config["cache"], config["rateLimit"]) = (json!({}), json!({"mode": "Report"}));
    write(&config);
    until("the cache is used", || state(&served, "cache") == "healthy");
    let shown = status(&served);
    let said = |part: &str| shown["components"][part]["message"].as_str().unwrap().to_owned();
    assert!(said("cache").starts_with("in memory: 0 of at most 1000 entries"), "{}", said("cache"));
    assert!(
        said("rate-limit").contains("0 of at most") && said("rate-limit").contains("Report"),
        "{shown:#}"
    );
}

#[test]
fn while_redis_is_gone_the_cache_and_the_limits_say_what_goes_on_without_it() {
    let mut redis = RedisServer::start(&[]);
    let home = tempfile::tempdir().unwrap();
    let config = json!({
        "auth": {"mode": "Disabled"}, "redis": {"url": {"value": redis.url()}},
        "cache": {"store": "Redis", "tools": [{"match": "greet"}]}, "rateLimit": {"store": "Redis", "requestsPerMinute": 1},
        "tools": [{"name": "greet", "text": "hi"}],
    });
    fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    let served = Served::start(home.path(), &["--config", "config.json"]);
    let call = || run(home.path(), &["call", "greet", "--url", &served.url()]);
    let parts = ["cache", "rate-limit", "redis"];
    let are = |state: &'static str| {
        words(&status(&served), "checks", "state", &parts).iter().all(|found| found == state)
    };
    until("all is well", || are("healthy"));
    assert_eq!((stdout(&call()), stdout(&call())), ("hi\n".into(), "hi\n".into()));
    let said = |part: &str| status(&served)["components"][part]["message"].as_str().unwrap().to_owned();
    assert!(
        said("cache").contains("in Redis") && said("cache").contains("hit 1, miss 1"),
        "{}",
        said("cache")
    );
    assert!(said("rate-limit").contains("in Redis") && said("redis").contains("no other replica"));

    redis.kill();
    until("they say so", || are("unhealthy"));
    assert_eq!(status(&served)["unhealthy_checks"], json!(parts));
    assert_eq!(stdout(&call()), "hi\n");
    let expected = [("cache", "passed by, for Redis is lost: "), ("rate-limit", "1 of at most")];
    for (part, sentence) in expected {
        assert!(said(part).contains(sentence), "{part}: {}", said(part));
    }
    let metrics = get(served.admin, "/metrics").1;
    assert!(parts.iter().all(|part| metrics.contains(&format!("mcp_server_health{{check=\"{part}\"}} 0"))));
    // It is no reason to take the replica out of service.
    assert_eq!((get(served.admin, "/health").0, get(served.admin, "/ready").0), (200, 200));

    redis.start_again();
    until("all is well again", || are("healthy"));
    assert_eq!(status(&served)["unhealthy_checks"], json!([]));
}

#[test]
fn upstreams_of_tools_are_shown_before_they_are_asked_and_as_they_fare() {
    let home = tempfile::tempdir().unwrap();
    let fine = Collector::start(Manner::Takes);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tools = |broken: &str| {
        json!({
            "auth": {"mode": "Disabled"},
            "tools": [
                {"name": "fine", "http": {"url": fine.url()}},
                {"name": "broken", "http": {"url": format!("http://{broken}/"), "retries": 0}},
            ],
        })
    };
    let write = |config: Value| fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    write(tools(&closed.to_string()));
    let served = Served::start(home.path(), &["--config", "config.json"]);
    let upstream = |address: &str| {
        let all = status(&served)["upstreams"].as_array().unwrap().clone();
        all.into_iter().find(|upstream| upstream["address"] == address)
    };
    let (fine, closed) = (fine.address.to_string(), closed.to_string());
    assert_eq!(state(&served, "upstreams"), "unknown");
    for address in [&fine, &closed] {
        let shown = upstream(address).unwrap();
        assert_eq!((&shown["state"], &shown["requests"]), (&json!("unknown"), &json!(0)), "{shown}");
    }
    let call = |tool: &str| run(home.path(), &["call", tool, "--url", &served.url()]);
    assert!(call("fine").status.success());
    for _ in 0..3 {
        assert!(!call("broken").status.success());
    }
    let shown = upstream(&fine).unwrap();
    assert_eq!(
        (&shown["state"], &shown["requests"], &shown["failures"]),
        (&json!("healthy"), &json!(1), &json!(0))
    );
    assert!(shown["open"].is_u64() && shown["idle"].is_u64() && shown["lastRequest"].is_string(), "{shown}");
    let shown = upstream(&closed).unwrap();
    assert_eq!(
        (&shown["state"], &shown["failures"], &shown["consecutiveFailures"]),
        (&json!("unhealthy"), &json!(3), &json!(3))
    );
    assert!(shown["lastError"].as_str().unwrap().contains("cannot connect"), "{shown}");
    let shown = status(&served);
    assert_eq!(shown["unhealthy_checks"], json!(["upstreams"]));
    assert!(shown["components"]["upstreams"]["message"].as_str().unwrap().contains(&closed), "{shown:#}");
    // What a changed file names is shown at once.
    write(tools("other.invalid:81"));
    until("the other is shown", || upstream("other.invalid:81").is_some());
}

#[test]
fn the_classic_summary_is_in_the_status_and_in_the_log() {
    let home = tempfile::tempdir().unwrap();
    let config = json!({
        "server_name": "classic", "metrics_interval": 1, "auth": {"enabled": false},
        "tools": [{"name": "greet", "text": "hi"}],
    });
    fs::write(home.path().join("production.json"), config.to_string()).unwrap();
    let served = Served::start(home.path(), &["--config", "production.json"]);
    let call = |tool: &str| run(home.path(), &["call", tool, "--url", &served.url()]);
    assert_eq!(stdout(&call("greet")), "hi\n");
    assert!(!call("nothing").status.success());
    until("both are counted", || status(&served)["summary"]["requests_failed"] == 1);
    let summary = status(&served)["summary"].clone();
    assert_eq!(summary["errors"], json!({"invalid_params": 1}), "{summary}");
    for name in [
        "requests_total",
        "requests_success",
        "response_time_avg",
        "active_connections",
        "uptime_seconds",
        "memory_usage_mb",
        "cpu_usage_percent",
    ] {
        assert!(summary[name].is_number(), "{name} is not in {summary}");
    }
    assert!(summary["recent"]["p95_ms"].as_f64().unwrap() > 0.0, "{summary}");
    until("the log has it, too", || {
        served.log().lines().any(|line| {
            let event: Value = serde_json::from_str(line).unwrap_or_default();
            event["message"] == "summary" && event["requests_failed"] == 1
        })
    });
}

#[test]
fn what_started_first_stops_last() {
    let home = tempfile::tempdir().unwrap();
    let environment = [("MCP_AUTH_ENABLED", "false"), ("MCP_LOG_LEVEL", "debug")];
    let mut served = Served::start_with(home.path(), &[], &environment);
    served.signal("TERM");
    assert_eq!(served.exit_code(), 0);
    let log = served.log();
    let named = |message: &str| -> Vec<String> {
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let events = events.filter(|event| event["message"] == message);
        events.filter_map(|event| Some(event["component"].as_str()?.to_owned())).collect()
    };
    let (started, mut stopped) = (named("started"), named("stopped"));
    stopped.reverse();
    assert_eq!(started, stopped);
    assert_eq!((started[0].as_str(), started.last().unwrap().as_str()), ("admin port", "mcp"));
}
