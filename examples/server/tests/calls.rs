//! The example, built, started and called.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which the test says in another way.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn post(address: &str, tool: &str, params: Value) -> String {
    let mut params = params;
    params["name"] = tool.into();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn both_tools_answer() {
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_example-server"))
        .current_dir(&directory)
        .envs([
            ("MCP_HTTP_ADDRESS", "127.0.0.1:0"),
            ("MCP_HTTP_ADMIN_ADDRESS", "127.0.0.1:0"),
            ("MCP_AUTH_MODE", "Disabled"),
            ("MCP_LOGGING_FORMAT", "JSON"),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).find_map(|line| {
        let event: Value = serde_json::from_str(&line).ok()?;
        event["address"].as_str().map(str::to_owned)
    });
    let address = ready.expect("the server says where it listens");

    let prime = post(&address, "next_prime", json!({"arguments": {"number": 7}}));
    assert!(prime.contains(r#""structuredContent":{"number":11}"#), "{prime}");
    let wrong = post(&address, "next_prime", json!({"arguments": {"number": "seven"}}));
    assert!(wrong.contains("arguments.number") && wrong.contains(r#""isError":true"#), "{wrong}");
    let told =
        post(&address, "countdown", json!({"arguments": {"number": 2}, "_meta": {"progressToken": 7}}));
    assert!(told.contains("text/event-stream") && told.contains(r#""progressToken":7"#), "{told}");
    assert!(told.contains("Lift-off!"), "{told}");
    assert!(directory.path().join("production.json").exists());
}
