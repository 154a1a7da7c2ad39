//! Bodies that are hard to read, or that two readers would read in two ways.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{JSON, Response, meta, send};
use crate::hostile_target::Target;

const CALL: [(&str, &str); 4] =
    [JSON, ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "count")];

/// A call of a tool with arguments as they are written here.
fn call(arguments: &str) -> Vec<u8> {
    let meta = meta();
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"count","_meta":{meta},"arguments":{arguments}}}}}"#
    )
    .into_bytes()
}

async fn sent(target: &Target, body: &[u8]) -> Response {
    let mut connection = crate::harness::Connection::open(target.address()).await;
    let length = body.len().to_string();
    let headers: Vec<_> = CALL.into_iter().chain([("Content-Length", length.as_str())]).collect();
    connection.write(crate::harness::request("POST", "/mcp", &headers, "")).await;
    connection.write(body).await;
    connection.read().await.unwrap()
}

/// Each is refused as a whole: nothing of it was acted upon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_in_one_way_is_400() {
    let target = Target::start();
    let bystander = target.bystander();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let keys: Vec<_> = (0..50_000).map(|number| format!("\"k{number}\":0")).collect();
    let keys = keys.join(",");
    let invalid = [&call("\"")[..], b"\xff\xfe\"}}"].concat();
    let overlong = [&br#"{"jsonrpc":"2.0","id":1,"method":"ping","x":""#[..], b"\xc0\x80\"}"].concat();
    let cases: Vec<(&str, Vec<u8>, i64)> = vec![
        ("nested 10 000 deep", call(&nested(10_000)), -32600),
        ("nested a million deep, not closed", "[".repeat(1_000_000).into_bytes(), -32600),
        ("a million objects deep", "{\"a\":".repeat(600_000).into_bytes(), -32600),
        ("the same key twice", call(r#"{"list":[],"list":[1]}"#), -32600),
        ("the same key twice, once escaped", call(r#"{"list":[],"l\u0069st":[1]}"#), -32600),
        (
            "the method twice",
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#.to_vec(),
            -32600,
        ),
        ("50 000 keys and one of them twice", call(&format!("{{{keys},\"k7\":1}}")), -32600),
        ("invalid UTF-8", invalid, -32700),
        ("an overlong NUL", overlong, -32700),
        ("a raw NUL in a string", call("{\"list\":\"\0\"}"), -32700),
        ("a NUL between tokens", [&call("{}")[..], b"\0"].concat(), -32700),
        ("a byte order mark", [b"\xef\xbb\xbf", &call("{}")[..]].concat(), -32700),
        ("two messages", call("{}").repeat(2), -32700),
        ("half a message", call("{}")[..80].to_vec(), -32700),
        ("nothing", Vec::new(), -32700),
        ("an array of two million numbers", format!("[{}1]", "1,".repeat(2_000_000)).into_bytes(), -32600),
        ("a batch of pings", br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#.to_vec(), -32600),
        ("an id that is no id", br#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#.to_vec(), -32600),
        ("NaN", call(r#"{"list":NaN}"#), -32700),
        ("a comma too many", call(r#"{"list":[1,]}"#), -32700),
        ("a comment", call(r#"{/**/}"#), -32700),
    ];
    for (what, body, code) in cases {
        let response = sent(&target, &body).await;
        assert_eq!(response.refusal(), (400, code), "{what}");
    }
    bystander.assert_unharmed();
    target.took_at_most(48, Duration::from_secs(8));
}

/// What is large and plain is answered: as an error that the model can read, where the tool cannot take it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_merely_large_is_answered() {
    let target = Target::start();
    let bystander = target.bystander();
    let digits = "7".repeat(100_000);
    let million = format!("{{\"list\":[{}1]}}", "1,".repeat(1_900_000));
    let string = format!("{{\"list\":\"{}\"}}", "x".repeat(3 << 20));
    let cases = [
        ("a list of two million numbers", million.as_str(), None),
        ("a string of 3 MiB", &string, None),
        ("a number of 100 000 digits", &format!("{{\"list\":[{digits}]}}"), None),
        ("a number too large for a double", r#"{"list":[1e999999]}"#, None),
        ("an escaped NUL", r#"{"list":["\u0000"]}"#, Some("1")),
        ("half a surrogate pair", r#"{"list":["\ud800"]}"#, None),
        ("depth within the limit", r#"{"list":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}"#, Some("1")),
    ];
    for (what, arguments, expected) in cases {
        let response = sent(&target, &call(arguments)).await;
        match expected {
            Some(count) => assert_eq!(
                response.result()["structuredContent"],
                serde_json::from_str::<Value>(count).unwrap(),
                "{what}"
            ),
            None => assert!(refused_readably(&response), "{what}: {response:?}"),
        }
    }
    let id = format!(r#"{{"jsonrpc":"2.0","id":{digits},"method":"ping"}}"#);
    let response = send(target.address(), "POST", "/mcp", &[JSON], &id).await;
    assert!([200, 400].contains(&response.status), "an id of 100 000 digits: {}", response.status);
    let response = send(
        target.address(),
        "POST",
        "/mcp",
        &[JSON],
        &json!({"jsonrpc": "2.0", "id": "\u{0}", "method": "ping"}).to_string(),
    )
    .await;
    assert_eq!((response.status, &response.json()["id"]), (200, &json!("\u{0}")));
    bystander.assert_unharmed();
    // Three bodies of 4 MiB, and what a list of two million numbers takes once it is parsed.
    target.took_at_most(256, Duration::from_secs(10));
}

/// Either the whole message is refused, or the tool says that it cannot take its arguments.
fn refused_readably(response: &Response) -> bool {
    let body = response.json();
    match response.status {
        200 => body["result"]["isError"] == true,
        400 => body["error"]["code"].is_i64(),
        _ => false,
    }
}
