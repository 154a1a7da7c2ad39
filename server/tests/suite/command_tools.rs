//! Declared tools that run programs.

use mcp_server::backend::CallError;
use mcp_server::environment::Environment;
use mcp_server::settings::{Flags, Sources};
use serde_json::{Value, json};

use crate::declared::{Tools, cx, hurried};

fn tool(name: &str, command: Value) -> Value {
    json!({"name": name, "command": command})
}

#[tokio::test]
async fn each_part_is_one_argument_and_no_shell_reads_it() {
    let print = ["printf", "[%s]", "{{args.a}}", "x={{args.a}}", "--", "{{args.b}}"];
    let tools = Tools::new(&json!({"tools": [
        tool("print", json!({"argv": print})),
        tool("input", json!({"argv": ["cat"], "stdin": "Arguments"})),
        tool("json", json!({"argv": ["cat"], "stdin": "Arguments", "output": "JSON"})),
        tool("env", json!({"argv": ["env"], "env": ["TOKEN"]})),
        tool("where", json!({"argv": ["pwd"], "directory": "/"})),
    ]}));
    let nasty = "a b; $(touch /tmp/x) `id` * \"' \\ \n";
    let printed = tools.text("print", json!({"a": nasty, "b": "-n"})).await;
    assert_eq!(printed, format!("[{nasty}][x={nasty}][--][-n]"));
    assert!(tools.error("print", json!({"a": "-v", "b": "x"})).await.contains("dash"));
    assert!(tools.error("print", json!({"a": "x\u{0}", "b": "x"})).await.contains("NUL"));
    assert!(tools.error("print", json!({"a": "x"})).await.starts_with("Missing arguments: b."));
    assert_eq!(tools.text("input", json!({"k": [1]})).await, r#"{"k":[1]}"#);
    assert_eq!(tools.call("json", json!({"k": [1]})).await["structuredContent"], json!({"k": [1]}));
    assert_eq!(tools.text("env", json!({})).await, "TOKEN=canary-token");
    assert_eq!(tools.text("where", json!({})).await, "/");
}

#[tokio::test]
async fn how_it_failed_is_said() {
    let tools = Tools::new(&json!({"tools": [
        tool("code", json!({"argv": ["sh", "-c", "echo what >&2; exit 7"]})),
        tool("signal", json!({"argv": ["sh", "-c", "kill -KILL $$"]})),
        tool("missing", json!({"argv": ["no-such-program"]})),
        tool("much", json!({"argv": ["yes"], "maxOutput": "1Ki"})),
        tool("slow", json!({"argv": ["sleep", "1000"], "timeout": "30ms"})),
        tool("endless", json!({"argv": ["sleep", "1000"]})),
        tool("text", json!({"argv": ["echo", "x"], "output": "JSON"})),
    ]}));
    assert_eq!(tools.error("code", json!({})).await, "The command ended with exit code 7:\nwhat");
    assert!(tools.error("signal", json!({})).await.contains("signal 9"));
    assert!(tools.error("missing", json!({})).await.contains("there is no program no-such-program"));
    assert!(tools.error("much", json!({})).await.contains("more than 1024 bytes"));
    assert!(tools.error("slow", json!({})).await.contains("30 ms"));
    assert!(tools.error("text", json!({})).await.contains("not one JSON value"));
    assert!(matches!(tools.call_with("endless", &json!({}), hurried()).await, Err(CallError::Timeout)));
    let context = cx(None);
    context.cancel.cancel();
    assert!(matches!(tools.call_with("endless", &json!({}), context).await, Err(CallError::Cancelled)));
}

#[test]
fn commands_are_refused_unless_they_were_allowed() {
    let text = json!({"tools": [tool("t", json!({"argv": ["true"]}))]}).to_string();
    let refused = Sources::default().load(&text).unwrap_err().to_string();
    assert!(refused.contains("tools[0].command") && refused.contains("--allow-commands"), "{refused}");
    let flags = Flags { allow_commands: true, ..Flags::default() };
    assert!(Sources { flags, ..Sources::default() }.load(&text).is_ok());
    for (value, allowed) in [("true", true), ("1", true), ("false", false), ("", false)] {
        let environment = Environment::from([("MCP_ALLOW_COMMANDS", value)]);
        let sources = Sources { environment, ..Sources::default() };
        let loaded = sources.load(&text);
        assert_eq!(loaded.is_ok(), allowed, "{value}");
        assert!(loaded.is_ok_and(|loaded| loaded.notes.is_empty()) == allowed, "it is no unknown variable");
    }
}
