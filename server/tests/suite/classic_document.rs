//! What the classic production document promises besides the keys of its file: levels, fields of the log, the file of
//! errors, the names in the status, the usual place of the file, SIGHUP.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::harness::{Response, modern, post, send};
use crate::process::{Served, free, get, program, status, stderr, stdout, until};

const LOG: &str = "logs/production.log";
const ERRORS: &str = "logs/errors.log";

/// A classic file with tools that fail.
fn classic() -> Value {
    json!({
        "server_name": "classic",
        "auth": {"enabled": false},
        "rate_limit": {"enabled": false},
        "logging": {"level": "INFO", "file_path": LOG, "json_format": true},
        "tools": tools(),
    })
}

fn tools() -> Value {
    let number = json!({"type": "object", "properties": {"by": {"type": "integer"}}, "required": ["by"]});
    json!([
        {"name": "divide", "inputSchema": number, "cel": "10 / args.by"},
        // Nobody listens there.
        {"name": "ask", "http": {"url": "http://127.0.0.1:9/"}},
        {"name": "fetch", "http": {"url": "http://{{args.host}}/"}},
        {"name": "say", "text": "{{args.text}}"},
    ])
}

fn write(home: &Path, config: &Value) {
    fs::write(home.join("production.json"), config.to_string()).unwrap();
}

fn start(home: &Path, config: &Value) -> Served {
    write(home, config);
    Served::start(home, &["--config", "production.json"])
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

/// Waits for the line that `is` likes.
fn line(path: &Path, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let mut found = None;
    until(what, || {
        found = lines(path).into_iter().rfind(&is);
        found.is_some()
    });
    found.unwrap()
}

/// Calls a tool as an older client does.
async fn call(served: &Served, id: &str, tool: &str, arguments: Value) -> Response {
    let params = json!({"name": tool, "arguments": arguments});
    let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    post(served.address, &[("MCP-Protocol-Version", "2025-11-25")], &body.to_string()).await
}

/// The line of a call that fails.
async fn failure(served: &Served, log: &Path, tool: &str, arguments: Value) -> Value {
    // Nothing of what the caller sends, which the log must not have.
    static LAST: AtomicU32 = AtomicU32::new(0);
    let id = format!("failure-{}", LAST.fetch_add(1, Ordering::Relaxed));
    call(served, &id, tool, arguments).await;
    line(log, &id, |line| line["jsonrpc_id"] == *id && line["event_type"] == "error")
}

#[test]
fn a_log_level_has_python_s_name_in_the_environment_too() {
    let home = tempfile::tempdir().unwrap();
    for (word, level) in [
        ("WARNING", "Warn"),
        ("warning", "Warn"),
        ("CRITICAL", "Error"),
        ("NOTSET", "Trace"),
        ("notset", "Trace"),
        ("info", "Info"),
    ] {
        for name in ["MCP_LOG_LEVEL", "MCP_LOGGING_LEVEL"] {
            let output = program(home.path()).arg("print-config").env(name, word).output().unwrap();
            assert!(output.status.success(), "{name}={word}: {}", stderr(&output));
            let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
            assert_eq!(printed["logging"]["level"], level, "{name}={word}");
        }
    }
    let output = program(home.path()).arg("print-config").env("MCP_LOG_LEVEL", "loud").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("MCP_LOG_LEVEL") && said.contains("the levels are") && said.contains("WARNING"),
        "{said}"
    );
}

#[tokio::test]
async fn json_lines_of_a_classic_file_say_warning_and_others_say_warn() {
    let native = json!({
        "auth": {"mode": "Disabled"}, "rateLimit": {"mode": "Off"}, "tools": tools(),
        "logging": {"file": {"path": LOG}},
    });
    let mut asked = native.clone();
    asked["logging"]["levelNames"] = json!("Python");
    let mut against = classic();
    against["logging"]["levelNames"] = json!("Short");
    for (config, level) in [(classic(), "WARNING"), (native, "WARN"), (asked, "WARNING"), (against, "WARN")] {
        let home = tempfile::tempdir().unwrap();
        let served = start(home.path(), &config);
        let line = failure(&served, &home.path().join(LOG), "divide", json!({"by": 0})).await;
        assert_eq!(line["level"], level, "{config}");
    }
}

#[tokio::test]
async fn every_line_names_its_function() {
    let home = tempfile::tempdir().unwrap();
    let served = start(home.path(), &classic());
    let log = home.path().join(LOG);
    failure(&served, &log, "divide", json!({"by": 0})).await;
    let lines = lines(&log);
    assert!(lines.len() > 1);
    for line in &lines {
        let function = line["function"].as_str().unwrap_or_else(|| panic!("no function: {line}"));
        assert!(!function.is_empty() && function != "<module>", "{line}");
    }
    let ready = lines.iter().find(|line| line["message"] == "ready").unwrap();
    assert_eq!(ready["function"], "tell_ready");
}

#[tokio::test]
async fn the_log_says_why_a_call_failed_without_what_the_caller_sent() {
    let home = tempfile::tempdir().unwrap();
    let served = start(home.path(), &classic());
    let log = home.path().join(LOG);
    for (tool, arguments, error_type, error) in [
        ("divide", json!({"by": 0}), "tool_error", "division by zero"),
        ("divide", json!({"by": "canary-4711"}), "tool_error", "not of type"),
        ("fetch", json!({"host": "localhost"}), "tool_error", "[redacted] leads to"),
        ("divide", json!({"buy": 5}), "tool_error", "by"),
        ("ask", json!({"secret": "canary-4711"}), "tool_error", "127.0.0.1:9"),
        ("nothing", json!({}), "invalid_params", "nothing"),
    ] {
        let line = failure(&served, &log, tool, arguments).await;
        assert_eq!(line["level"], "WARNING", "{line}");
        assert_eq!(line["error_type"], error_type, "{line}");
        assert!(line["error"].as_str().unwrap().contains(error), "{line}");
        assert_eq!(line["error_message"], line["error"]);
    }
    assert!(!fs::read_to_string(&log).unwrap().contains("canary"));
}

#[tokio::test]
async fn errors_are_written_once_more_beside_the_log() {
    let home = tempfile::tempdir().unwrap();
    let mut config = classic();
    let served = start(home.path(), &config);
    let errors = home.path().join(ERRORS);
    assert!(errors.exists(), "from the start on");
    assert_eq!(fs::read_to_string(&errors).unwrap(), "");
    // A file that is refused is an error.
    config["auth"]["enabled"] = json!("perhaps");
    write(home.path(), &config);
    let refused = |line: &Value| line["message"].as_str().unwrap().contains("refused");
    let line = line(&errors, "the refusal", refused);
    assert_eq!(line["level"], "ERROR");
    assert!(lines(&home.path().join(LOG)).iter().any(refused), "the log has it too");
    drop(served);

    // It follows a log that a variable moved.
    write(home.path(), &classic());
    let _served = Served::start_with(
        home.path(),
        &["--config", "production.json"],
        &[("MCP_LOGGING_FILE_PATH", "elsewhere/all.log")],
    );
    assert!(home.path().join("elsewhere/errors.log").exists());
}

#[test]
fn the_status_has_the_classic_names() {
    let home = tempfile::tempdir().unwrap();
    let mut config = classic();
    let served = start(home.path(), &config);
    let shown = status(&served);
    assert_eq!(shown["overall_status"], "healthy");
    assert_eq!(shown["unhealthy_checks"], json!([]));
    let last_update = shown["last_update"].as_str().unwrap().to_owned();
    assert!(last_update.ends_with('Z') && last_update.contains('T'), "{last_update}");
    config["health"] =
        json!({"checks": [{"name": "gone", "tcp": {"address": "127.0.0.1:9"}, "interval": "1s"}]});
    write(home.path(), &config);
    until("the check fails", || status(&served)["overall_status"] == "unhealthy");
    until("it is checked again", || status(&served)["last_update"].as_str() > Some(&last_update));
}

#[tokio::test]
async fn seven_requests_a_minute_are_reported_as_seven() {
    let home = tempfile::tempdir().unwrap();
    let mut config = classic();
    config["rate_limit"] = json!({"enabled": true, "requests_per_minute": 7, "burst_size": 1});
    let served = start(home.path(), &config);
    let params = json!({"name": "say", "arguments": {"text": "hi"}});
    for _ in 0..3 {
        let answer = modern(served.address, "tools/call", params.clone()).await;
        if answer.status == 429 {
            assert!(answer.body.contains("7 requests a minute"), "{}", answer.body);
            assert_eq!(answer.json()["error"]["data"]["limit"], 7);
            return;
        }
    }
    panic!("nothing was refused");
}

#[tokio::test]
async fn without_config_the_usual_file_is_served_and_the_log_says_so() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("config")).unwrap();
    let mut config = classic();
    config["logging"] = json!({"level": "INFO"});
    fs::write(home.path().join("config/production.json"), config.to_string()).unwrap();
    let served = Served::start(home.path(), &[]);
    served.logged("no --config was given; using config/production.json");
    served.logged(&home.path().join("config/production.json").display().to_string());
    let answer = modern(served.address, "server/discover", json!({})).await.result();
    assert_eq!(answer["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "classic");

    let empty = tempfile::tempdir().unwrap();
    let served = Served::start(empty.path(), &[]);
    served.logged("there is no config/production.json; using the defaults");
    assert!(!empty.path().join("config").exists(), "nothing is made");
}

#[tokio::test]
async fn health_asks_the_server_of_the_usual_file() {
    let home = tempfile::tempdir().unwrap();
    let admin = free();
    fs::create_dir(home.path().join("config")).unwrap();
    let file = home.path().join("config/production.json");
    let config = json!({"auth": {"enabled": false}, "http": {"adminAddress": admin.to_string(), "address": "127.0.0.1:0"}});
    fs::write(&file, config.to_string()).unwrap();
    let mut command = program(home.path());
    command.arg("serve");
    let _served = Served::start_at(command, admin, admin).await;
    let health = |variables: &[(&str, &str)]| {
        program(home.path()).arg("health").envs(variables.iter().copied()).output().unwrap()
    };
    let output = health(&[]);
    assert_eq!((output.status.code(), &*stdout(&output)), (Some(0), "ready\n"), "{}", stderr(&output));
    // A file that the running server refused makes it no less healthy.
    fs::write(&file, "{").unwrap();
    let output = health(&[("MCP_HTTP_ADMIN_ADDRESS", &admin.to_string())]);
    assert_eq!((output.status.code(), &*stdout(&output)), (Some(0), "ready\n"), "{}", stderr(&output));
    assert!(stderr(&output).contains("config/production.json is passed over"), "{}", stderr(&output));
}

#[test]
fn the_dataclasses_own_defaults_load() {
    let home = tempfile::tempdir().unwrap();
    let defaults = json!({
        "server_name": "production-mcp-server", "server_version": "1.0.0", "metrics_interval": 60,
        "auth": {"enabled": true, "api_keys_file": "config/api_keys.json", "api_key": "",
                 "oauth2_client_id": "", "oauth2_client_secret": "", "oauth2_auth_server": ""},
        "cache": {"enabled": true, "cache_type": "memory", "max_size": 1000, "max_memory_mb": 100,
                  "ttl_seconds": 3600, "redis_url": ""},
        "rate_limit": {"enabled": true, "requests_per_minute": 100, "burst_size": 10, "cleanup_interval": 300},
        "logging": {"level": "INFO", "format": "", "file_path": "", "max_file_size_mb": 10, "backup_count": 5,
                    "json_format": true},
        "performance": {"max_concurrent_requests": 100, "request_timeout": 30, "thread_pool_size": 10,
                        "connection_pool_size": 20, "cache_ttl": null, "enable_request_batching": false,
                        "batch_size": 10, "batch_timeout": 0.1},
    });
    let mut with_type = defaults.clone();
    with_type["auth"]["auth_type"] = json!("");
    for config in [defaults, with_type] {
        write(home.path(), &config);
        let output = program(home.path()).args(["check-config", "production.json"]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let served = Served::start(home.path(), &["--config", "production.json"]);
        assert_eq!(status(&served)["auth"]["mode"], "Required", "an empty text switches nothing off");
    }
}

/// A running server's own lines on the console are not in the file that was moved.
fn says(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|log| log.contains(text))
}

#[tokio::test]
async fn sighup_loads_the_configuration_and_opens_the_log_again() {
    let home = tempfile::tempdir().unwrap();
    let mut served = start(home.path(), &classic());
    let log = home.path().join(LOG);
    let moved = home.path().join("logs/production.log-20261128");
    until("it is ready", || says(&log, "\"ready\""));
    // As logrotate does it.
    fs::rename(&log, &moved).unwrap();
    served.signal("HUP");
    until("the new file is written", || says(&log, "the log files are open again"));
    let loaded = "the changed configuration is in force";
    until("the configuration was loaded", || says(&log, loaded) || says(&moved, loaded));
    assert!(says(&log, "SIGHUP") || says(&moved, "SIGHUP"));
    assert!(served.child.try_wait().unwrap().is_none(), "it runs on");
    assert_eq!(call(&served, "1", "say", json!({"text": "hi"})).await.status, 200);
    // A file that cannot be loaded is refused, each time.
    let mut broken = classic();
    broken["auth"]["enabled"] = json!("perhaps");
    write(home.path(), &broken);
    let count = || fs::read_to_string(&log).unwrap_or_default().matches("is refused").count();
    until("the watch refuses it", || count() == 1);
    served.signal("HUP");
    until("the signal does, too", || count() == 2);
    served.signal("TERM");
    assert_eq!(served.exit_code(), 0);
}

#[test]
fn sighup_does_not_end_a_server_without_a_file() {
    let home = tempfile::tempdir().unwrap();
    let mut served = Served::start(home.path(), &[]);
    served.signal("HUP");
    served.logged("there is no configuration file to load");
    assert_eq!(get(served.admin, "/ready").0, 200);
    assert!(served.child.try_wait().unwrap().is_none());
}

#[tokio::test]
async fn a_log_that_was_moved_or_deleted_is_written_at_its_path_again() {
    let home = tempfile::tempdir().unwrap();
    let served = start(home.path(), &classic());
    let log = home.path().join(LOG);
    until("it is ready", || says(&log, "\"ready\""));
    for remove in [true, false] {
        if remove {
            fs::remove_file(&log).unwrap();
        } else {
            fs::rename(&log, home.path().join("moved.log")).unwrap();
        }
        // Nobody said anything to the server; each failure leaves a line.
        let mut id = 0;
        while !log.exists() {
            id += 1;
            call(&served, &id.to_string(), "divide", json!({"by": 0})).await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            assert!(id < 250, "the log is not opened again");
        }
    }
    assert!(send(served.admin, "GET", "/status", &[], "").await.json()["overall_status"] == "healthy");
}
