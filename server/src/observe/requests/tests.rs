use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_server_config::{LogFile, LogFormat, Logging, LoggingProcess};
use serde_json::{Value, json};

use super::*;
use crate::auth::principal::PrincipalKind;
use crate::observe::logs::tests::to_file;

const CALL: Known<'static> = Known { method: "tools/call", era: "modern", tool: Some("greet") };

fn settings(mode: RequestLogMode, arguments: LoggedArguments, every: u32) -> RequestLogging {
    RequestLogging { mode: Some(mode), arguments: Some(arguments), sample_every: Some(every) }
}

/// What a log with these settings writes of some requests.
fn lines(settings: &RequestLogging, requests: impl FnOnce(&Arc<RequestLog>)) -> Vec<Value> {
    let written = to_file(LogFormat::Json, |hub| {
        let log = RequestLog::new(Some(hub.clone()));
        log.configure(settings);
        requests(&log);
    });
    written.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ends(log: &Arc<RequestLog>, outcome: &'static str) {
    if let Some(mut entry) = log.begin(Some([127, 0, 0, 1].into())) {
        entry.asked(CALL, "7", Some("greet"), Some(r#"{"name":"Ada","password":"p"}"#));
        entry.ended(CALL, outcome, Duration::from_micros(1234));
    }
}

#[test]
fn a_request_and_its_end() {
    let lines = lines(&settings(RequestLogMode::All, LoggedArguments::Redact, 1), |log| {
        let mut entry = log.begin(Some([10, 0, 0, 1].into())).unwrap();
        let principal = Arc::new(principal("ci"));
        entry.caller(&Caller { principal: Some(principal), address: Some([10, 0, 0, 2].into()) });
        entry.trace(Context::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        entry.asked(CALL, "\"a\"", Some("greet"), Some(r#"{"name":"Ada","password":"p"}"#));
        entry.ended(CALL, "ok", Duration::from_micros(1234));
    });
    assert_eq!(lines.len(), 2);
    for line in &lines {
        for (key, expected) in [
            ("level", json!("INFO")),
            ("logger", json!("mcp_server.requests")),
            ("module", json!("requests")),
            ("jsonrpc_id", json!("a")),
            ("trace_id", json!("4bf92f3577b34da6a3ce929d0e0e4736")),
            ("method", json!("tools/call")),
            ("tool_name", json!("greet")),
            ("era", json!("modern")),
            ("principal", json!("ci")),
            ("client", json!("10.0.0.2")),
        ] {
            assert_eq!(line[key], expected, "{key}");
        }
    }
    assert_eq!(lines[0]["event_type"], "request");
    assert_eq!(lines[0]["arguments"], json!({"name": "Ada", "password": "[redacted]"}));
    assert_eq!(lines[0]["request_id"], lines[1]["request_id"]);
    assert_eq!(lines[1]["event_type"], "response");
    assert_eq!((&lines[1]["success"], &lines[1]["response_time_ms"]), (&json!(true), &json!(1.234)));
    assert_eq!(lines[1].get("arguments"), None, "once is enough");
}

fn principal(id: &str) -> Principal {
    Principal::new(id, PrincipalKind::ApiKey)
}

#[test]
fn which_requests_leave_a_line() {
    let of = |mode, every| {
        let lines = lines(&settings(mode, LoggedArguments::Full, every), |log| {
            for outcome in ["ok", "tool_error", "ok", "timeout", "ok"] {
                ends(log, outcome);
            }
        });
        let told = |line: &Value| {
            let (event, level) = (line["event_type"].as_str().unwrap(), line["level"].as_str().unwrap());
            let with = if line.get("arguments").is_some() { "+" } else { "" };
            format!("{event}{with} {level}")
        };
        lines.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(of(RequestLogMode::Off, 1), [""; 0]);
    assert_eq!(of(RequestLogMode::Errors, 1), ["error+ WARN", "error+ ERROR"]);
    let all = of(RequestLogMode::All, 1);
    assert_eq!(all.iter().filter(|line| line.starts_with("request+")).count(), 5);
    assert_eq!(all.iter().filter(|line| line.starts_with("response")).count(), 3);
    assert_eq!(all.iter().filter(|line| *line == "error WARN" || *line == "error ERROR").count(), 2);
    // The first and the fourth are in the sample; the second failed and is told all the same.
    let expected = ["request+ INFO", "response INFO", "error+ WARN", "request+ INFO", "error ERROR"];
    assert_eq!(of(RequestLogMode::All, 3), expected);
}

#[test]
fn what_callers_say_is_cut_and_cannot_break_a_line() {
    let name = "x\n{\"forged\":1}\u{1b}".repeat(100);
    let id = Value::from("i\n".repeat(200)).to_string();
    let known = Known { tool: None, ..CALL };
    let lines = lines(&settings(RequestLogMode::All, LoggedArguments::Omit, 1), |log| {
        let mut entry = log.begin(None).unwrap();
        entry.asked(known, &id, Some(&name), None);
        entry.trace(Context::parse("00-<script>-x"));
        entry.ended(known, "invalid_params", Duration::ZERO);
    });
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["tool_name"].as_str().unwrap().chars().count(), LONGEST);
    assert!(lines[0]["jsonrpc_id"].as_str().unwrap().len() < 200);
    assert_eq!((&lines[1]["error_type"], lines[1].get("client")), (&json!("invalid_params"), None));
}

#[test]
fn the_text_has_the_same() {
    let written = to_file(LogFormat::Text, |hub| {
        let log = RequestLog::new(Some(hub.clone()));
        log.configure(&settings(RequestLogMode::Errors, LoggedArguments::Redact, 1));
        ends(&log, "timeout");
    });
    assert!(written.contains("ERROR"), "{written}");
    let (_, rest) = written.split_once("error tools/call request_id=").unwrap();
    let expected = " jsonrpc_id=7 tool_name=greet era=modern client=127.0.0.1 success=false response_time_ms=1.234 \
                    error_type=timeout arguments={\"name\":\"Ada\",\"password\":\"[redacted]\"}\n";
    assert_eq!(rest.split_once(' ').map(|(_, rest)| format!(" {rest}")).unwrap(), expected);
}

/// What a line costs the thread that serves the request. Run it in a release build:
/// `cargo test --release -p mcp-server --lib cost_of_a_line -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and asserts nothing"]
fn cost_of_a_line() {
    const REQUESTS: u32 = 1_000_000;
    let directory = tempfile::tempdir().unwrap();
    let process = LoggingProcess {
        text_format: None,
        file: Some(LogFile {
            path: Some(directory.path().join("log").display().to_string()),
            ..LogFile::default()
        }),
    };
    let hub = crate::observe::logs::tests::hub(&Logging::default(), &process);
    let log = RequestLog::new(Some(hub.clone()));
    for (mode, arguments) in [
        (RequestLogMode::Off, LoggedArguments::Omit),
        (RequestLogMode::Errors, LoggedArguments::Omit),
        (RequestLogMode::All, LoggedArguments::Omit),
        (RequestLogMode::All, LoggedArguments::Redact),
    ] {
        log.configure(&settings(mode, arguments, 1));
        let begun = Instant::now();
        let mut own = Duration::ZERO;
        for batch in 0..REQUESTS / 1000 {
            let from = Instant::now();
            for _ in 0..1000 {
                ends(&log, "ok");
            }
            own += from.elapsed();
            if batch % 5 == 0 {
                assert!(hub.flush());
            }
        }
        println!("{mode:?} {arguments:?}: {:?} a request in {:?}", own / REQUESTS, begun.elapsed());
    }
}
