//! MCP over standard input and output.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::harness::{meta, modern_body, reaches, server};
use crate::process::{exit_code, program};

struct Session {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Session {
    fn start(home: &Path) -> Self {
        Self::start_with(home, &json!({"tools": [{"name": "greet", "text": "Hello, {{args.name}}!"}]}))
    }

    fn start_with(home: &Path, config: &Value) -> Self {
        fs::write(home.join("config.json"), config.to_string()).unwrap();
        let mut child = program(home)
            .args(["serve", "--stdio", "--config", "config.json", "--log-level", "debug"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n")).unwrap();
    }

    fn hear(&mut self) -> Value {
        let line = self.lines.next().expect("an answer").unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a message: {line}"))
    }
}

#[test]
fn both_eras_are_spoken_and_nothing_else_is_written() {
    let home = tempfile::tempdir().unwrap();
    let mut session = Session::start(home.path());
    session.say(&modern_body(1, "server/discover", json!({})));
    assert_eq!(session.hear()["result"]["resultType"], "complete", "before any handshake");
    session.say(&json!({"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}).to_string());
    assert_eq!(session.hear()["result"]["protocolVersion"], "2025-06-18");
    session.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
    session.say("");
    session.say(&json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "greet", "arguments": {"name": "Ada"}}}).to_string());
    let answer = session.hear();
    assert_eq!(
        (&answer["id"], answer["result"]["content"][0]["text"].as_str()),
        (&json!(3), Some("Hello, Ada!"))
    );
    assert!(answer["result"].get("resultType").is_none());
    let params = json!({"name": "greet", "arguments": {"name": "Bob"}, "_meta": meta()});
    session.say(&modern_body("x", "tools/call", params));
    assert_eq!(session.hear()["result"]["content"][0]["text"], "Hello, Bob!");
    session.say("nonsense");
    assert_eq!(session.hear()["error"]["code"], -32700);
    session.say("[]");
    assert_eq!(session.hear()["error"]["code"], -32600);
    session.say(&json!({"jsonrpc": "2.0", "id": 9, "method": "no/such"}).to_string());
    assert_eq!(session.hear()["error"]["code"], -32601);
    drop(session.child.stdin.take());
    assert!(session.lines.next().is_none(), "nothing follows");
    assert_eq!(exit_code(&mut session.child), 0);
}

#[test]
fn nobody_is_limited_over_stdio_but_by_a_limit_that_is_set() {
    let home = tempfile::tempdir().unwrap();
    let tools = json!([{"name": "greet", "text": "Hello!"}]);
    for (limit, passes) in [
        (json!({}), 200),
        // As a configuration has them that was written out in full.
        (json!({"mode": "Enforce", "requestsPerMinute": 100, "burst": 50}), 200),
        (json!({"requestsPerMinute": 1, "burst": 3}), 3),
        (json!({"tools": [{"match": "greet", "requestsPerMinute": 1, "burst": 2}]}), 2),
    ] {
        let mut session = Session::start_with(home.path(), &json!({"rateLimit": limit, "tools": tools}));
        let mut passed = 0;
        for id in 0..200 {
            session.say(
                &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "greet"}})
                    .to_string(),
            );
            passed += usize::from(session.hear()["result"]["isError"] != true);
        }
        assert_eq!(passed, passes, "{limit}");
        drop(session.child.stdin.take());
        assert_eq!(exit_code(&mut session.child), 0);
    }
}

#[test]
fn the_end_of_input_lets_calls_finish() {
    let home = tempfile::tempdir().unwrap();
    let mut session = Session::start(home.path());
    for id in 0..50 {
        let params = json!({"name": "greet", "arguments": {"name": "x".repeat(id)}});
        session
            .say(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string());
    }
    drop(session.child.stdin.take());
    let mut ids: Vec<_> = session
        .lines
        .by_ref()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()["id"].as_u64().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..50).collect::<Vec<_>>());
    assert_eq!(exit_code(&mut session.child), 0);
}

#[tokio::test]
async fn a_cancelled_request_stops_and_is_not_answered() {
    let server = server(|_| {}).await;
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (input, output) = tokio::io::split(theirs);
    let served = tokio::spawn(mcp_server::stdio::serve(
        tokio::io::BufReader::new(input),
        output,
        Arc::clone(&server.dispatcher),
        CancellationToken::new(),
    ));
    let (answers, mut requests) = tokio::io::split(ours);
    let mut answers = tokio::io::BufReader::new(answers).lines();
    let mut say = async |message: Value| requests.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    let wait =
        |id: Value| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "wait"}});
    say(wait(json!(1))).await;
    say(wait(json!("1"))).await;
    reaches(&server.backend.begun, 2).await;
    say(wait(json!(1))).await;
    let twice: Value = serde_json::from_str(&answers.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!((&twice["id"], &twice["error"]["code"]), (&json!(1), &json!(-32600)), "an id in use");
    let cancel = |id: Value| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    say(cancel(json!(99))).await;
    say(cancel(json!(1))).await;
    reaches(&server.backend.cancelled, 1).await;
    server.backend.release.add_permits(1);
    let answer: Value = serde_json::from_str(&answers.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(answer["id"], "1", "the other one is answered");
    say(json!({"jsonrpc": "2.0", "id": 5, "method": "ping"})).await;
    let answer: Value = serde_json::from_str(&answers.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(answer["id"], 5, "and nothing came for the cancelled one");
    requests.shutdown().await.unwrap();
    served.await.unwrap().unwrap();
}

#[test]
fn tools_change_without_a_restart_and_no_key_is_made() {
    let home = tempfile::tempdir().unwrap();
    let mut session = Session::start(home.path());
    let config = json!({"rateLimit": {"mode": "Off"}, "tools": [{"name": "greet", "text": "Good day!"}]});
    fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    let mut id = 0;
    crate::process::until("the new answer", || {
        id += 1;
        session.say(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "greet", "arguments": {"name": "Ada"}}}).to_string());
        session.hear()["result"]["content"][0]["text"] == "Good day!"
    });
    assert!(!home.path().join(".local").exists(), "who holds the pipe needs no key");
}
