use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Body, compile};
use crate::tools::Tool;
use crate::tools::check::check;
use crate::{Path, Violation};

fn tool(document: Value) -> Tool {
    serde_json::from_value(document).unwrap()
}

/// What both who check without and who check with a compiler find.
fn wrong(tool: &Tool) -> Vec<String> {
    let mut violations = check(tool, &Path::of("tools").index(0));
    violations.extend(compile(std::slice::from_ref(tool)).err().unwrap_or_default());
    violations.iter().map(Violation::to_string).collect()
}

fn http(rest: &Value) -> Tool {
    let mut http = json!({"url": "https://a.example/x"});
    http.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    tool(json!({"name": "t", "http": http}))
}

#[test]
fn broken_requests_are_refused_with_their_place() {
    for (rest, expected) in [
        (json!({"url": "https://a.example/{{args.x"}), "tools[0].http.url: opens {{ and does not close it"),
        (json!({"url": "ftp://a.example/"}), "tools[0].http.url: is not an absolute URL"),
        (json!({"url": "https://u:p@a.example/"}), "tools[0].http.url: holds a user"),
        (
            json!({"query": [{"name": "q", "value": "{{x}}"}]}),
            "tools[0].http.query[0].value: names something else",
        ),
        (json!({"query": [{"name": "", "value": ""}]}), "tools[0].http.query[0].name: must have"),
        (
            json!({"headers": [{"name": "a b", "value": ""}]}),
            "tools[0].http.headers[0].name: is not the name of a header",
        ),
        (json!({"headers": [{"name": "Host", "value": "x"}]}), "tools[0].http.headers[0].name: is set by"),
        (
            json!({"headers": [{"name": "A", "value": "ü"}]}),
            "tools[0].http.headers[0].value: holds a character",
        ),
        (
            json!({"headers": [{"name": "A", "value": "x", "secret": {"env": "E"}}]}),
            "headers[0]: exactly one of",
        ),
        (json!({"headers": [{"name": "A", "secret": {}}]}), "headers[0].secret: says nowhere"),
        (
            json!({"headers": [{"name": "A", "value": "x", "prefix": "y"}]}),
            "headers[0].prefix: stands before",
        ),
        (json!({"method": "GET", "body": {"text": "x"}}), "tools[0].http.body: goes with no GET"),
        (json!({"body": {}}), "tools[0].http.body: exactly one of"),
        (json!({"body": {"json": {"a": ["{{args."]}}}), "tools[0].http.body.json.a[0]: opens {{"),
        (json!({"body": {"json": {"{{args.a}}": 1}}}), "tools[0].http.body.json: has {{ in a key"),
        (json!({"result": {"pointer": "a/b"}}), "tools[0].http.result.pointer: is not a JSON pointer"),
        (json!({"result": {"pointer": "/~2"}}), "is not a JSON pointer"),
        (json!({"result": {"cel": "body."}}), "tools[0].http.result.cel: is not a CEL expression"),
        (json!({"result": {"cel": "response"}}), "there are args, status, headers, body"),
        (json!({"result": {"cel": "1", "pointer": ""}}), "tools[0].http.result: exactly one of"),
        (json!({"timeout": "0s"}), "tools[0].http.timeout: must be from 1ms to 10m"),
        (json!({"maxResponse": "17Mi"}), "tools[0].http.maxResponse: must be from 1Ki to 16Mi"),
        (json!({"retries": 6}), "tools[0].http.retries: must be at most 5"),
        (json!({"body": {"text": "x"}, "retries": 1}), "tools[0].http.retries: would send again"),
        (json!({"body": {"text": "x"}, "batch": {}}), "tools[0].http.batch: needs body.json"),
        (json!({"body": {"json": 1}, "batch": {"body": {}}}), "tools[0].http.batch.body: goes around"),
        (json!({"body": {"json": 1}, "batch": {"items": "x"}}), "tools[0].http.batch.items: is not"),
        (
            json!({"body": {"json": 1}, "batch": {"items": "/a/b", "body": {"a": 1}}}),
            "batch.items: leads into",
        ),
        (json!({"body": {"json": 1}, "batch": {"error": "x"}}), "tools[0].http.batch.error"),
    ] {
        let found = wrong(&http(&rest));
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{rest}\n  expected {expected}\n  found {found:?}"
        );
    }
}

#[test]
fn a_request_is_repeated_where_annotations_or_the_method_say_so() {
    for (method, annotations, retries) in [
        ("GET", json!({}), 2),
        ("GET", json!({"readOnlyHint": false}), 0),
        ("GET", json!({"idempotentHint": false}), 0),
        ("GET", json!({"readOnlyHint": false, "idempotentHint": true}), 2),
        ("POST", json!({}), 0),
        ("POST", json!({"readOnlyHint": true}), 2),
        ("DELETE", json!({"idempotentHint": true}), 2),
    ] {
        let tool = tool(
            json!({"name": "t", "annotations": annotations, "http": {"url": "https://a/", "method": method}}),
        );
        let compiled = compile(&[tool]).unwrap();
        let Body::Http(program) = compiled.iter().next().unwrap().body() else { panic!() };
        assert_eq!(program.retries, retries, "{method} {annotations}");
    }
}

#[test]
fn a_list_goes_where_it_belongs() {
    let around = |batch: Value| {
        let compiled = compile(&[http(&json!({"body": {"json": "{{args}}"}, "batch": batch}))]).unwrap();
        let Body::Http(program) = compiled.iter().next().unwrap().body() else { panic!() };
        let shape = program.batch.as_ref().unwrap();
        format!("{}[]{}", shape.before, shape.after)
    };
    assert_eq!(around(json!({})), "[]");
    let document: Value =
        serde_json::from_str(&around(json!({"items": "/a/b~1c", "body": {"m": "\u{0}", "a": {"x": 1}}})))
            .unwrap();
    assert_eq!(document, json!({"m": "\u{0}", "a": {"x": 1, "b/c": []}}));
}

#[test]
fn broken_commands_are_refused_with_their_place() {
    for (command, expected) in [
        (json!({"argv": []}), "tools[0].command.argv: must have from 1 to 64 parts"),
        (json!({"argv": ["{{args.x}}"]}), "tools[0].command.argv[0]: must name the program"),
        (json!({"argv": ["x", "{{args"]}), "tools[0].command.argv[1]: opens {{"),
        (json!({"argv": ["x", "\u{0}"]}), "tools[0].command.argv[1]: holds a NUL"),
        (json!({"argv": ["x"], "env": ["A=B"]}), "tools[0].command.env[0]: is not"),
        (json!({"argv": ["x"], "timeout": "11m"}), "tools[0].command.timeout: must be"),
        (json!({"argv": ["x"], "maxOutput": "1"}), "tools[0].command.maxOutput: must be"),
        (json!({"argv": ["x"], "maxMemory": "1Mi"}), "tools[0].command.maxMemory: must be"),
    ] {
        let found = wrong(&tool(json!({"name": "t", "command": command})));
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{command}\n  expected {expected}\n  found {found:?}"
        );
    }
    let structured = json!({"name": "t", "command": {"argv": ["x"]}, "outputSchema": {"type": "object"}});
    assert!(wrong(&tool(structured.clone()))[0].contains("outputSchema: promises structured content"));
    let mut structured = structured;
    structured["command"]["output"] = json!("JSON");
    assert_eq!(wrong(&tool(structured)), [""; 0]);
    let two = json!({"name": "t", "command": {"argv": ["x"]}, "text": "x"});
    assert!(wrong(&tool(two))[0].contains("exactly one of cel, text, http and command"));
}

proptest! {
    #[test]
    fn no_url_crashes_the_compiler(pieces in prop::collection::vec(prop::sample::select(vec![
        "https://", "http://", "{{args.a}}", "{{", "a", ".", "/", "..", "?", "#", "@", ":", "[", "]", "8", "ü", " ", "%41",
    ]), 0..24)) {
        drop(compile(&[http(&json!({"url": pieces.concat()}))]));
    }
}
