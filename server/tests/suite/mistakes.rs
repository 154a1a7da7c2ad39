//! What somebody stumbles over who does not know the server yet: each mistake is told, with the next step.

use std::fs;

use serde_json::json;

use crate::process::{ANY_ADMIN_PORT, Served, program, run, status, stderr, stdout, until};

/// Starts a server that is not going to serve.
fn refused(home: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String) {
    let ports = ["serve", "--address", "127.0.0.1:0", "--admin-address", ANY_ADMIN_PORT];
    let output = run(home, &[&ports[..], arguments].concat());
    (output.status.code(), stderr(&output))
}

#[test]
fn a_mistyped_keys_file_locks_nobody_out() {
    let home = tempfile::tempdir().unwrap();
    for auth in [
        json!({"apiKeys": {"file": "kyes.json"}}),
        json!({"mode": "Optional", "apiKeys": {"file": "kyes.json"}}),
        json!({"enabled": true, "api_keys_file": "kyes.json"}),
    ] {
        let config = json!({"auth": auth, "tools": [{"name": "a", "text": "x"}]});
        fs::write(home.path().join("c.json"), config.to_string()).unwrap();
        let (code, told) = refused(home.path(), &["--config", "c.json"]);
        assert_eq!(code, Some(4), "{auth}: {told}");
        assert!(
            told.contains("kyes.json does not exist; make it with `mcp-server keys --file kyes.json add ID`"),
            "{told}"
        );
        assert!(!home.path().join("kyes.json").exists());
        let checked = run(home.path(), &["check-config", "c.json"]);
        assert_eq!(stdout(&checked), "c.json is valid: 1 tool\n");
        assert!(stderr(&checked).contains("kyes.json does not exist"), "{}", stderr(&checked));
    }
    let listed = run(home.path(), &["keys", "--file", "kyes.json", "list"]);
    assert_eq!(listed.status.code(), Some(1));
    assert!(
        stderr(&listed).contains("`mcp-server keys --file kyes.json add ID` makes it"),
        "{}",
        stderr(&listed)
    );
}

#[test]
fn a_mistyped_configuration_is_told_and_leaves_no_directories() {
    let home = tempfile::tempdir().unwrap();
    let (code, told) = refused(home.path(), &["--config", "cofnig/my.yaml"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("its directory cofnig"), "{told}");
    assert!(!home.path().join("cofnig").exists());
    let served = Served::start_with(home.path(), &["--config", "my.yaml"], &[("MCP_AUTH_ENABLED", "false")]);
    let warned = served.log().lines().any(|line| {
        line.contains("WARN")
            && line.contains("did not exist")
            && line.contains(home.path().to_str().unwrap())
    });
    assert!(warned, "{}", served.log());
    assert!(fs::read_to_string(home.path().join("my.yaml")).unwrap().starts_with("auth:"));
    let listed = run(home.path(), &["call", "--list", "--url", &served.url()]);
    assert!(stderr(&listed).contains("no tools"), "{}", stderr(&listed));
}

#[test]
fn an_address_is_blamed_on_the_flag() {
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), &["serve", "--address", "8080"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("--address: is not an address"), "{}", stderr(&output));
}

#[test]
fn a_resource_that_a_cluster_would_refuse_is_no_success() {
    let home = tempfile::tempdir().unwrap();
    let tools = json!([{"name": "list", "command": {"argv": ["ls"]}}, {"name": "a", "text": "x"}]);
    let config = json!({"auth": {"mode": "Disabled"}, "tools": tools});
    fs::write(home.path().join("c.json"), config.to_string()).unwrap();
    let converted = run(home.path(), &["convert-config", "c.json"]);
    assert_eq!(converted.status.code(), Some(1));
    assert!(stdout(&converted).starts_with("# To be mended by hand"), "{}", stdout(&converted));
    assert!(!stdout(&converted).contains("argv"));
    let fine = json!({"auth": {"mode": "Disabled"}, "tools": [{"name": "a", "text": "x"}]});
    fs::write(home.path().join("c.json"), fine.to_string()).unwrap();
    assert_eq!(run(home.path(), &["convert-config", "c.json"]).status.code(), Some(0));
}

#[test]
fn a_secret_that_a_tool_lacks_is_known_before_anybody_calls_it() {
    let home = tempfile::tempdir().unwrap();
    let header = json!({"name": "Authorization", "secret": {"file": "token"}});
    let tool = json!({"name": "ask", "http": {"url": "http://upstream.invalid/", "headers": [header]}});
    let config = json!({"auth": {"mode": "Disabled"}, "tools": [tool]});
    fs::write(home.path().join("c.json"), config.to_string()).unwrap();
    let served = Served::start(home.path(), &["--config", "c.json"]);
    served.logged("a secret of a tool is not there");
    let shown = status(&served);
    let message = shown["components"]["tools"]["message"].as_str().unwrap();
    assert!(message.contains("tool ask, header authorization: cannot read token"), "{shown:#}");
    fs::write(home.path().join("token"), "secret").unwrap();
    assert_eq!(status(&served)["components"]["tools"]["health"], "Healthy");
}

/// Serves with these variables and this configuration, which cannot be served, and returns the exit code, what standard error
/// says and the termination message.
fn last_words(config: &serde_json::Value, variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let home = tempfile::tempdir().unwrap();
    let message = home.path().join("termination-log");
    fs::write(home.path().join("production.json"), config.to_string()).unwrap();
    fs::write(&message, "").unwrap();
    let output = program(home.path())
        .args([
            "serve",
            "--config",
            "production.json",
            "--address",
            "127.0.0.1:0",
            "--admin-address",
            ANY_ADMIN_PORT,
        ])
        .env("MCP_TERMINATION_LOG", &message)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    (output.status.code(), stderr(&output), fs::read_to_string(message).unwrap())
}

#[test]
fn the_cause_of_a_failed_start_is_the_last_line_and_the_termination_message() {
    let tool = json!({"name": "a", "text": "x"});
    let tools = [&tool];
    for (config, code, cause) in [
        (json!({"tools": [{"name": "a b", "text": "x"}]}), 2, "production.json:1:12: tools[0].name: "),
        (
            json!({"auth": {"apiKeys": {"file": "none.json"}}, "tools": tools}),
            4,
            "none.json does not exist; make it with",
        ),
        (
            json!({"auth": {"mode": "Disabled"}, "stateKeys": [{"env": "NONE"}], "tools": tools}),
            4,
            "the secret stateKeys[0] cannot be had: the environment variable NONE is not set",
        ),
    ] {
        let (exit, told, message) = last_words(&config, &[]);
        assert_eq!(exit, Some(code), "{told}");
        assert!(message.starts_with(cause), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        let last = told.lines().last().unwrap();
        assert!(last.starts_with("mcp-server: cannot start: ") && last.ends_with(&message), "{told}");
    }
}

#[test]
fn all_problems_are_counted_in_the_termination_message() {
    let tools: Vec<_> = (0..5).map(|index| json!({"name": format!("{index} x"), "text": "x"})).collect();
    let (_, told, message) = last_words(&json!({"tools": tools}), &[]);
    assert!(message.contains("tools[2].name") && message.ends_with("; and 2 more problems"), "{message}");
    assert!(told.contains("tools[4].name"), "{told}");
}

#[test]
fn a_variable_s_mistake_names_the_variable_and_no_place_in_the_file() {
    let config = json!({"tools": [{"name": "a", "text": "x"}], "auth": {"mode": "Disabled"}});
    for (name, value, said) in [
        ("MCP_LOGGING_LEVEL", "loud", "is not a log level"),
        ("MCP_PERFORMANCE_REQUEST_TIMEOUT", "soon", "is not a duration"),
        ("MCP_PERFORMANCE_MAX_CONCURRENT_REQUESTS", "0", "must be"),
        ("MCP_AUTH_OAUTH2_CLOCK_SKEW", "1s", "auth.oauth2.issuer: "),
        ("MCP_HTTP_ALLOWED_HOSTS", "a b", "http.allowedHosts[0]: "),
    ] {
        let (code, told, message) = last_words(&config, &[(name, value)]);
        assert_eq!(code, Some(2), "{name}: {told}");
        assert!(message.contains(&format!("environment: {name}: {said}")), "{message}");
        assert!(!message.contains("production.json"), "{message}");
    }
}

#[test]
fn no_command_shows_a_secret_that_stands_beside_a_mistake() {
    let home = tempfile::tempdir().unwrap();
    let of = |mistake: &str| format!(r#"{{"auth":{{"enabled":true,"api_key":"canary-5f1d"}},{mistake}}}"#);
    fs::write(home.path().join("c.json"), of("\"foo\":1")).unwrap();
    let place = "1 | {\"auth\":{\"enabled\":…,\"api_key\":\"…\"},\"foo\":…}";
    for arguments in [
        &["check-config", "c.json"][..],
        &["convert-config", "c.json"],
        &["keys", "--config", "c.json", "list"],
    ] {
        let output = run(home.path(), arguments);
        let told = stdout(&output) + &stderr(&output);
        assert!(!told.contains("canary"), "{arguments:?}: {told}");
        assert!(arguments[0] == "keys" || told.contains(place), "{arguments:?}: {told}");
    }
    assert!(!stdout(&run(home.path(), &["print-config", "c.json"])).contains("canary"));
    let served = Served::start(home.path(), &["--config", "c.json"]);
    served.logged("foo: unknown key");
    for mistake in
        ["\"logging\":{\"level\":\"canary-5f1d\"}", "\"foo\":1,", "\"serverName\":[\"canary-5f1d\"]"]
    {
        fs::write(home.path().join("c.json"), of(mistake)).unwrap();
        let key = mistake.split('"').nth(1).unwrap();
        until("the refusal is in /status", || {
            let error = status(&served)["config"]["lastError"].as_str().unwrap_or_default().to_owned();
            assert!(!error.contains("canary"), "{error}");
            error.contains("c.json:1:") && (error.contains(key) || error.contains("not JSON"))
        });
    }
    assert!(!served.log().contains("canary"), "{}", served.log());
}
