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
    a.json:1:14: logging.level: is not one of NOTSET, TRACE, DEBUG, INFO, WARN, WARNING, ERROR, CRITICAL, FATAL
      |
    1 | {"logging": {"level": "…"}}
      |              ^
    "#);
}

#[test]
fn yaml_errors_point_at_the_place() {
    insta::assert_snapshot!(fails("a.yaml", "performance:\n  requestTimeout: soon\n"), @r#"
    a.yaml:2:3: performance.requestTimeout: is not a duration; write one to four numbers of at most five digits, each with a unit of h, m, s or ms, as in 30s, 5m or 1h30m
      |
    2 |   requestTimeout: …
      |   ^
    "#);
    insta::assert_snapshot!(fails("a.yaml", "tools:\n  - {name: a, text: x}\n  - name: [b]\n"), @r#"
    a.yaml:3:5: tools[1].name: is a list, not a text
      |
    3 |   - name: […]
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
        error.starts_with("production.json:2:3: metrics_interval: is not a number of seconds"),
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
    assert!(error.starts_with("environment: MCP_LOG_LEVEL: is not a log level"), "{error}");
}

#[test]
fn a_manifest_is_served_too() {
    let text = "# a comment\napiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\n\
                apiVersion: mcp-operator.dev/v1alpha1\nkind: McpServer\nmetadata: {name: hello}\nspec:\n  config:\n    tools:\n      - name: greet\n        text: 1\n";
    let error = fails("hello.yaml", text);
    assert!(
        error.starts_with("hello.yaml:13:9: spec.config.tools[0].text: is a number, not a text"),
        "{error}"
    );
    let document = read("hello.yaml", &text.replace("text: 1", "text: hi")).unwrap();
    assert_eq!(document.config.service.server_name(), "hello");
    assert_eq!(document.config.service.tools[0].name, "greet");
    let error = fails("x.yaml", "apiVersion: v1\nkind: ConfigMap\n");
    assert!(error.contains("kind: is not something to serve"), "{error}");
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

#[test]
fn one_mistake_does_not_hide_another() {
    let text = "serverNam: x\nauth: {apiKey: {fil: x}}\nlogging: {file: x}\nperformance: {requestTimeout: 5}\n\
                rateLimit: {mode: 7, burst: 0}\ntools:\n- {name: a, text: x}\n- {nme: b}\n- {name: a, text: y}\n";
    let error = fails("a.yaml", text);
    for part in [
        "a.yaml:1:1: serverNam: unknown key; did you mean serverName?",
        "a.yaml:2:17: auth.apiKey.fil: unknown key; did you mean auth.apiKey.file?",
        "a.yaml:3:11: logging.file: is a text, not a map of settings",
        "a.yaml:4:15: performance.requestTimeout: ",
        "a.yaml:5:13: rateLimit.mode: is a number, not",
        "a.yaml:5:22: rateLimit.burst: must be from 1",
        "a.yaml:8:3: tools[1]: missing field `name`",
        "a.yaml:9:4: tools[2].name: is the name of an earlier tool",
    ] {
        assert!(error.contains(part), "{part} is not in\n{error}");
    }
}

#[test]
fn off_without_quotes_is_meant_as_it_is_written() {
    let text = "rateLimit: {mode: Off}\ncache: {mode: On}\n";
    let service = read("a.yaml", text).unwrap().config.service;
    assert_eq!((service.rate_limit.mode(), service.cache.mode), (RateLimitMode::Off, Some(CacheMode::On)));
    let error = fails("a.yaml", "rateLimit: {mode: On}\n");
    assert!(error.contains("rateLimit.mode: true is not one of Enforce, Report, Off"), "{error}");
    // A cluster would refuse it.
    let manifest =
        "apiVersion: mcp-operator.dev/v1alpha1\nkind: McpServer\nspec: {config: {rateLimit: {mode: Off}}}\n";
    let error = fails("a.yaml", manifest);
    assert!(error.contains("YAML reads Off as false; write \"Off\""), "{error}");
}

#[test]
fn secrets_of_a_cluster_are_those_in_the_same_file() {
    let manifest = "apiVersion: mcp-operator.dev/v1alpha1\nkind: McpServer\nmetadata: {name: m}\nspec:\n  config:\n    \
                    auth: {apiKeys: {secretKeyRef: {name: clients, key: keys.json}}}\n    \
                    redis: {url: {secretKeyRef: {name: redis, key: url}}}\n";
    let document = read("m.yaml", manifest).unwrap();
    assert_eq!(
        document.notes,
        [
            "auth.apiKeys: Secret clients is not readable outside a cluster; a generated key is used instead",
            "redis.url: Secret redis is not readable outside a cluster; put the Secret into the same file",
        ]
    );
    let secrets = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: clients}\nstringData: {keys.json: key-of-ci}\n\
                   ---\napiVersion: v1\nkind: Secret\nmetadata: {name: redis}\ndata: {url: cmVkaXM6Ly9y}\n";
    let document = read("m.yaml", &format!("{manifest}{secrets}")).unwrap();
    assert_eq!(document.notes, Vec::<String>::new());
    let mut service = document.config.service;
    let texts = service.secrets_mut();
    let texts: Vec<_> = texts.iter().map(|(_, secret)| secret.value.as_ref().unwrap().expose()).collect();
    assert_eq!(texts, ["key-of-ci", "redis://r"]);
    let error = fails("m.json", r#"{"auth": {"apiKeys": {"secretKeyRef": {"name": "a", "key": "b"}}}}"#);
    assert!(error.contains("auth.apiKeys.secretKeyRef: only a resource can refer to a Secret"), "{error}");
}

#[test]
fn only_the_classic_file_of_keys_is_made() {
    let made = |text: &str| read("a.json", text).unwrap().makes_keys_file;
    assert!(made(include_str!("../../tests/classic-production.json")));
    assert!(!made(r#"{"auth": {"api_keys_file": "config/api_kyes.json"}}"#));
    assert!(!made(r#"{"auth": {"apiKeys": {"file": "config/api_keys.json"}}}"#));
    assert!(!made("{}"));
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,200}") {
        let _ = read("x", &text).map_err(|error| error.to_string());
        let _ = read("x.yaml", &text).map_err(|error| error.to_string());
        let _ = read("x.json", &text).map_err(|error| error.to_string());
    }
}
