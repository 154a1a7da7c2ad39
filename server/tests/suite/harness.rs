//! A server in this process, behind a real port, and a client that says exactly what a test wants said.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use mcp_server::auth::keyring::{Key, Keyring};
use mcp_server::backend::{Answer, Backend, Call, CallError, Catalogue, Cx, Entry, Health, Outcome};
use mcp_server::dispatch::Dispatcher;
use mcp_server::dispatch::snapshot::Snapshot;
use mcp_server::environment::Environment;
use mcp_server::http::Door;
use mcp_server::http::body::ARRIVAL;
use mcp_server::http::listener::{Listener, Serving, Settings};
use mcp_server::http::pulse::Patience;
use mcp_server::lifecycle::{Lifecycle, Stage};
use mcp_server::observe::metrics::Metrics;
use mcp_server::protocol::raw::Raw;
use mcp_server_config::{AuthMode, RateLimitMode, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a busy machine; only a hang gets to see it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Tools that do what a test needs.
#[derive(Debug)]
pub(crate) struct TestBackend {
    catalogue: watch::Sender<Arc<Catalogue>>,
    health: watch::Sender<Health>,
    /// Calls of `wait` that have begun, cancelled, ended by themselves.
    pub(crate) begun: watch::Sender<usize>,
    pub(crate) cancelled: watch::Sender<usize>,
    pub(crate) ended: watch::Sender<usize>,
    /// A call of `wait` ends with each permit.
    pub(crate) release: Semaphore,
}

impl TestBackend {
    fn new() -> Arc<Self> {
        let entry = |name: &str, schema: Value| {
            let definition = json!({"name": name, "description": name, "inputSchema": schema});
            Entry { name: name.into(), definition: Raw::of(&definition) }
        };
        let any = json!({"type": "object"});
        let mirrored =
            json!({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}});
        let names = ["echo", "wait", "sleep", "panic", "fail", "large", "shape", "grüß"];
        let tools =
            names.iter().map(|name| entry(name, any.clone())).chain([entry("mirrored", mirrored)]).collect();
        Arc::new(Self {
            catalogue: watch::Sender::new(Arc::new(Catalogue::of_tools(tools))),
            health: watch::Sender::new(Health::Healthy),
            begun: watch::Sender::new(0),
            cancelled: watch::Sender::new(0),
            ended: watch::Sender::new(0),
            release: Semaphore::new(0),
        })
    }
}

/// Waits until a counter has reached a number.
pub(crate) async fn reaches(counter: &watch::Sender<usize>, number: usize) {
    let mut counter = counter.subscribe();
    tokio::time::timeout(PATIENCE, counter.wait_for(|value| *value >= number)).await.unwrap().unwrap();
}

impl Backend for TestBackend {
    fn call(self: Arc<Self>, call: Call, cx: Cx) -> BoxFuture<'static, Result<Outcome, CallError>> {
        async move {
            let answer = |result: Value, is_error| {
                let result = Raw::of(&result);
                Ok(Outcome::Complete(if is_error { Answer::failed(result) } else { Answer::new(result) }))
            };
            let text = |text: &str| json!({"content": [{"type": "text", "text": text}]});
            match call.target.name() {
                "echo" | "mirrored" | "grüß" => {
                    let arguments =
                        call.arguments.map_or("nothing".to_owned(), |raw| raw.as_str().to_owned());
                    let principal = cx.caller.id().unwrap_or("nobody");
                    answer(text(&format!("{principal}: {arguments}")), false)
                }
                "wait" => {
                    self.begun.send_modify(|count| *count += 1);
                    tokio::select! {
                        permit = self.release.acquire() => permit.unwrap().forget(),
                        () = cx.cancel.cancelled() => {
                            self.cancelled.send_modify(|count| *count += 1);
                            return Err(CallError::Cancelled);
                        }
                    }
                    self.ended.send_modify(|count| *count += 1);
                    answer(text("waited"), false)
                }
                "sleep" => {
                    let milliseconds: u64 = call.arguments.map_or(10, |raw| {
                        serde_json::from_str::<Value>(raw.as_str()).unwrap()["ms"].as_u64().unwrap_or(10)
                    });
                    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                    answer(text("slept"), false)
                }
                "panic" => panic!("as asked"),
                "fail" => answer(json!({"content": [{"type": "text", "text": "no"}], "isError": true}), true),
                "large" => answer(text(&"x".repeat(1 << 20)), false),
                "shape" => Ok(Outcome::Complete(
                    Answer::new(Raw::of(&json!({"content": [], "structuredContent": [1]})))
                        .with_legacy(Some(Raw::of(&json!({"content": []})))),
                )),
                _ => Err(CallError::Unknown),
            }
        }
        .boxed()
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn drain(&self, _: Instant) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

/// A server behind a port of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) backend: Arc<TestBackend>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) serving: Serving,
}

/// A server that lets everybody in, with changes to its configuration.
pub(crate) async fn server(change: impl FnOnce(&mut ServerConfig)) -> Server {
    server_with(change, Patience::default(), 100).await
}

pub(crate) async fn server_with(
    change: impl FnOnce(&mut ServerConfig),
    patience: Patience,
    max_connections: usize,
) -> Server {
    serve(change, patience, max_connections, ARRIVAL).await
}

/// A server that drops slow clients after a while of the test's choice.
pub(crate) async fn server_slow(patience: Patience, body_within: Duration) -> Server {
    serve(|_| {}, patience, 100, body_within).await
}

async fn serve(
    change: impl FnOnce(&mut ServerConfig),
    patience: Patience,
    max_connections: usize,
    body_within: Duration,
) -> Server {
    let mut config = ServerConfig::default();
    config.service.auth.mode = Some(AuthMode::Disabled);
    // Only tests of limits are to run into them.
    config.service.rate_limit.mode = Some(RateLimitMode::Off);
    change(&mut config);
    let backend = TestBackend::new();
    let keys = Keyring::new(&[Key::new("ci", "key-of-ci"), Key::new("ops", "key-of-ops")]);
    let catalogue = backend.catalogue.borrow().clone();
    let snapshot = Snapshot::new(Arc::new(config), Arc::new(keys), &catalogue);
    let dispatcher = Arc::new(Dispatcher::new(backend.clone(), snapshot, Arc::new(Metrics::new())));
    tokio::spawn(dispatcher.redis.clone().keep(Environment::default(), CancellationToken::new()));
    let (address, serving) = open(&dispatcher, patience, max_connections, body_within).await;
    Server { address, backend, dispatcher, serving }
}

/// Opens a port for a dispatcher of the test's own.
pub(crate) async fn open(
    dispatcher: &Arc<Dispatcher>,
    patience: Patience,
    max_connections: usize,
    body_within: Duration,
) -> (SocketAddr, Serving) {
    let lifecycle = Arc::new(Lifecycle::new());
    lifecycle.enter(Stage::Ready);
    let door = Door::new(dispatcher.clone(), lifecycle, "/mcp".to_owned()).with_body_within(body_within);
    let door = Arc::new(door);
    let listener = Listener::open("127.0.0.1:0").await.unwrap();
    let address = listener.local();
    let settings = Settings {
        max_connections,
        spare_descriptors: 0,
        patience,
        open: Some(dispatcher.metrics.connections.clone()),
        accepted: Some(dispatcher.metrics.connections_total.clone()),
    };
    let serving =
        listener.serve(move |request, peer, busy| door.clone().serve(request, peer, busy), settings);
    (address, serving)
}

impl Server {
    /// Puts another configuration in force, as a reload does.
    pub(crate) fn reconfigure(&self, change: impl FnOnce(&mut ServerConfig)) {
        let mut config = ServerConfig::clone(&self.dispatcher.snapshot().config);
        change(&mut config);
        let catalogue = self.backend.catalogue.borrow().clone();
        let keys = self.dispatcher.snapshot().auth.access.keys.clone();
        self.dispatcher.replace(Snapshot::new(Arc::new(config), keys, &catalogue));
    }
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Status and JSON-RPC code.
    pub(crate) fn refusal(&self) -> (u16, i64) {
        let body = self.json();
        assert_eq!(body["jsonrpc"], "2.0", "{body}");
        assert!(body.get("result").is_none(), "{body}");
        (self.status, body["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {body}")))
    }

    /// The result of a successful answer.
    pub(crate) fn result(&self) -> Value {
        let body = self.json();
        assert_eq!(self.status, 200, "{body}");
        assert!(body.get("error").is_none(), "{body}");
        body["result"].clone()
    }
}

/// A connection on which a test writes bytes.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads one response; none where the server closed the connection first.
    pub(crate) async fn read(&mut self) -> Option<Response> {
        tokio::time::timeout(PATIENCE, self.read_in_time()).await.expect("an answer in time")
    }

    async fn read_in_time(&mut self) -> Option<Response> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = lines
            .map(|line| {
                line.split_once(':').map(|(key, value)| (key.to_owned(), value.trim().to_owned())).unwrap()
            })
            .collect();
        let mut response = Response { status, headers, body: String::new() };
        response.body = if response.header("transfer-encoding") == Some("chunked") {
            self.chunks().await?
        } else {
            let length = response.header("content-length").map_or(0, |value| value.parse().unwrap());
            self.take(length).await?
        };
        Some(response)
    }

    async fn chunks(&mut self) -> Option<String> {
        let mut body = String::new();
        loop {
            while !self.buffer.windows(2).any(|window| window == b"\r\n") {
                self.more().await?;
            }
            let end = self.buffer.windows(2).position(|window| window == b"\r\n")?;
            let line = self.take(end + 2).await?;
            let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
            body.push_str(&self.take(length).await?);
            self.take(2).await?;
            if length == 0 {
                return Some(body);
            }
        }
    }

    async fn take(&mut self, length: usize) -> Option<String> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Some(String::from_utf8(self.buffer.drain(..length).collect()).unwrap())
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }

    /// Waits until the server closes the connection, without having sent anything more.
    pub(crate) async fn closed(&mut self) {
        let answer = self.read().await;
        assert!(answer.is_none(), "{answer:?}");
    }
}

/// The text of a request.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut connection = Connection::open(address).await;
    connection.write(request(method, path, headers, body)).await;
    connection.read().await.expect("an answer")
}

pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// POSTs a body to the endpoint with these headers besides the content type.
pub(crate) async fn post(address: SocketAddr, headers: &[(&str, &str)], body: &str) -> Response {
    let headers: Vec<_> = [JSON].into_iter().chain(headers.iter().copied()).collect();
    send(address, "POST", "/mcp", &headers, body).await
}

/// Metadata of a modern request.
pub(crate) fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "suite", "version": "1"},
    })
}

/// The body of a modern request.
pub(crate) fn modern_body(id: impl Into<Value>, method: &str, mut params: Value) -> String {
    if params.get("_meta").is_none() {
        params["_meta"] = meta();
    }
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params}).to_string()
}

/// A modern request with the headers that mirror it.
pub(crate) async fn modern(address: SocketAddr, method: &str, params: Value) -> Response {
    let name = params["name"].as_str().map(mcp_server::protocol::headers::encode);
    let mut headers = vec![("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
    headers.extend(name.as_deref().map(|name| ("Mcp-Name", name)));
    post(address, &headers, &modern_body(1, method, params)).await
}

/// A modern call of a tool.
pub(crate) async fn call(address: SocketAddr, tool: &str, arguments: Value) -> Response {
    modern(address, "tools/call", json!({"name": tool, "arguments": arguments})).await
}

/// A request as clients of 2025-11-25 send it.
pub(crate) async fn legacy(address: SocketAddr, method: &str, params: Value) -> Response {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    post(address, &[("MCP-Protocol-Version", "2025-11-25")], &body).await
}

/// The text of a result's first content block.
pub(crate) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result}"))
}

/// Waits until a metric has this value. A request is counted when its answer has been sent, which is a moment after the
/// client has it.
pub(crate) async fn counts(server: &Server, metric: &str, value: u64) {
    let line = format!("{metric} {value}");
    eventually(&line, async || {
        server.dispatcher.metrics.render().unwrap().lines().any(|found| found == line)
    })
    .await;
}

/// Waits until something is so: for what no event tells.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
