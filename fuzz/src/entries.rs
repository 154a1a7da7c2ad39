//! One function a target: bytes of a stranger in, and a panic where something is wrong. They are shared by the fuzz
//! targets and the property tests of the server, so they need nothing but the crates that both have.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp_server::auth::keyring::Keyring;
use mcp_server::auth::oauth::jwk::KeySet;
use mcp_server::auth::oauth::settings::Settings;
use mcp_server::auth::oauth::token::{Jwt, Source, check, looks_like_jwt};
use mcp_server::auth::principal::Caller;
use mcp_server::backend::Backend as _;
use mcp_server::backend::tools::DeclaredTools;
use mcp_server::dispatch::record::Record;
use mcp_server::dispatch::snapshot::Snapshot;
use mcp_server::dispatch::{Arrival, Dispatcher, Reply};
use mcp_server::http::{negotiate, origin::Gate};
use mcp_server::observe::metrics::Metrics;
use mcp_server::protocol::headers as mirrors;
use mcp_server_config::compile::compile;
use mcp_server_config::rate_limit::RateLimitMode;
use mcp_server_config::{
    AddressHosts, AuthMode, OAuth2, Origin, ServerConfig, Tool, load, render as rendered, validate,
};
use serde_json::Value;
use tokio::runtime::Runtime;

/// Tools for messages to call.
const TOOLS: &str = r#"{
  "auth": {"mode": "Disabled"},
  "rateLimit": {"mode": "Off"},
  "performance": {"requestTimeout": "200ms"},
  "tools": [
    {"name": "greet", "text": "Hello {{args.name}}", "inputSchema": {"type": "object", "properties": {
      "name": {"type": "string"}, "region": {"type": "string", "x-mcp-header": "Region"}}}},
    {"name": "count", "cel": "args.list.size()"}
  ]
}"#;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be built")
    })
}

fn config_of(text: &str) -> ServerConfig {
    let origin = Origin { name: "fuzz.json".to_owned(), text: text.to_owned() };
    load(&origin, []).expect("the configuration of the fuzz targets is valid").config
}

fn dispatcher() -> &'static Dispatcher {
    static DISPATCHER: OnceLock<Dispatcher> = OnceLock::new();
    DISPATCHER.get_or_init(|| dispatcher_for(config_of(TOOLS)).expect("the tools are valid"))
}

/// A server for a configuration; none where its tools are not valid.
fn dispatcher_for(mut config: ServerConfig) -> Option<Dispatcher> {
    config.service.auth.mode = Some(AuthMode::Disabled);
    config.service.rate_limit.mode = Some(RateLimitMode::Off);
    let tools = DeclaredTools::new(compile(&config.service.tools).ok()?);
    let catalogue = tools.catalogue().borrow().clone();
    let snapshot = Snapshot::new(Arc::new(config), Arc::new(Keyring::default()), &catalogue);
    Some(Dispatcher::new(tools, snapshot, Arc::new(Metrics::new())))
}

fn answer(dispatcher: &Dispatcher, body: &[u8], headers: Option<&HeaderMap>) -> Reply {
    let mut record = Record::begin(dispatcher.metrics.clone());
    let arrival = Arrival {
        body: Bytes::copy_from_slice(body),
        share: None,
        headers,
        caller: Caller::default(),
        in_flight: None,
        notices: None,
    };
    runtime().block_on(dispatcher.handle(&dispatcher.snapshot(), arrival, &mut record))
}

/// Whatever is answered is one JSON-RPC message for the request that was sent, or a batch of them for a batch.
fn is_in_good_order(reply: &Reply, body: &[u8]) {
    let Some(message) = &reply.message else {
        assert!(reply.status.is_success() || reply.status.is_client_error(), "{reply:?}");
        return;
    };
    let text = message.to_vec();
    let answer: Value = serde_json::from_slice(&text).expect("an answer is JSON");
    assert!(!text.contains(&b'\n') && !text.contains(&b'\r'), "an answer is one line");
    // What is no document for `serde_json`, such as a number that is too large, may still have an id that is echoed.
    let sent = serde_json::from_slice::<Value>(body).ok();
    match (&answer, &sent) {
        (Value::Array(answers), Some(Value::Array(sent))) => {
            assert!(!answers.is_empty() && answers.len() <= sent.len(), "{answer}");
            answers.iter().for_each(|answer| is_answer(answer, Some(sent)));
        }
        (Value::Array(answers), None) => answers.iter().for_each(|answer| is_answer(answer, None)),
        (_, sent) => is_answer(&answer, sent.as_ref().map(std::slice::from_ref)),
    }
}

/// Whether this is an answer, and to one of the messages that were sent, where those can be read.
fn is_answer(answer: &Value, sent: Option<&[Value]>) {
    assert_eq!(answer["jsonrpc"], "2.0");
    assert!(answer.get("result").is_some() != answer.get("error").is_some(), "{answer}");
    if let (Some(id), Some(sent)) = (answer.get("id").filter(|id| !id.is_null()), sent) {
        assert!(sent.iter().any(|sent| sent.get("id") == Some(id)), "the id of another request: {answer}");
    }
}

/// A message: by a door without headers, and by one with them.
pub fn envelope(data: &[u8]) {
    let dispatcher = dispatcher();
    is_in_good_order(&answer(dispatcher, data, None), data);
    is_in_good_order(&answer(dispatcher, data, Some(&HeaderMap::new())), data);
}

/// Headers, one a line, an empty line, and a message.
pub fn headers(data: &[u8]) {
    let cut = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = cut.map_or((data, &[][..]), |at| (&data[..at], &data[at + 2..]));
    let mut map = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(100) {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..at], line.get(at + 1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            map.append(name, value);
        }
    }
    // Refusals are as good as anything else, as long as there is no panic.
    let _known = mirrors::version(&map).is_ok();
    let _fits = negotiate::check(&map).is_ok();
    let config = config_of(r#"{"http": {"allowedHosts": ["mcp.example.com"]}}"#);
    let gate = Gate::new(&config.service.http, AddressHosts::Refuse);
    if gate.check(&http::Uri::from_static("/mcp"), &map).is_ok() {
        let host =
            map.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
        let ours = ["mcp.example.com", "localhost", "127.", "[::1]", "[0"];
        assert!(ours.iter().any(|ours| host.starts_with(ours)), "{host} was let in");
    }
    is_in_good_order(&answer(dispatcher(), body, Some(&map)), body);
    if let Ok(text) = std::str::from_utf8(head) {
        assert!(HeaderValue::from_str(&mirrors::encode(text)).is_ok(), "what is encoded fits into a header");
    }
}

/// A configuration file: JSON where it begins with a brace, else YAML. What is valid is the same when it is written and
/// read again.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let name = if text.trim_start().starts_with('{') { "fuzz.json" } else { "fuzz.yaml" };
    let origin = Origin { name: name.to_owned(), text: text.to_owned() };
    let document = match load(&origin, []) {
        Ok(document) => document,
        Err(error) => {
            assert!(!error.problems.is_empty(), "refused without a reason");
            let _told: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
            return;
        }
    };
    let violations = validate(&document.config);
    let _told: Vec<String> = document.problems(&violations).iter().map(ToString::to_string).collect();
    if !violations.is_empty() || !document.unknown.is_empty() {
        return;
    }
    let again = Origin { name: "fuzz.json".to_owned(), text: rendered(&document.config) };
    let again = load(&again, []).expect("what is written can be read");
    assert_eq!(rendered(&again.config), rendered(&document.config));
}

/// A tool and a call of it: the first line is a CEL expression or, with braces in it, a template; the rest is JSON.
pub fn render(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (source, arguments) = text.split_once('\n').unwrap_or((text, "{}"));
    let mut tool = Tool { name: "t".to_owned(), ..Tool::default() };
    if source.contains("{{") {
        tool.text = Some(source.to_owned());
    } else {
        tool.cel = Some(source.to_owned());
    }
    let mut config = ServerConfig::default();
    config.service.tools = vec![tool];
    config.service.performance.request_timeout = Some(mcp_server_config::Duration::from_millis(500));
    if !validate(&config).is_empty() {
        return;
    }
    let Some(dispatcher) = dispatcher_for(config) else { return };
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#
    );
    let began = std::time::Instant::now();
    let reply = answer(&dispatcher, body.as_bytes(), None);
    assert!(began.elapsed() < Duration::from_secs(10), "the deadline holds");
    is_in_good_order(&reply, body.as_bytes());
    let length = reply.message.map_or(0, |message| message.len());
    assert!(length <= 4 << 20, "an answer of {length} bytes");
}

/// The key and the token of RFC 7515, appendix A.3.
const KEY: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
const SIGNED: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// A token, claims and a set of keys, one a line.
pub fn jwt(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (token, claims, keys) = (line(), line(), line());
    let oauth2 = OAuth2 { issuer: Some("joe".to_owned()), ..OAuth2::default() };
    let algorithms = oauth2.algorithms();
    let known = KeySet::parse(KEY.as_bytes(), algorithms).expect("the key is one");
    let theirs = KeySet::parse(keys.as_bytes(), algorithms);
    let _shape = looks_like_jwt(token);
    if let Ok(jwt) = Jwt::parse(token, algorithms) {
        if let Some(Ok(_claims)) = jwt.verify(&known) {
            assert_eq!(token.rsplit_once('.').map(|(signed, _)| signed), Some(SIGNED), "a forged token");
        }
        if let Ok(theirs) = theirs {
            let _verdict = jwt.verify(&theirs);
        }
    }
    let settings = Settings {
        issuer: "joe".to_owned(),
        audiences: vec!["us".to_owned()],
        audience_is_client: false,
        jwks_url: None,
        algorithms: algorithms.to_vec(),
        required_scopes: Vec::new(),
        clock_skew: Duration::from_secs(60),
        introspection: None,
    };
    let Ok(claims) = serde_json::from_str::<serde_json::Map<String, Value>>(claims) else { return };
    let (issuer, audience) = (claims.get("iss").cloned(), claims.get("aud").cloned());
    if let Ok(vouched) = check(claims, &settings, 1_300_000_000, Source::Jwt) {
        assert_eq!(issuer, Some(Value::from("joe")), "the issuer is another");
        assert!(
            audience.is_some_and(|audience| audience.to_string().contains("\"us\"")),
            "the audience is another"
        );
        assert!(vouched.until > 1_300_000_000);
    }
}
