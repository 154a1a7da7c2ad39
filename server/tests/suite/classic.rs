//! Every key of the classic `production.json` does something.
//!
//! Each case runs real servers on a classic file in which nothing but its key differs, and looks at them from outside.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, stream};
use mcp_server_config::compat;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::harness::{PATIENCE, Response, modern, post, send};
use crate::process::Served;

mod auth;
mod cache;
mod logging;
mod performance;
mod rate_limit;

const CLASSIC: &str = include_str!("classic-production.json");

/// Most of a case is waiting: for a start, for a file to be looked at.
const AT_ONCE: usize = 8;

#[tokio::test]
async fn every_key_changes_what_a_server_does() {
    let cases = compat::keys().map(|key| async move {
        let case = AssertUnwindSafe(Box::pin(case(key)));
        case.catch_unwind().await.err().map(|_| key)
    });
    let failed: Vec<_> =
        stream::iter(cases).buffer_unordered(AT_ONCE).filter_map(async |failed| failed).collect().await;
    assert!(failed.is_empty(), "these do not do what they should, see above: {failed:?}");
}

async fn case(key: &'static str) {
    let case = Case::new(key);
    match key {
        "server_name" => presented(case, "name", ["one", "two"]).await,
        "server_version" => presented(case, "version", ["1.2.3", "4.5.6"]).await,
        "metrics_interval" => summaries(case).await,
        "auth.enabled" => auth::enabled(case).await,
        "auth.auth_type" => auth::auth_type(case).await,
        "auth.api_keys_file" => auth::api_keys_file(case).await,
        "auth.api_key" => auth::api_key(case).await,
        "auth.oauth2_auth_server" => auth::oauth2_auth_server(case).await,
        "auth.oauth2_client_id" => auth::oauth2_client(case, ["one", "two"], |said| said.0).await,
        "auth.oauth2_client_secret" => auth::oauth2_client(case, ["s-1", "s-2"], |said| said.1).await,
        "cache.enabled" => cache::enabled(case).await,
        "cache.cache_type" => cache::cache_type(case).await,
        "cache.max_size" => cache::bounded(case, [json!(100_000), json!(1)], 1).await,
        "cache.max_memory_mb" => cache::bounded(case, [json!(100), json!(1)], 20_000).await,
        "cache.ttl_seconds" => cache::ttl(case).await,
        "cache.redis_url" => cache::redis_url(case).await,
        "rate_limit.enabled" => rate_limit::enabled(case).await,
        "rate_limit.requests_per_minute" => rate_limit::requests_per_minute(case).await,
        "rate_limit.burst_size" => rate_limit::burst_size(case).await,
        "rate_limit.cleanup_interval" => rate_limit::cleanup_interval(case).await,
        "logging.level" => logging::level(case).await,
        "logging.format" => logging::format(case).await,
        "logging.json_format" => logging::json_format(case).await,
        "logging.file_path" => logging::file_path(case).await,
        "logging.max_file_size_mb" => logging::max_file_size_mb(case).await,
        "logging.backup_count" => logging::backup_count(case).await,
        "performance.max_concurrent_requests" => performance::max_concurrent_requests(case).await,
        "performance.request_timeout" => performance::request_timeout(case).await,
        "performance.thread_pool_size" => performance::thread_pool_size(case).await,
        "performance.connection_pool_size" => performance::connection_pool_size(case).await,
        "performance.cache_ttl" => cache::ttl(case.with(json!({"cache": {"ttl_seconds": null}}))).await,
        "performance.enable_request_batching" => performance::enable_request_batching(case).await,
        "performance.batch_size" => performance::batch_size(case).await,
        "performance.batch_timeout" => performance::batch_timeout(case).await,
        other => panic!("nobody has seen what {other} does: add a case"),
    }
}

/// How a server presents itself to clients.
async fn presented(case: Case, field: &str, [one, two]: [&str; 2]) {
    case.shows([(json!(one), one), (json!(two), two)], async |running| {
        let result = modern(running.served.address, "server/discover", json!({})).await.result();
        result["_meta"]["io.modelcontextprotocol/serverInfo"][field].as_str().unwrap().to_owned()
    })
    .await;
}

/// How often the log sums up.
async fn summaries(case: Case) {
    case.shows([(json!(3600), "silence"), (json!(1), "a summary")], async |running| {
        let count = || running.served.log().matches("\"message\":\"summary\"").count();
        let before = count();
        // Of a minute in which nothing was asked there is nothing to sum up.
        running.status(&[]).await;
        if soon(async || count() > before).await { "a summary" } else { "silence" }.to_owned()
    })
    .await;
}

/// Whether something that happens each second, if at all, happens.
async fn soon(mut check: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        if check().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// A number that no other look has.
fn fresh() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// A key, and the classic file around it.
struct Case {
    key: &'static str,
    file: Value,
    beside: Vec<(&'static str, String)>,
}

impl Case {
    /// The classic file, with a tool, but without what would be in the way of other keys: a key to show, a limit.
    fn new(key: &'static str) -> Self {
        let mut file: Value = serde_json::from_str(CLASSIC).unwrap();
        file["auth"] = json!({"enabled": false});
        file["rate_limit"] = json!({"enabled": false});
        file["tools"] = json!([{"name": "say", "text": "{{args.text}}"}]);
        Self { key, file, beside: Vec::new() }
    }

    /// Lays something over the file; null takes a key away.
    fn with(mut self, more: Value) -> Self {
        lay_over(&mut self.file, more);
        self
    }

    /// Puts another file beside it.
    fn beside(mut self, name: &'static str, text: Value) -> Self {
        self.beside.push((name, text.to_string()));
        self
    }

    /// `look` sees one thing with one value of the key and another with the other, of a server that was started with it
    /// and of one whose file was changed. A look may come too soon, and is taken again.
    async fn shows(self, [one, two]: [(Value, &str); 2], look: impl AsyncFn(&Running) -> String) {
        let changed = self.start(&one.0).await;
        self.sees(&changed, "started with the first value", one.1, &look).await;
        changed.write(&self.text(&two.0));
        self.sees(&changed, "changed to the second value", two.1, &look).await;
        let status = send(changed.served.admin, "GET", "/status", &[], "").await.json();
        assert_eq!(status["config"]["needsRestart"], json!([]), "{}", self.key);
        drop(changed);
        let started = self.start(&two.0).await;
        self.sees(&started, "started with the second value", two.1, &look).await;
    }

    async fn start(&self, value: &Value) -> Running {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in &self.beside {
            fs::write(home.path().join(name), text).unwrap();
        }
        fs::write(home.path().join(FILE), self.text(value)).unwrap();
        let served = Served::start_quiet(home.path(), &["--config", FILE]).await;
        Running { served, home }
    }

    fn text(&self, value: &Value) -> String {
        let mut file = self.file.clone();
        let more = self.key.rsplit('.').fold(value.clone(), |value, key| json!({key: value}));
        lay_over(&mut file, more);
        file.to_string()
    }

    async fn sees(
        &self,
        running: &Running,
        when: &str,
        expected: &str,
        look: &impl AsyncFn(&Running) -> String,
    ) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = look(running).await;
            if seen == expected {
                return;
            }
            let (key, log) = (self.key, running.served.log());
            assert!(
                Instant::now() < deadline,
                "{key}, {when}: {seen} instead of {expected}; the log:\n{log}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

const FILE: &str = "production.json";

fn lay_over(file: &mut Value, more: Value) {
    match more {
        Value::Object(more) => {
            if !file.is_object() {
                *file = json!({});
            }
            for (key, value) in more {
                lay_over(&mut file[key], value);
            }
        }
        other => *file = other,
    }
}

/// A server of a case.
struct Running {
    served: Served,
    home: TempDir,
}

impl Running {
    /// Changes the file, all at once.
    fn write(&self, text: &str) {
        let whole = self.path("written.json");
        fs::write(&whole, text).unwrap();
        fs::rename(whole, self.path(FILE)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Calls a tool, with headers.
    async fn call_with(&self, headers: &[(&str, &str)], tool: &str, arguments: Value) -> Response {
        let params = json!({"name": tool, "arguments": arguments});
        let body = json!({"jsonrpc": "2.0", "id": fresh(), "method": "tools/call", "params": params});
        let headers: Vec<_> =
            [("MCP-Protocol-Version", "2025-11-25")].iter().chain(headers).copied().collect();
        post(self.served.address, &headers, &body.to_string()).await
    }

    async fn call(&self, tool: &str, arguments: Value) -> Response {
        self.call_with(&[], tool, arguments).await
    }

    /// The status of a call with these headers.
    async fn status(&self, headers: &[(&str, &str)]) -> u16 {
        self.call_with(headers, "say", json!({"text": "hi"})).await.status
    }
}
