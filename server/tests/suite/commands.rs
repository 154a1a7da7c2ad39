//! The subcommands, and the classic file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::process::{Served, get, program, run, status, stderr, stdout, until};

const CLASSIC: &str = include_str!("classic-production.json");

#[test]
fn the_classic_file_starts_as_it_is_and_greets() {
    let home = tempfile::tempdir().unwrap();
    let mut config: Value = serde_json::from_str(CLASSIC).unwrap();
    config["tools"] = json!([{
        "name": "greet",
        "description": "Say hello to somebody.",
        "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        "cel": "\"Hello, \" + args.name + \"!\"",
    }]);
    let file = home.path().join("production.json");
    fs::write(&file, config.to_string()).unwrap();
    let served = Served::start(home.path(), &["--config", "production.json"]);
    let log = served.log();
    let file = home.path().join("logs/production.log");
    until("the log file", || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("\"message\":\"ready\""))
    });
    // The key goes where the classic file says, and is told once, on standard error.
    let keys = home.path().join("config/api_keys.json");
    assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
    let stored: Value = serde_json::from_str(&fs::read_to_string(&keys).unwrap()).unwrap();
    let key = stored["keys"][0]["key"].as_str().unwrap();
    served.told(key);
    assert!(!log.contains(key));

    let call = |more: &[&str]| {
        let url = served.url();
        run(home.path(), &[&["call", "--url", &url][..], more].concat())
    };
    let greeted = call(&["greet", r#"{"name":"Ada"}"#]);
    assert_eq!(stdout(&greeted), "Hello, Ada!\n", "{}", stderr(&greeted));
    let older = call(&["--era", "legacy", "greet", r#"{"name":"Ada"}"#]);
    assert_eq!(stdout(&older), "Hello, Ada!\n", "{}", stderr(&older));
    assert_eq!(stdout(&call(&["--list"])), "greet  Say hello to somebody.\n");
    let whole: Value =
        serde_json::from_str(&stdout(&call(&["--json", "greet", r#"{"name":"Ada"}"#]))).unwrap();
    assert_eq!(whole["content"][0]["text"], "Hello, Ada!");
    let named = run(
        home.path(),
        &["call", "greet", r#"{"name":"Ada"}"#, "--url", &served.url(), "--config", "production.json"],
    );
    assert_eq!(stdout(&named), "Hello, Ada!\n", "{}", stderr(&named));

    let failed = call(&["greet", "{}"]);
    assert_eq!((failed.status.code(), stdout(&failed).as_str()), (Some(1), ""));
    assert!(stderr(&failed).contains("name"), "{}", stderr(&failed));
    let unknown = call(&["nothing"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("unknown tool"), "{}", stderr(&unknown));
    let wrong = call(&["greet", "{}", "--key", "nonsense"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("--key"), "{}", stderr(&wrong));
    assert_eq!(call(&["greet", "nonsense"]).status.code(), Some(2));
}

#[test]
fn a_generated_key_is_kept_for_the_next_start_and_told_once() {
    let home = tempfile::tempdir().unwrap();
    let first = Served::start(home.path(), &[]);
    let address = first.address.to_string();
    first.told("not shown again");
    let state = home.path().join(".local/state/mcp-server");
    let kept = state.join(format!("{}.json", address.replace(':', "-")));
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    drop(first);
    let again = program(home.path())
        .args(["serve", "--address", &address, "--admin-address", &address])
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(2), "one port for both is refused: {}", stderr(&again));
    let second = Served::start(home.path(), &["--log-level", "debug"]);
    assert!(run(home.path(), &["call", "--list", "--url", &second.url()]).status.success());
}

#[test]
fn a_manifest_is_served_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let manifest = "apiVersion: mcp-operator.dev/v1alpha1\nkind: McpServer\nmetadata: {name: hello}\nspec:\n  config:\n    \
        auth: {mode: Disabled}\n    tools:\n    - {name: greet, cel: '\"Hello, \" + args.name'}\n";
    fs::write(home.path().join("hello.yaml"), manifest).unwrap();
    let served = Served::start(home.path(), &["--config", "hello.yaml"]);
    assert_eq!(status(&served)["server"]["name"], "hello");
    let output = run(home.path(), &["call", "greet", r#"{"name":"Ada"}"#, "--url", &served.url()]);
    assert_eq!(stdout(&output), "Hello, Ada\n", "{}", stderr(&output));
}

#[test]
fn a_missing_file_is_made_and_a_read_only_place_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let disabled = [("MCP_AUTH_ENABLED", "false")];
    let served = Served::start_with(home.path(), &["--config", "config/production.json"], &disabled);
    let made: Value =
        serde_json::from_str(&fs::read_to_string(home.path().join("config/production.json")).unwrap())
            .unwrap();
    assert_eq!(made["serverName"], "production-mcp-server");
    assert!(status(&served)["config"]["file"].as_str().unwrap().ends_with("production.json"));
}

#[test]
fn check_config_tells_everything_or_that_there_is_nothing() {
    let home = tempfile::tempdir().unwrap();
    let check = |name: &str, text: &str| {
        fs::write(home.path().join(name), text).unwrap();
        run(home.path(), &["check-config", name])
    };
    let good = check("good.json", r#"{"tools":[{"name":"a","text":"x"}]}"#);
    assert_eq!((good.status.code(), stdout(&good).as_str()), (Some(0), "good.json is valid: 1 tool\n"));
    let classic = check("classic.json", CLASSIC);
    assert_eq!(
        (classic.status.code(), stdout(&classic).as_str()),
        (Some(0), "classic.json is valid: 0 tools\n")
    );
    let unknown = check("unknown.json", r#"{"serverNane":"x"}"#);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("unknown.json:1:"), "{}", stderr(&unknown));
    let broken = check("broken.yaml", "tools:\n- {name: 'a b', text: x}\n- {name: c}\n");
    assert_eq!(broken.status.code(), Some(2));
    for part in ["broken.yaml:2:", "broken.yaml:3:", "tools[0].name", "tools[1]"] {
        assert!(stderr(&broken).contains(part), "{part} is not in\n{}", stderr(&broken));
    }
    assert_eq!(run(home.path(), &["check-config", "missing.json"]).status.code(), Some(2));
}

#[test]
fn print_config_prints_what_is_in_force() {
    let home = tempfile::tempdir().unwrap();
    let printed = run(home.path(), &["print-config", "--defaults"]);
    let defaults: Value = serde_json::from_str(&stdout(&printed)).unwrap();
    assert_eq!(defaults["performance"]["requestTimeout"], "30s");
    fs::write(home.path().join("defaults.json"), stdout(&printed)).unwrap();
    assert!(run(home.path(), &["check-config", "defaults.json"]).status.success());
    fs::write(home.path().join("c.json"), r#"{"auth":{"apiKey":{"value":"canary-5f1d"}}}"#).unwrap();
    let printed =
        program(home.path()).args(["print-config", "c.json"]).env("MCP_SERVER_NAME", "n").output().unwrap();
    assert!(stdout(&printed).contains("\"serverName\": \"n\""));
    assert!(!stdout(&printed).contains("canary"), "secrets are not printed");
    for setting in mcp_server_config::restart_settings() {
        assert!(stderr(&printed).contains(setting), "{setting} is not in {}", stderr(&printed));
        let (section, key) = setting.split_once('.').unwrap();
        assert!(!defaults[section][key].is_null(), "{setting} is no setting");
    }
}

#[test]
fn health_asks_the_admin_port() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start_with(home.path(), &[], &[("MCP_AUTH_ENABLED", "false")]);
    let url = format!("http://{}/ready", served.admin);
    assert_eq!(stdout(&run(home.path(), &["health", "--url", &url])), "ready\n");
    let by_environment = program(home.path())
        .arg("health")
        .env("MCP_HTTP_ADMIN_ADDRESS", served.admin.to_string())
        .output()
        .unwrap();
    assert!(by_environment.status.success(), "{}", stderr(&by_environment));
    drop(served);
    let gone = run(home.path(), &["health", "--url", &url]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("nothing listens"), "{}", stderr(&gone));
}

#[test]
fn call_says_what_to_start_and_what_it_cannot_do() {
    let home = tempfile::tempdir().unwrap();
    let nobody = run(home.path(), &["call", "x", "--url", "http://127.0.0.1:1/mcp"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(stderr(&nobody).contains("mcp-server serve"), "{}", stderr(&nobody));
    let tls = run(home.path(), &["call", "x", "--url", "https://127.0.0.1/mcp"]);
    assert_eq!(tls.status.code(), Some(2));
    assert!(stderr(&tls).contains("https"), "{}", stderr(&tls));
    assert_eq!(run(home.path(), &["call"]).status.code(), Some(2));
}

#[test]
fn the_admin_port_tells_what_there_is() {
    let home = tempfile::tempdir().unwrap();
    let environment = [("MCP_AUTH_ENABLED", "false"), ("MCP_ENVIRONMENT", "staging")];
    let served = Served::start_with(home.path(), &[], &environment);
    assert!(!run(home.path(), &["call", "x", "--url", &served.url()]).status.success());
    crate::process::until("the call is counted", || status(&served)["summary"]["requests_failed"] == 1);
    let document = status(&served);
    assert_eq!(document["environment"], "staging");
    assert_eq!(document["protocolVersions"][0], "2026-07-28");
    assert_eq!(document["tools"], 0);
    assert_eq!(document["components"]["tools"]["health"], "Healthy");
    let (code, metrics) = get(served.admin, "/metrics");
    assert_eq!(code, 200);
    for name in [
        "mcp_server_requests_total",
        "mcp_server_request_duration_seconds_bucket",
        "mcp_server_requests_in_flight",
        "mcp_server_connections",
        "mcp_server_config_last_reload_successful 1",
        "mcp_server_build_info",
        "mcp_server_ready 1",
        "process_start_time_seconds",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
    assert_eq!(get(served.admin, "/elsewhere").0, 404);
    let off = Served::start_with(
        home.path(),
        &[],
        &[("MCP_AUTH_ENABLED", "false"), ("MCP_METRICS_ENABLED", "false")],
    );
    assert_eq!(get(off.admin, "/metrics").0, 404);
}

#[test]
fn call_mirrors_the_arguments_that_a_tool_wants_in_headers() {
    let home = tempfile::tempdir().unwrap();
    let schema =
        json!({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}});
    let tools = json!([{"name": "where", "inputSchema": schema, "text": "in {{args.region}}"}]);
    let config = json!({"auth": {"mode": "Disabled"}, "tools": tools});
    fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    let served = Served::start(home.path(), &["--config", "config.json"]);
    let output = run(home.path(), &["call", "where", r#"{"region":"Zürich"}"#, "--url", &served.url()]);
    assert_eq!(stdout(&output), "in Zürich\n", "{}", stderr(&output));
}
