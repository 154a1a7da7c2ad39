//! Programs with tools, prompts and resources of their own, and what calls can tell and ask while they go on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_server::server::{Builder, Running};
use mcp_server::tool::{Context, CpuTool, Json, NoArguments, Tool, ToolError, ToolInfo};
use mcp_server_config::{Literal, SecretRef, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::fixtures;
use crate::harness::{PATIENCE, eventually, legacy, meta, modern, modern_body, post, reaches, request, text};

/// Everything, at any ports.
pub(crate) fn config() -> ServerConfig {
    let mut config = fixtures::config();
    config.process.http.address = Some("127.0.0.1:0".into());
    config.process.http.admin_address = Some("127.0.0.1:0".into());
    config
}

pub(crate) async fn everything() -> (Running, SocketAddr) {
    started(fixtures::server(&config())).await
}

async fn started(builder: Builder) -> (Running, SocketAddr) {
    let running = builder.start().await.unwrap();
    let address = running.address().unwrap();
    (running, address)
}

/// Sends a call whose answer may be a stream, and reads it to its end.
async fn streamed(address: SocketAddr, headers: &[(&str, &str)], body: &str) -> (String, Vec<Value>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let headers: Vec<_> = [("Content-Type", "application/json"), ("Connection", "close")]
        .into_iter()
        .chain(headers.iter().copied())
        .collect();
    stream.write_all(request("POST", "/mcp", &headers, body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    let body = if head.contains("transfer-encoding: chunked") { dechunked(body) } else { body.to_owned() };
    let events = body.lines().filter_map(|line| line.strip_prefix("data: "));
    (head, events.map(|data| serde_json::from_str(data).unwrap()).collect())
}

/// A chunked body, put together (RFC 9112, section 7.1).
fn dechunked(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").unwrap();
    }
}

async fn streamed_modern(address: SocketAddr, tool: &str, more: Value) -> (String, Vec<Value>) {
    let mut meta = meta();
    meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", tool)];
    let body = modern_body(1, "tools/call", json!({"name": tool, "_meta": meta}));
    streamed(address, &headers, &body).await
}

#[tokio::test]
async fn progress_makes_a_stream_that_ends_with_the_answer() {
    let (running, address) = everything().await;
    let tool = "test_tool_with_progress";
    let (head, events) = streamed_modern(address, tool, json!({"progressToken": "p-1"})).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    for header in ["content-type: text/event-stream", "cache-control: no-cache", "x-accel-buffering: no"] {
        assert!(head.contains(header), "{header} is not in {head}");
    }
    let (answer, notices) = events.split_last().unwrap();
    let told: Vec<_> = notices.iter().map(|notice| notice["params"]["progress"].as_f64().unwrap()).collect();
    assert_eq!(told, [0.0, 50.0, 100.0]);
    assert!(notices.iter().all(|notice| notice["method"] == "notifications/progress"));
    assert!(notices.iter().all(|notice| notice["params"]["progressToken"] == "p-1"));
    assert_eq!((&answer["id"], &answer["result"]["resultType"]), (&json!(1), &json!("complete")));

    // Nobody asked, or nothing was told: plain JSON.
    let plain = modern(address, "tools/call", json!({"name": tool})).await;
    assert_eq!(plain.header("content-type"), Some("application/json"));
    let mut quiet = meta();
    quiet["progressToken"] = 7.into();
    let quiet = modern(address, "tools/call", json!({"name": "test_simple_text", "_meta": quiet})).await;
    assert_eq!(quiet.header("content-type"), Some("application/json"));

    // The same for clients of the older revision.
    let params = json!({"name": tool, "_meta": {"progressToken": 3}});
    let body = json!({"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": params}).to_string();
    let (head, events) = streamed(address, &[("MCP-Protocol-Version", "2025-11-25")], &body).await;
    assert!(head.contains("text/event-stream"));
    assert_eq!(events.last().unwrap()["id"], "x");
    assert!(events.last().unwrap()["result"].get("resultType").is_none());
    running.stop().await;
}

#[tokio::test]
async fn log_messages_are_sent_to_those_who_want_them() {
    let (running, address) = everything().await;
    let tool = "test_tool_with_logging";
    let level = |level: &str| json!({"io.modelcontextprotocol/logLevel": level});
    for (more, expected) in [(level("info"), 3), (level("warning"), 0), (json!({}), 0)] {
        let (_, events) = streamed_modern(address, tool, more.clone()).await;
        let messages = events.iter().filter(|event| event["method"] == "notifications/message").count();
        assert_eq!(messages, expected, "{more}");
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool}});
    let version = [("MCP-Protocol-Version", "2025-11-25")];
    let (_, events) = streamed(address, &version, &body.to_string()).await;
    assert_eq!(events.len(), 4, "older clients get messages from info on");
    assert_eq!(legacy(address, "logging/setLevel", json!({"level": "info"})).await.result(), json!({}));
    running.stop().await;
}

#[tokio::test]
async fn a_question_is_answered_by_calling_again() {
    let (running, address) = everything().await;
    let call = |tool: &str, capabilities: Value, more: Value| {
        let mut params = json!({"name": tool, "arguments": {}});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params["_meta"] = meta();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
        async move { modern(address, "tools/call", params).await }
    };
    let forms = json!({"elicitation": {"form": {}}});
    let tool = "test_input_required_result_multi_round";
    let first = call(tool, forms.clone(), json!({})).await.result();
    assert_eq!(first["resultType"], "input_required");
    assert_eq!(first["inputRequests"]["step1"]["method"], "elicitation/create");
    assert!(first["requestState"].is_string(), "it remembers that it asks twice");
    let forgetful = call("test_input_required_result_elicitation", forms.clone(), json!({})).await.result();
    assert_eq!(forgetful["resultType"], "input_required");
    assert!(forgetful.get("requestState").is_none(), "there is nothing to remember");
    let answer = |key: &str| json!({key: {"action": "accept", "content": {"name": key}}});
    let second = call(tool, forms.clone(), json!({"inputResponses": answer("step1")})).await.result();
    assert_eq!(second["inputRequests"].as_object().unwrap().keys().collect::<Vec<_>>(), ["step2"]);
    let state = second["requestState"].as_str().unwrap().to_owned();
    let more = json!({"inputResponses": answer("step2"), "requestState": state});
    let done = call(tool, forms.clone(), more).await.result();
    assert_eq!(done["resultType"], "complete");
    assert!(text(&done).contains("step1") && text(&done).contains("step2"), "{done}");

    // What was not answered is asked again; what was altered, or is for something else, is refused.
    let again = call(tool, forms.clone(), json!({"inputResponses": {"other": {}}})).await.result();
    assert!(again["inputRequests"].get("step1").is_some());
    let altered = json!({"inputResponses": answer("step2"), "requestState": format!("A{state}")});
    assert_eq!(call(tool, forms.clone(), altered).await.refusal(), (200, -32602));
    let elsewhere = json!({"inputResponses": answer("confirm"), "requestState": state});
    let other = "test_input_required_result_request_state";
    assert_eq!(call(other, forms.clone(), elsewhere).await.refusal(), (200, -32602));

    for malformed in [json!([]), json!({"step1": 5}), json!({"step1": "yes"})] {
        let malformed = json!({"inputResponses": malformed});
        assert_eq!(call(tool, forms.clone(), malformed).await.refusal(), (200, -32602));
    }

    // Only what the client can do is asked.
    let refused = call(tool, json!({}), json!({})).await;
    assert_eq!(refused.refusal(), (400, -32021));
    assert_eq!(refused.json()["error"]["data"]["requiredCapabilities"], json!({"elicitation": {"form": {}}}));
    let needs = call("test_missing_capability", json!({}), json!({})).await;
    assert_eq!(needs.json()["error"]["data"]["requiredCapabilities"], json!({"sampling": {}}));
    let old = legacy(address, "tools/call", json!({"name": tool})).await.result();
    assert!(old["isError"] == true && text(&old).contains("too old"), "{old}");
    running.stop().await;
}

#[tokio::test]
async fn prompts_and_resources_are_listed_got_and_read() {
    let (running, address) = everything().await;
    let discovered = modern(address, "server/discover", json!({})).await.result();
    let capabilities: Vec<_> = discovered["capabilities"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(capabilities, ["completions", "logging", "prompts", "resources", "tools"]);
    for (method, member, count) in [
        ("prompts/list", "prompts", 5),
        ("resources/list", "resources", 3),
        ("resources/templates/list", "resourceTemplates", 1),
    ] {
        let list = modern(address, method, json!({})).await.result();
        assert_eq!(list[member].as_array().unwrap().len(), count, "{method}");
        assert!(list["ttlMs"].is_u64() && list["cacheScope"] == "public", "{method}");
        let list = legacy(address, method, json!({})).await.result();
        assert!(list.get("ttlMs").is_none() && list[member].is_array(), "{method}");
    }
    let read = async |uri: &str| {
        let headers =
            [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "resources/read"), ("Mcp-Name", uri)];
        post(address, &headers, &modern_body(1, "resources/read", json!({"uri": uri}))).await
    };
    let static_text = read("test://static-text").await.result();
    assert_eq!(static_text["contents"][0]["text"], "This is the content of the static text resource.");
    assert!(static_text["ttlMs"].is_u64() && static_text["cacheScope"] == "public");
    assert!(read("test://static-binary").await.result()["contents"][0]["blob"].is_string());
    let of_template = read("test://template/7/data").await.result();
    assert!(of_template["contents"][0]["text"].as_str().unwrap().contains("Data for ID: 7"));
    let missing = read("test://nothing").await;
    assert_eq!(missing.refusal(), (200, -32602));
    assert_eq!(missing.json()["error"]["data"]["uri"], "test://nothing");
    let missing = legacy(address, "resources/read", json!({"uri": "test://nothing"})).await;
    assert_eq!(missing.refusal(), (200, -32002));

    let prompt = "test_prompt_with_arguments";
    let got = modern(
        address,
        "prompts/get",
        json!({"name": prompt, "arguments": {"arg1": "testValue1", "arg2": "b"}}),
    );
    let got = got.await.result();
    assert_eq!(got["messages"][0]["content"]["text"], "Prompt with arguments: arg1='testValue1', arg2='b'");
    for params in [json!({"name": prompt}), json!({"name": "nothing"})] {
        assert_eq!(modern(address, "prompts/get", params).await.refusal(), (200, -32602));
    }
    let params =
        json!({"ref": {"type": "ref/prompt", "name": prompt}, "argument": {"name": "arg1", "value": "TEST"}});
    let completed = modern(address, "completion/complete", params).await.result();
    assert_eq!(completed["completion"]["values"], json!(["testValue1", "test1"]));
    let bad = json!({"ref": {"type": "ref/other"}, "argument": {"name": "arg1", "value": ""}});
    assert_eq!(modern(address, "completion/complete", bad).await.refusal(), (200, -32602));
    running.stop().await;
}

/// What the tools of the next tests do.
#[derive(Clone, Default)]
struct Seen {
    begun: watch::Sender<usize>,
    cancelled: watch::Sender<usize>,
    tidied: Arc<AtomicUsize>,
}

struct Waits(Seen);

impl Tool for Waits {
    type Arguments = NoArguments;
    type Output = String;

    fn info(&self) -> ToolInfo {
        ToolInfo::new("waits")
    }

    async fn call(&self, _: NoArguments, context: Context) -> Result<String, ToolError> {
        context.progress(1.0, None, None);
        self.0.begun.send_modify(|count| *count += 1);
        context.cancelled().await;
        self.0.cancelled.send_modify(|count| *count += 1);
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.tidied.fetch_add(1, Ordering::SeqCst);
        Err(ToolError::cancelled())
    }
}

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Number {
    #[schemars(range(min = 0, max = 100))]
    number: i64,
}

struct Computes(Seen);

impl CpuTool for Computes {
    type Arguments = Number;
    type Output = Json<Number>;

    fn info(&self) -> ToolInfo {
        ToolInfo::new("computes").description("Doubles; 100 takes for ever, 99 breaks.")
    }

    fn call(&self, Number { number }: Number, context: &Context) -> Result<Json<Number>, ToolError> {
        assert_ne!(number, 99, "as asked");
        if number == 100 {
            self.0.begun.send_modify(|count| *count += 1);
            while !context.is_cancelled() {
                std::hint::spin_loop();
            }
            self.0.cancelled.send_modify(|count| *count += 1);
            context.check()?;
        }
        let principal = context.principal().unwrap_or("nobody").len();
        Ok(Json(Number { number: number * 2 + i64::try_from(principal)? - 6 }))
    }
}

async fn own(change: impl FnOnce(&mut ServerConfig)) -> (Running, SocketAddr, Seen) {
    let mut config = config();
    config.service.prompts.clear();
    config.service.resources.clear();
    config.service.resource_templates.clear();
    change(&mut config);
    let seen = Seen::default();
    let builder = mcp_server::Server::builder().name("own").config(&config);
    let (running, address) =
        started(builder.tool(Waits(seen.clone())).cpu_tool(Computes(seen.clone()))).await;
    (running, address, seen)
}

#[tokio::test]
async fn arguments_are_checked_by_their_type() {
    let (running, address, _) = own(|_| {}).await;
    let listed = modern(address, "tools/list", json!({})).await.result();
    let computes = &listed["tools"][1];
    assert_eq!(computes["inputSchema"]["properties"]["number"]["maximum"], 100);
    assert_eq!(computes["outputSchema"]["type"], "object");
    let call =
        |arguments: Value| modern(address, "tools/call", json!({"name": "computes", "arguments": arguments}));
    assert_eq!(call(json!({"number": 4})).await.result()["structuredContent"], json!({"number": 8}));
    for wrong in [json!({}), json!({"number": "4"}), json!({"number": 101})] {
        let result = call(wrong.clone()).await.result();
        assert!(result["isError"] == true && text(&result).contains("- arguments"), "{wrong}: {result}");
    }
    let broken = call(json!({"number": 99})).await.result();
    assert!(broken["isError"] == true && text(&broken).contains("unexpectedly"), "{broken}");
    assert_eq!(call(json!({"number": 4})).await.result()["structuredContent"], json!({"number": 8}));
    running.stop().await;
}

#[tokio::test]
async fn the_configuration_applies_to_own_tools() {
    let (running, address, seen) = own(|config| {
        config.service.performance.request_timeout = Some(mcp_server_config::Duration::from_millis(300));
        config.service.tools = vec![mcp_server_config::Tool {
            name: "declared".into(),
            text: Some("x".into()),
            ..Default::default()
        }];
    })
    .await;
    assert_eq!(modern(address, "tools/list", json!({})).await.result()["tools"].as_array().unwrap().len(), 3);
    let params = json!({"name": "computes", "arguments": {"number": 100}});
    assert_eq!(modern(address, "tools/call", params).await.refusal(), (200, 504));
    reaches(&seen.cancelled, 1).await;
    assert_eq!(modern(address, "tools/call", json!({"name": "waits"})).await.refusal(), (200, 504));
    eventually("the tool tidies up", async || seen.tidied.load(Ordering::SeqCst) == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_secret_in_the_program_s_configuration_is_the_one_in_force() {
    let (running, address, _) = own(|config| {
        config.service.auth.mode = None;
        let literal = Literal::new("key-of-program");
        config.process.auth.api_key = Some(SecretRef { value: Some(literal), ..SecretRef::default() });
    })
    .await;
    let body = modern_body(1, "tools/list", json!({}));
    for (key, status) in [("key-of-program", 200), ("[redacted]", 401)] {
        let headers =
            [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list"), ("X-API-Key", key)];
        assert_eq!(post(address, &headers, &body).await.status, status, "{key}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_and_so_is_a_bad_one() {
    let mut config = config();
    config.service.tools =
        vec![mcp_server_config::Tool { name: "waits".into(), text: Some("x".into()), ..Default::default() }];
    let builder = mcp_server::Server::builder().config(&config).tool(Waits(Seen::default()));
    let error = builder.start().await.unwrap_err().to_string();
    assert!(
        error.contains("tools[0].name: is the name of a tool of the program") && !error.contains("waits"),
        "{error}"
    );

    struct Bad;
    impl Tool for Bad {
        type Arguments = Vec<u8>;
        type Output = String;
        fn info(&self) -> ToolInfo {
            ToolInfo::new("bad")
        }
        async fn call(&self, _: Vec<u8>, _: Context) -> Result<String, ToolError> {
            Ok(String::new())
        }
    }
    let error = mcp_server::Server::builder().tool(Bad).start().await.unwrap_err().to_string();
    assert!(error.contains("must be a struct"), "{error}");
}

#[tokio::test]
async fn closing_a_stream_cancels_a_modern_call_and_not_an_older_one() {
    let (running, address, seen) = own(|_| {}).await;
    let mut meta = meta();
    meta["progressToken"] = 1.into();
    let modern_call = modern_body(1, "tools/call", json!({"name": "waits", "_meta": meta}));
    let older = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "waits", "_meta": {"progressToken": 1}}});
    let headers = [
        ("Content-Type", "application/json"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "waits"),
    ];
    let older_headers = [("Content-Type", "application/json"), ("MCP-Protocol-Version", "2025-11-25")];
    for (number, text) in [
        request("POST", "/mcp", &older_headers, &older.to_string()),
        request("POST", "/mcp", &headers, &modern_call),
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut begun = [0; 64];
        stream.read_exact(&mut begun).await.unwrap();
        reaches(&seen.begun, number + 1).await;
    }
    reaches(&seen.cancelled, 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(*seen.cancelled.borrow(), 1, "who lost a connection of the older kind may come back");
    eventually("the tool tidies up", async || seen.tidied.load(Ordering::SeqCst) == 1).await;
    drop(running);
}
