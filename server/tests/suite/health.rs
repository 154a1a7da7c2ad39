//! Checks, the summary, and the order of things.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::collector::{Collector, Manner};
use crate::process::{Served, get, run, status, stdout, until};

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
    assert_eq!(shown["unhealthy_checks"], failing);
    assert!(shown["components"].get("http-fine").is_none(), "a check is no component");
    assert_eq!(shown["components"]["config"]["health"], "Healthy");
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
