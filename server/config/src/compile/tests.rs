//! Declared tools: what compiles, and what is said of the rest.

use std::time::{Duration, Instant};

use serde_json::json;

use super::compile;
use crate::tools::{Tool, ToolAnnotations};

mod expressions;
mod hostile;
mod schemas;
mod templates;

fn cel(source: &str) -> Tool {
    Tool { name: "t".to_owned(), cel: Some(source.to_owned()), ..Tool::default() }
}

fn text(text: &str) -> Tool {
    Tool { name: "t".to_owned(), text: Some(text.to_owned()), ..Tool::default() }
}

/// What is wrong with a tool, one line each.
fn wrong(tool: &Tool) -> Vec<String> {
    match compile(std::slice::from_ref(tool)) {
        Ok(_) => Vec::new(),
        Err(violations) => violations.iter().map(ToString::to_string).collect(),
    }
}

fn assert_wrong(tool: &Tool, expected: &str) {
    let found = wrong(tool);
    assert!(
        found.iter().any(|line| line.contains(expected)),
        "{tool:?}\n  expected {expected:?}\n  found {found:?}"
    );
}

#[test]
fn every_problem_of_every_tool_is_reported_at_once() {
    let tools = [
        Tool { name: "same".to_owned(), ..cel("name + now()") },
        Tool { name: "same".to_owned(), ..text("Hello {{name}}") },
        Tool { name: "none".to_owned(), ..Tool::default() },
        Tool { name: "both".to_owned(), text: Some("x".to_owned()), ..cel("1") },
    ];
    let violations = compile(&tools).expect_err("nothing here is right");
    let paths: Vec<String> = violations.iter().map(|violation| violation.path.to_string()).collect();
    assert_eq!(
        paths,
        ["tools[0].cel", "tools[0].cel", "tools[1].name", "tools[1].text", "tools[2]", "tools[3]"]
    );
}

#[test]
fn the_definition_says_what_was_declared() {
    let full = Tool {
        name: "greet".to_owned(),
        title: Some("Greeting".to_owned()),
        description: Some("Greets.".to_owned()),
        input_schema:
            json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}})
                .as_object()
                .cloned(),
        output_schema: json!({"type": "object"}).as_object().cloned(),
        annotations: Some(ToolAnnotations { read_only_hint: Some(true), ..ToolAnnotations::default() }),
        cel: Some("{'a': args.name}".to_owned()),
        text: None,
        ..Tool::default()
    };
    let tools = compile(&[full, text("x")]).unwrap();
    let definitions: Vec<&str> = tools.iter().map(|tool| tool.definition()).collect();
    assert_eq!(
        definitions,
        [
            r#"{"name":"greet","title":"Greeting","description":"Greets.","inputSchema":{"properties":{"name":{"type":"string"}},"required":["name"],"type":"object"},"outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}"#,
            r#"{"name":"t","inputSchema":{"type":"object"}}"#,
        ]
    );
}

#[test]
fn a_whole_configuration_compiles_in_a_moment() {
    let tools: Vec<Tool> = (0..128)
        .map(|n| Tool {
            name: format!("tool-{n}"),
            ..cel(r#"has(args.name) ? "Hello, " + args.name + "!" : "Hello!""#)
        })
        .collect();
    let started = Instant::now();
    assert_eq!(compile(&tools).unwrap().len(), 128);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
