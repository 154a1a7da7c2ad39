use serde_json::json;

use super::*;
use crate::{LogFormat, cache::CacheMode, rate_limit::RateLimitMode, render, validate};

fn read(name: &str, text: &str) -> Result<Document, LoadError> {
    load(&Origin { name: name.into(), text: text.into() }, [])
}

fn fails(name: &str, text: &str) -> String {
    read(name, text).unwrap_err().to_string()
}

#[test]
fn the_classic_file_loads_unchanged() {
    let document = read("production.json", include_str!("../../tests/classic-production.json")).unwrap();
    assert_eq!((&document.unknown, &document.notes), (&vec![], &vec![]));
    let ServerConfig { service, process } = document.config;
    assert_eq!(service.server_name(), "production-mcp-server");
    assert_eq!(service.auth.api_keys.unwrap().file.unwrap(), "config/api_keys.json");
    assert_eq!(service.logging.format, Some(LogFormat::Json));
    assert_eq!(service.metrics.interval().to_string(), "1m");
    assert_eq!(service.cache.mode, Some(CacheMode::On));
    assert_eq!(service.cache.max_memory.unwrap().to_string(), "100Mi");
    assert_eq!(service.cache.ttl.unwrap().to_string(), "1h");
    assert_eq!(service.rate_limit.mode, Some(RateLimitMode::Enforce));
    assert_eq!(service.rate_limit.cleanup_interval.unwrap().to_string(), "5m");
    assert_eq!(process.logging.file.as_ref().unwrap().backups, Some(5));
}

#[test]
fn json_errors_point_at_the_place() {
    insta::assert_snapshot!(fails("a.json", "{\n  \"serverName\": \"x\",\n}"), @r#"
    a.json:3:1: not JSON: trailing comma
      |
    3 | }
      | ^
    "#);
    insta::assert_snapshot!(fails("a.json", "{\"logging\": {\"level\": \"loud\"}}"), @r#"
    a.json:1:14: logging.level: "loud" is not one of NOTSET, TRACE, DEBUG, INFO, WARN, WARNING, ERROR, CRITICAL, FATAL
      |
    1 | {"logging": {"level": "loud"}}
      |              ^
    "#);
}

#[test]
fn yaml_errors_point_at_the_place() {
    insta::assert_snapshot!(fails("a.yaml", "performance:\n  requestTimeout: soon\n"), @r#"
    a.yaml:2:3: performance.requestTimeout: "soon" is not a duration; write one to four numbers of at most five digits, each with a unit of h, m, s or ms, as in 30s, 5m or 1h30m
      |
    2 |   requestTimeout: soon
      |   ^
    "#);
    insta::assert_snapshot!(fails("a.yaml", "tools:\n  - name: a\n  - name: [b]\n"), @r#"
    a.yaml:3:5: tools[1].name: invalid type: sequence, expected a string
      |
    3 |   - name: [b]
      |     ^
    "#);
    let broken = fails("a.yaml", "a: [1, 2\nb: 3\n");
    assert!(broken.starts_with("a.yaml:2:") && broken.contains("not YAML"), "{broken}");
    assert!(fails("a.yaml", "").contains("holds no configuration"));
    assert!(fails("a.yaml", "- 1\n").contains("a configuration is a map"));
}

#[test]
fn a_classic_key_is_blamed_under_its_own_name() {
    let error = fails("production.json", "{\n  \"metrics_interval\": \"often\"\n}");
    assert!(
        error.starts_with("production.json:2:3: metrics_interval: \"often\" is not a number of seconds"),
        "{error}"
    );
    let document = read("production.json", "{\n  \"metrics_interval\": 0\n}").unwrap();
    let problems = document.problems(&validate(&document.config));
    assert!(
        problems[0].to_string().starts_with("production.json:2:3: metrics_interval: must be from 1s to 24h")
    );
}

#[test]
fn unknown_keys_are_told_with_their_place() {
    let document =
        read("a.yaml", "server_nam: x\nauth:\n  apiKey: {env: K}\n  mod: Disabled\nhttp:\n  path: /mcp\n")
            .unwrap();
    let told: Vec<_> = document.unknown.iter().map(|key| (key.path.to_string(), key.fatal)).collect();
    assert_eq!(told, [("auth.mod".to_owned(), true), ("server_nam".to_owned(), false)]);
    assert_eq!(document.unknown[0].problem.position.unwrap().line, 4);
}

#[test]
fn a_misspelt_key_inside_a_section_of_one_view_is_told_too() {
    let text = "rateLimit: {requestPerMinute: 5}\nauth: {apiKey: {fil: x}}\nshutdown: {dely: 1s}\ntools: [{nam: a}]\n";
    let error = fails("a.yaml", text);
    assert!(error.contains("tools[0]") && error.contains("missing field"), "{error}");
    let document = read("a.yaml", &text.replace("{nam: a}", "{name: a, tex: b}")).unwrap();
    let told: Vec<_> = document.unknown.iter().map(|key| (key.path.to_string(), key.fatal)).collect();
    let expected = [
        ("auth.apiKey.fil", true),
        ("rateLimit.requestPerMinute", true),
        ("shutdown.dely", false),
        ("tools[0].tex", false),
    ];
    assert_eq!(told, expected.map(|(path, fatal)| (path.to_owned(), fatal)));
}

#[test]
fn the_environment_lies_over_the_file() {
    let origin = Origin {
        name: "a.yaml".into(),
        text: "serverName: file\nperformance: {maxConcurrentRequests: 3}\n".into(),
    };
    let variables =
        [("MCP_SERVER_NAME", "env"), ("MCP_PERFORMANCE_REQUEST_TIMEOUT", "9s"), ("MCP_TYPO", "1")];
    let document = load(&origin, variables.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap();
    assert_eq!(document.config.service.server_name(), "env");
    assert_eq!(document.config.service.performance.max_concurrent_requests(), 3);
    assert_eq!(document.config.service.performance.request_timeout().to_string(), "9s");
    assert_eq!(document.notes, ["the environment variable MCP_TYPO means nothing here; is it misspelt?"]);
    let error = load(&origin, [("MCP_LOG_LEVEL".to_owned(), "x".to_owned())]).unwrap_err().to_string();
    assert!(error.starts_with("environment: MCP_LOG_LEVEL: \"x\" is not one of"), "{error}");
}

#[test]
fn a_manifest_is_served_too() {
    let text = "# a comment\napiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\n\
                apiVersion: mcp-operator.dev/v1alpha1\nkind: McpServer\nmetadata: {name: hello}\nspec:\n  config:\n    tools:\n      - name: greet\n        text: 1\n";
    let error = fails("hello.yaml", text);
    assert!(error.starts_with("hello.yaml:13:9: spec.config.tools[0].text: invalid type"), "{error}");
    let document = read("hello.yaml", &text.replace("text: 1", "text: hi")).unwrap();
    assert_eq!(document.config.service.server_name(), "hello");
    assert_eq!(document.config.service.tools[0].name, "greet");
    let error = fails("x.yaml", "apiVersion: v1\nkind: ConfigMap\n");
    assert!(error.contains("ConfigMap is not something to serve"), "{error}");
    let both = format!("{text}---\n{text}");
    assert!(fails("x.yaml", &both).contains("holds 2 McpServers"));
}

#[test]
fn what_is_rendered_loads_again() {
    let text = json!({
        "serverName": "n", "auth": {"mode": "Optional", "apiKeys": {"file": "k"}}, "http": {"address": "0.0.0.0:1", "maxBody": "1Mi"},
        "tools": [{"name": "t", "cel": "1", "inputSchema": {"type": "object", "x": [1, null]}}],
        "shutdown": {"delay": "5s"}, "cache": {"mode": "On"},
    });
    let first = read("a.json", &text.to_string()).unwrap().config;
    let again = read("a.json", &render(&first)).unwrap().config;
    assert_eq!(first, again);
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,200}") {
        let _ = read("x", &text).map_err(|error| error.to_string());
        let _ = read("x.yaml", &text).map_err(|error| error.to_string());
        let _ = read("x.json", &text).map_err(|error| error.to_string());
    }
}
