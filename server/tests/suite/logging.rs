//! The log of the real program: files, formats, levels, what is lost and what is not.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::PATIENCE;
use crate::process::{ANY_ADMIN_PORT, Served, exit_code, get, program, run, status, stderr, until};

/// Sends messages as an older client does, all on one connection; what came back.
fn post(address: SocketAddr, headers: &str, bodies: &[String]) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut statuses = Vec::new();
    for body in bodies {
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             MCP-Protocol-Version: 2025-11-25\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut piece = [0; 8192];
        while !is_whole(&answer) {
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "the connection was closed after {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..read]);
        }
        statuses.push(String::from_utf8_lossy(&answer[9..12]).parse().unwrap());
    }
    statuses
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn call(id: usize, arguments: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "greet", "arguments": arguments}})
        .to_string()
}

fn calls(count: usize) -> Vec<String> {
    (0..count).map(|id| call(id, &json!({}))).collect()
}

fn config(logging: &Value) -> Value {
    json!({"auth": {"mode": "Disabled"}, "rateLimit": {"mode": "Off"}, "logging": logging, "tools": [{"name": "greet", "text": "hi"}]})
}

fn start(home: &Path, config: &Value) -> Served {
    fs::write(home.join("config.json"), config.to_string()).unwrap();
    Served::start(home, &["--config", "config.json"])
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

/// Calls whose lines are long.
fn large_calls(count: usize) -> Vec<String> {
    let large = json!({"text": "x".repeat(15_000)});
    (0..count).map(|id| call(id, &large)).collect()
}

fn serve<'a>(config: &'a str, address: &'a str) -> [&'a str; 7] {
    ["serve", "--config", config, "--address", address, "--admin-address", ANY_ADMIN_PORT]
}

/// Starts a server that may not be able to say that it is ready.
fn spawn(home: &Path, config: &str, address: &str, stdout: Stdio) -> Child {
    program(home).args(serve(config, address)).stdout(stdout).stderr(Stdio::null()).spawn().unwrap()
}

/// Tells a server to stop, and waits until it did so in order.
fn stops(child: &mut Child) {
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(exit_code(child), 0);
}

/// A server whose console nobody reads; a file has the log, too.
struct Unread {
    child: Child,
    log: PathBuf,
    ready: Value,
}

impl Unread {
    fn start(home: &Path) -> Self {
        let log = home.join("log");
        let logging = json!({"requests": {"mode": "All", "arguments": "Full"}, "file": {"path": "log", "maxSize": "100Mi"}});
        fs::write(home.join("config.json"), config(&logging).to_string()).unwrap();
        let child = spawn(home, "config.json", "127.0.0.1:0", Stdio::piped());
        let mut unread = Self { child, log, ready: Value::Null };
        until("it is ready", || {
            let ready = lines(&unread.log).into_iter().find(|line| line["message"] == "ready");
            unread.ready = ready.unwrap_or_default();
            unread.ready.is_object()
        });
        unread
    }

    /// Where it listens, by the key of the line that says so.
    fn address(&self, key: &str) -> SocketAddr {
        self.ready[key].as_str().unwrap().parse().unwrap()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

#[test]
fn nothing_that_was_logged_is_lost_at_a_stop() {
    const CALLS: usize = 2000;
    let home = tempfile::tempdir().unwrap();
    let config =
        config(&json!({"requests": {"mode": "All"}, "file": {"path": "logs/all.log", "maxSize": "50Mi"}}));
    let mut served = start(home.path(), &config);
    assert!(post(served.address, "", &calls(CALLS)).iter().all(|status| *status == 200));
    served.signal("TERM");
    assert_eq!(served.exit_code(), 0);
    let lines = lines(&home.path().join("logs/all.log"));
    for event in ["request", "response"] {
        let ids: Vec<_> = lines
            .iter()
            .filter(|line| line["event_type"] == event)
            .map(|line| line["jsonrpc_id"].clone())
            .collect();
        assert_eq!(ids, (0..CALLS).map(Value::from).collect::<Vec<_>>(), "{event}");
    }
    assert_eq!(lines.last().unwrap()["message"], "stopped");
    // The console has the same.
    until("the console's last line", || served.log().contains("\"message\":\"stopped\""));
    assert_eq!(served.log().matches("\"event_type\":\"response\"").count(), CALLS);
}

#[test]
fn a_console_that_nobody_reads_holds_up_neither_requests_nor_the_file() {
    let home = tempfile::tempdir().unwrap();
    let mut served = Unread::start(home.path());
    assert_eq!(post(served.address("address"), "", &large_calls(400)), [200; 400]);
    let lost = || {
        let metrics = get(served.address("admin"), "/metrics").1;
        let line =
            metrics.lines().find(|line| line.starts_with("mcp_server_log_dropped_total{sink=\"console\"}"));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
    };
    until("lines are lost and counted", || lost() > 0);
    let lost = lost();
    let responses = || lines(&served.log).iter().filter(|line| line["event_type"] == "response").count();
    until("the file has all", || responses() == 400);
    // Now somebody reads: what waited is there, and how much was lost is told.
    let mut console = std::io::BufReader::new(served.child.stdout.take().unwrap());
    let told = std::thread::spawn(move || {
        let mut line = String::new();
        loop {
            line.clear();
            let read = std::io::BufRead::read_line(&mut console, &mut line).unwrap();
            assert!(read > 0, "the console ended");
            if let Some(lost) = serde_json::from_str::<Value>(&line).unwrap()["lost"].as_u64() {
                return lost;
            }
        }
    });
    assert_eq!(told.join().unwrap(), lost);
}

#[test]
fn a_stuck_console_does_not_keep_a_stopped_server() {
    let home = tempfile::tempdir().unwrap();
    let mut served = Unread::start(home.path());
    post(served.address("address"), "", &large_calls(20));
    stops(&mut served.child);
    assert_eq!(lines(&served.log).last().unwrap()["message"], "stopped");
}

#[test]
fn a_file_that_cannot_be_written_fails_the_start_and_says_where() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("in-the-way"), "").unwrap();
    let logging = json!({"file": {"path": "in-the-way/production.log"}});
    fs::write(home.path().join("config.json"), config(&logging).to_string()).unwrap();
    let output = run(home.path(), &serve("config.json", "127.0.0.1:0"));
    assert!(output.status.code().is_some_and(|code| code != 0));
    let told = stderr(&output);
    for part in ["in-the-way/production.log", "logging.file.path", "/tmp"] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
}

#[test]
fn a_full_disk_degrades_and_the_start_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let served = start(home.path(), &config(&json!({"file": {"path": "/dev/full"}})));
    served.logged("the log cannot be written");
    assert_eq!(post(served.address, "", &calls(3)), [200; 3]);
    until("failures are counted", || {
        let metrics = get(served.admin, "/metrics").1;
        metrics.lines().any(|line| line.starts_with("mcp_server_log_write_failures_total{sink=\"file\"}"))
    });
}

#[test]
fn a_reload_with_a_file_that_cannot_be_opened_is_refused() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("in-the-way"), "").unwrap();
    let served = start(home.path(), &config(&json!({"file": {"path": "log"}})));
    let mut bad = config(&json!({"file": {"path": "in-the-way/log"}}));
    bad["serverName"] = "changed".into();
    fs::write(home.path().join("config.json"), bad.to_string()).unwrap();
    until("it is refused", || {
        status(&served)["config"]["lastError"]
            .as_str()
            .is_some_and(|error| error.contains("logging.file.path"))
    });
    assert_ne!(status(&served)["server"]["name"], "changed");
    served.logged("the last good one stays in force");
}

#[test]
fn a_wrong_format_is_told_before_anything_is_logged() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("config.json"), r#"{"logging": {"textFormat": "%(asctime)s %(wat)s"}}"#)
        .unwrap();
    let output = run(home.path(), &["check-config", "config.json"]);
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(
        told.contains("logging.textFormat") && !told.contains("wat)") && told.contains("levelname"),
        "{told}"
    );
}

/// Every place that something could be read in afterwards.
fn everywhere(home: &Path, served: &Served) -> Vec<(&'static str, String)> {
    let printed = |arguments: &[&str]| {
        let output = run(home, arguments);
        String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output)
    };
    vec![
        ("standard output", served.log()),
        ("standard error", served.stderr()),
        ("the file", fs::read_to_string(home.join("all.log")).unwrap()),
        ("the errors file", fs::read_to_string(home.join("errors.log")).unwrap()),
        ("/status", get(served.admin, "/status").1),
        ("/metrics", get(served.admin, "/metrics").1),
        ("check-config", printed(&["check-config", "config.json"])),
        ("print-config", printed(&["print-config", "config.json"])),
        ("print-config --defaults", printed(&["print-config", "--defaults", "config.json"])),
    ]
}

#[test]
fn secrets_are_in_no_sink() {
    for arguments in ["Omit", "Redact"] {
        let home = tempfile::tempdir().unwrap();
        let keys = json!({"keys": [{"id": "ci", "key": "canary-right-5f1d07"}]});
        fs::write(home.path().join("keys.json"), keys.to_string()).unwrap();
        let config = json!({
            "auth": {"apiKeys": {"file": "keys.json"}, "apiKey": {"value": "canary-literal-77a1"}},
            "redis": {"url": {"value": "redis://user:canary-url-90cc@127.0.0.1:1/0"}},
            "logging": {
                "level": "Trace",
                "requests": {"mode": "All", "arguments": arguments},
                "file": {"path": "all.log", "errorsPath": "errors.log"},
            },
            "tools": [
                {"name": "greet", "text": "hi"},
                {"name": "break", "cel": "int(args.note)", "inputSchema": {"type": "object"}},
            ],
        });
        let served = start(home.path(), &config);
        let secret = json!({
            "password": "canary-argument-1b2c",
            "deep": [{"api_key": "canary-argument-3d4e"}],
            "note": "use Bearer canary-argument-5f60 or https://me:canary-argument-7a8b@host/ and canary-right-5f1d07",
        });
        let body = call(1, &secret);
        let broken = body.replace("greet", "break");
        let authorized = |key: &str| format!("Authorization: Bearer {key}\r\n");
        for key in ["canary-right-5f1d07", "canary-literal-77a1"] {
            let statuses = post(served.address, &authorized(key), &[body.clone(), broken.clone()]);
            assert_eq!(statuses, [200, 200]);
        }
        for headers in [
            authorized("canary-wrong-0a0b0c"),
            "X-API-Key: canary-wrong-0a0b0c\r\n".to_owned(),
            "Authorization: Basic canary-wrong-0a0b0c==\r\n".to_owned(),
        ] {
            assert_eq!(post(served.address, &headers, std::slice::from_ref(&body)), [401], "{headers}");
        }
        // A key that is wrong in the file is told without what it is.
        fs::write(
            home.path().join("keys.json"),
            "{\"keys\": [{\"id\": 1, \"key\": \"canary-broken-4242\"}]}",
        )
        .unwrap();
        until("the bad file is told", || status(&served)["config"]["lastError"].is_string());
        until("all is written", || {
            let text = fs::read_to_string(home.path().join("all.log")).unwrap();
            ["wrong", "malformed"].iter().all(|reason| text.contains(&format!("\"reason\":\"{reason}\"")))
        });
        for (place, text) in everywhere(home.path(), &served) {
            assert!(!text.contains("canary-"), "{arguments}: a canary sings in {place}:\n{text}");
        }
        let file = fs::read_to_string(home.path().join("all.log")).unwrap();
        assert!(
            file.contains("\"principal\":\"ci\"") && file.contains("tools/call"),
            "the requests are there"
        );
        assert_eq!(file.contains("[redacted]"), arguments == "Redact");
    }
}

/// The lines of a log about refusals for a reason.
fn refusals(log: &str, reason: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["reason"] == reason || line["error_type"] == reason).collect()
}

#[test]
fn wrong_keys_do_not_flood_the_log_and_are_counted_in_it() {
    const COUNT: usize = 500;
    let home = tempfile::tempdir().unwrap();
    let keys = json!({"keys": [{"id": "ci", "key": "key-of-ci"}]});
    fs::write(home.path().join("keys.json"), keys.to_string()).unwrap();
    let config = json!({
        "auth": {"apiKeys": {"file": "keys.json"}, "maxFailuresPerMinute": 100_000},
        "tools": [{"name": "greet", "text": "hi"}],
    });
    let served = start(home.path(), &config);
    let begun = Instant::now();
    let wrong = "X-API-Key: abcdefghijklmnopqrst\r\n";
    for _ in 0..COUNT {
        assert_eq!(post(served.address, wrong, &[call(1, &json!({}))]), [401]);
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let lines = || refusals(&served.log(), "wrong");
    let counted = |lines: &[Value]| -> u64 {
        let of = |line: &Value| {
            let itself = u64::from(line["event_type"] == "error");
            itself + line["left_out"].as_u64().unwrap_or(0)
        };
        lines.iter().map(of).sum()
    };
    until("all are counted", || counted(&lines()) == COUNT as u64);
    let lines = lines();
    assert!(lines.len() <= seconds + 3, "{} lines in {seconds} s", lines.len());
    let first = &lines[0];
    for (name, expected) in [
        ("message", json!("request refused")),
        ("error_type", json!("unauthorized")),
        ("client", json!("127.0.0.1")),
        ("error_message", json!("the key that begins with \"abcd\" (20 characters) is not known")),
    ] {
        assert_eq!(first[name], expected, "{first}");
    }
    assert!(!served.log().contains("abcdefghij"));
}

#[test]
fn a_refusal_says_which_host_origin_path_or_media_type_it_was() {
    let home = tempfile::tempdir().unwrap();
    let config = json!({"auth": {"mode": "Disabled"}, "tools": [{"name": "greet", "text": "hi"}]});
    let served = start(home.path(), &config);
    let ask = |method: &str, path: &str, headers: &str| {
        let mut stream = TcpStream::connect(served.address).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    let here = "Host: localhost\r\nContent-Length: 0\r\n";
    for (method, path, headers, status, error_type, part) in [
        (
            "POST",
            "/mcp",
            "Host: evil.example\r\n".to_owned(),
            403,
            "forbidden",
            "host \"evil.example\" is not allowed",
        ),
        ("POST", "/nowhere", here.to_owned(), 404, "wrong_path", "\"/nowhere\""),
        ("DELETE", "/mcp", here.to_owned(), 405, "method_not_allowed", "DELETE is not supported"),
        (
            "POST",
            "/mcp",
            format!("{here}Content-Type: text/plain\r\n"),
            415,
            "wrong_media_type",
            "\"text/plain\"",
        ),
    ] {
        assert_eq!(ask(method, path, &headers), status, "{path} {headers}");
        until(part, || {
            let lines = refusals(&served.log(), error_type);
            lines.iter().any(|line| line["error_message"].as_str().is_some_and(|text| text.contains(part)))
        });
    }
    // Another second, another line for the same reason.
    until("the origin is named", || {
        assert_eq!(ask("POST", "/mcp", &format!("{here}Origin: https://evil.example\r\n")), 403);
        served.log().contains("origin \\\"https://evil.example\\\" is not allowed")
    });
    assert!(!served.log().contains("error unknown"), "{}", served.log());
}
