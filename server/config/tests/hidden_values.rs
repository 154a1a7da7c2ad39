//! No message about a configuration repeats a value of it: any value could be a secret that stands in the wrong place.
#![cfg(feature = "compile")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use mcp_server_config::compile::{compile, compile_rules, content::compile_content, notes};
use mcp_server_config::convert::to_resource;
use mcp_server_config::{Origin, load, validate};
use serde_json::{Value, json};

use support::whole;

mod support;

/// Values that break rules in different ways. Each holds the word `canary`.
const CANARIES: [&str; 14] = [
    "canary-5f1d",
    "canary",
    "canary: 5f1d # canary",
    "{{canary",
    "{{ canary-5f1d }}",
    "{canary-5f1d}",
    "\"canary\" + args.",
    "'canary",
    "canary(args.x)",
    "https://user:canary@host.example/",
    "https://host.example/#canary",
    "redis://:canary@localhost",
    "%(canary)s",
    "/canary~5",
];

/// Where a value is a name that messages show on purpose: of a file, a variable, a Secret or its key.
const REFERENCES: [&str; 6] = ["file", "env", "secretKeyRef", "api_keys_file", "path", "errorsPath"];

/// One tool of each kind: a sample of a tool has all of them at once, which is refused before anything is compiled.
fn tools() -> Value {
    json!({"tools": [
        {"name": "a", "cel": "args.x", "inputSchema": {"type": "object", "properties": {"x": {"type": "string", "pattern": "x", "enum": ["x"], "default": "x", "$ref": "#/x"}}}},
        {"name": "b", "text": "x {{args.x}}", "description": "x", "outputSchema": {"type": "object", "$schema": "x"}},
        {"name": "c", "http": {"method": "POST", "url": "https://a.example/x", "query": [{"name": "x", "value": "x"}],
            "headers": [{"name": "x", "value": "x"}, {"name": "y", "secret": {"value": "x"}, "prefix": "x"}],
            "body": {"json": {"x": ["x"]}}, "result": {"cel": "body"}, "batch": {"items": "/x", "results": "/x", "error": "/x"}}},
        {"name": "d", "http": {"url": "http://localhost/x", "result": {"pointer": "/x"}, "timeout": "1s", "maxResponse": "1Ki"}},
        {"name": "e", "command": {"argv": ["ls", "x"], "env": ["X"], "directory": "x", "timeout": "1s"}},
    ], "auth": {"rules": [{"allow": ["x"], "when": "args.x == 'x'"}]}})
}

/// The pointers of everything in a document, maps and lists included.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members.iter().filter(|(key, _)| !REFERENCES.contains(&key.as_str())) {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                found.push(at.clone());
                places(member, &at, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let at = format!("{at}/{index}");
                found.push(at.clone());
                places(item, &at, found);
            }
        }
        _ => {}
    }
}

/// Everything that there is to say of a text.
fn told(name: &str, text: &str) -> String {
    let environment = [("MCP_LOG_LEVEL".to_owned(), "Info".to_owned())];
    let document = match load(&Origin { name: name.into(), text: text.into() }, environment) {
        Ok(document) => document,
        Err(error) => return error.to_string(),
    };
    let mut violations = validate(&document.config);
    violations.extend(compile(&document.config.service.tools).err().unwrap_or_default());
    violations.extend(compile_content(&document.config).err().unwrap_or_default());
    violations.extend(compile_rules(&document.config.service.auth.rules).err().unwrap_or_default());
    violations.extend(notes(&document.config.service.tools));
    let unknown = document.unknown.iter().map(|key| key.problem.to_string());
    let problems = document.problems(&violations).into_iter().map(|problem| problem.to_string());
    let lines: Vec<_> = unknown.chain(problems).chain(document.notes.iter().cloned()).collect();
    lines.join("\n") + &to_resource(&document.config).to_mend.join("\n")
}

/// The document with an unknown key, as one line of JSON and as YAML, and both cut short.
fn texts(document: &Value) -> Vec<(&'static str, String)> {
    let mut mistaken = document.clone();
    mistaken["foo"] = json!(1);
    let whole = [("a.json", mistaken.to_string()), ("a.yaml", serde_saphyr::to_string(&mistaken).unwrap())];
    let cut = |text: &str| text.chars().take(text.chars().count() - 2).collect::<String>() + ",,";
    let broken = whole.clone().map(|(name, text)| (name, cut(&text)));
    whole.into_iter().chain(broken).collect()
}

/// Puts one of the canaries in a place; which one depends on the place, and all of them have their turn.
fn assert_hidden(document: &Value, place: &str, turn: usize) {
    let canary = CANARIES[turn % CANARIES.len()];
    let mut document = document.clone();
    *document.pointer_mut(place).unwrap() = json!(canary);
    // Of the largest document one text is enough, and takes its time.
    let texts = texts(&document);
    let most = if document.get("stateKeys").is_some() { 1 } else { texts.len() };
    for (name, text) in texts.into_iter().take(most) {
        let told = told(name, &text);
        assert!(!told.contains("canary"), "{place} = {canary:?} in {name}:\n{told}\n\n{text}");
    }
}

#[test]
fn no_value_of_any_setting_is_shown_in_any_message() {
    for document in [whole(), tools(), serde_json::from_str(include_str!("classic-production.json")).unwrap()]
    {
        let mut found = Vec::new();
        places(&document, "", &mut found);
        assert!(found.len() > 20, "{found:?}");
        found.iter().enumerate().for_each(|(turn, place)| assert_hidden(&document, place, turn));
    }
}

#[test]
fn a_space_that_is_missing_behind_a_colon_shows_nothing() {
    for text in [
        "auth:\n  apiKey:canary\n",
        "auth: {apiKey:canary}\n",
        "auth: {apiKey:canary: 1}\n",
        "auth: {enabled: true, api_key:canary}\n",
        "apiKey=canary\n",
        "auth: [canary]\n",
        "auth: &canary {foo: *canary}\n",
        "auth: !canary x\n",
        "auth: {apiKey: \"canary\n",
        "auth:\n\tapiKey: canary\n",
        "auth: {apiKey: canary\nfoo: 1\n",
        "auth: {apiKey: canary, apiKey: canary}\n",
        "serverName: canary # canary\nfoo: canary\n",
        "instructions: |\n  apiKey: canary\n foo: canary\n",
    ] {
        let told = told("a.yaml", text);
        assert!(!told.contains("canary"), "{text}\n{told}");
        assert!(!told.is_empty(), "{text}");
    }
}

#[test]
fn a_value_of_the_environment_is_not_shown() {
    for (name, _) in mcp_server_config::env::names() {
        let text = "{\"foo\": 1}";
        let origin = Origin { name: "a.json".into(), text: text.into() };
        let told = match load(&origin, [(name.clone(), "canary".to_owned())]) {
            Ok(document) => {
                document.problems(&validate(&document.config)).iter().map(ToString::to_string).collect()
            }
            Err(error) => error.to_string(),
        };
        assert!(!told.contains("canary"), "{name}: {told}");
    }
}

#[test]
fn a_message_says_the_place_all_the_same() {
    let told = told("a.json", r#"{"auth":{"enabled":true,"api_key":"canary"},"foo":1}"#);
    let expected = "a.json:1:45: foo: unknown key; it is misspelt, or needs a later version\n  |\n\
                    1 | {\"auth\":{\"enabled\":…,\"api_key\":\"…\"},\"foo\":…}\n  |                                     ^";
    assert!(told.starts_with(expected), "{told}");
}
