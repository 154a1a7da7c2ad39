//! What others are told: a push gateway, an OpenTelemetry collector.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};

use crate::collector::{Collector, Manner, Told};
use crate::harness::{PATIENCE, modern_body};
use crate::process::{Served, get, status, until};

fn start(home: &Path, metrics: &Value, environment: &[(&str, &str)]) -> Served {
    let config = json!({
        "serverName": "shop", "auth": {"mode": "Disabled"}, "metrics": metrics,
        "tools": [{"name": "greet", "text": "hi"}],
    });
    fs::write(home.join("config.json"), config.to_string()).unwrap();
    Served::start_with(home, &["--config", "config.json"], environment)
}

/// Calls the tool, with headers and members of `_meta` more.
fn call(served: &Served, id: &str, headers: &[(&str, &str)], meta: &[(&str, &str)]) {
    let mut all = crate::harness::meta();
    for (key, value) in meta {
        all[*key] = json!(value);
    }
    let body = modern_body(id, "tools/call", json!({"name": "greet", "_meta": all}));
    let mut request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: greet\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

const CALLED: &str =
    r#"mcp_server_requests_total{era="modern",method="tools/call",outcome="ok",tool="greet"}"#;

#[test]
fn a_push_gateway_hears_of_everything_and_of_the_last_call_at_the_stop() {
    let home = tempfile::tempdir().unwrap();
    let gateway = Collector::start(Manner::Takes);
    let metrics = json!({"pushGateway": {"url": gateway.url(), "interval": "1s", "job": "mcp"}});
    let mut served = start(home.path(), &metrics, &[("HOSTNAME", "pod-1")]);
    call(&served, "1", &[], &[]);
    let has = |count: u64| {
        move |told: &Told| told.text().contains(&format!("{CALLED} {count}")).then(|| told.clone())
    };
    let told = gateway.wait("the first call", has(1));
    assert_eq!(told.line, "PUT /metrics/job/mcp/instance/pod-1");
    assert!(told.header("content-type").unwrap().starts_with("text/plain"));
    call(&served, "2", &[], &[]);
    served.signal("TERM");
    assert_eq!(served.exit_code(), 0);
    gateway.wait("the second call", has(2));
}

#[test]
fn a_gateway_that_is_gone_is_counted_and_told_once() {
    let home = tempfile::tempdir().unwrap();
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let metrics = json!({"pushGateway": {"url": format!("http://{nowhere}"), "interval": "1s"}});
    let served = start(home.path(), &metrics, &[]);
    until("failures are counted", || {
        let line = "mcp_server_telemetry_exports_total{outcome=\"failure\",sink=\"push_gateway\"} ";
        let metrics = get(served.admin, "/metrics").1;
        let count = metrics.lines().find_map(|found| found.strip_prefix(line)?.parse::<u64>().ok());
        count.is_some_and(|count| count >= 2)
    });
    let warnings =
        served.log().lines().filter(|line| line.contains("further failures are only counted")).count();
    assert_eq!(warnings, 1, "{}", served.log());
    assert_eq!(status(&served)["components"]["telemetry"]["health"], "Degraded");
    assert_eq!((get(served.admin, "/health").0, get(served.admin, "/ready").0), (200, 200));
}

#[test]
fn nobody_who_hangs_holds_up_the_stop() {
    let home = tempfile::tempdir().unwrap();
    let hangs = Collector::start(Manner::Hangs);
    let metrics = json!({
        "pushGateway": {"url": hangs.url(), "interval": "1s"},
        "otlp": {"endpoint": hangs.url(), "interval": "1s", "traces": "On"},
    });
    let mut served = start(home.path(), &metrics, &[]);
    call(&served, "1", &[], &[]);
    hangs.wait("the first push", |told| told.line.starts_with("PUT").then_some(()));
    let told = Instant::now();
    served.signal("TERM");
    assert_eq!(served.exit_code(), 0);
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &KeyValue| match value.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

fn spans(collector: &Collector) -> Vec<Span> {
    let traces = collector.all().into_iter().filter(|told| told.line == "POST /v1/traces");
    let requests = traces.map(|told| ExportTraceServiceRequest::decode(&*told.body).unwrap());
    let scopes =
        requests.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

fn of_id(spans: &[Span], id: &str) -> Option<Span> {
    let id = format!("\"{id}\"");
    spans.iter().find(|span| attributes(&span.attributes)["jsonrpc.request.id"] == id).cloned()
}

/// The last line of a log.
const STOPPED: &str = "\"message\":\"stopped\"";
const OF_HEADER: &str = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-1111111111111111-01";
const OF_META: &str = "00-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-2222222222222222-01";
const UNSAMPLED: &str = "00-cccccccccccccccccccccccccccccccc-3333333333333333-00";

#[test]
fn a_collector_gets_a_span_for_each_sampled_request() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start(Manner::Takes);
    fs::write(home.path().join("key"), "key-of-collector\n").unwrap();
    let metrics = json!({"otlp": {
        "endpoint": collector.url(), "traces": "On", "samplePercent": 0,
        "headers": [{"name": "api-key", "value": {"file": "key"}}],
    }});
    let environment = [("HOSTNAME", "pod-1"), ("MCP_LOGGING_REQUESTS_MODE", "All")];
    let mut served = start(home.path(), &metrics, &environment);
    call(&served, "both", &[("traceparent", OF_HEADER)], &[("traceparent", OF_META), ("tracestate", "v=1")]);
    call(&served, "header", &[("traceparent", OF_HEADER)], &[]);
    call(&served, "unsampled", &[("traceparent", OF_HEADER)], &[("traceparent", UNSAMPLED)]);
    call(&served, "chance", &[], &[]);
    served.signal("TERM");
    assert_eq!(served.exit_code(), 0);

    let spans = spans(&collector);
    assert_eq!(spans.len(), 2, "{spans:?}");
    let span = of_id(&spans, "both").unwrap();
    assert_eq!(span.name, "tools/call greet");
    assert_eq!((span.trace_id.as_slice(), span.parent_span_id.as_slice()), (&[0xbb; 16][..], &[0x22; 8][..]));
    assert_eq!((span.kind, span.trace_state.as_str()), (2, "v=1"));
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    let said = attributes(&span.attributes);
    for (key, value) in [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.tool.name", "greet"),
        ("gen_ai.operation.name", "execute_tool"),
        ("mcp.protocol.version", "2026-07-28"),
        ("network.transport", "tcp"),
        ("network.protocol.name", "http"),
    ] {
        assert_eq!(said[key], value, "{key}");
    }
    assert_eq!(of_id(&spans, "header").unwrap().trace_id, [0xaa; 16]);
    let told = collector.wait("a message", |told| (told.line == "POST /v1/traces").then(|| told.clone()));
    assert_eq!(told.header("api-key"), Some("key-of-collector"));
    assert_eq!(told.header("content-type"), Some("application/x-protobuf"));
    assert!(!served.log().contains("key-of-collector"));
    // The request log has it from the same place, sampled or not.
    served.logged(STOPPED);
    let traces = ["both", "header", "unsampled"].map(|id| logged_trace(&served, id));
    assert_eq!(traces, ["b", "a", "c"].map(|digit| Some(digit.repeat(32))));
    assert_eq!(logged_trace(&served, "chance"), None);
}

/// The trace that the request log names for the answer to a request.
fn logged_trace(served: &Served, id: &str) -> Option<String> {
    let log = served.log();
    let mut events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let answer = events.find(|event| event["event_type"] == "response" && event["jsonrpc_id"] == id);
    answer.unwrap_or_else(|| panic!("{id} is not in\n{log}"))["trace_id"].as_str().map(str::to_owned)
}

#[test]
fn the_standard_variable_is_enough_for_metrics_and_traces() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start(Manner::Takes);
    let url = collector.url();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ("OTEL_SERVICE_NAME", "named"),
        ("MCP_LOGGING_REQUESTS_MODE", "All"),
    ];
    let mut served = start(home.path(), &json!({}), &environment);
    call(&served, "1", &[], &[]);
    served.signal("TERM");
    assert_eq!(served.exit_code(), 0);
    let spans = spans(&collector);
    assert_eq!(spans.len(), 1);
    served.logged(STOPPED);
    let trace: String = spans[0].trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        logged_trace(&served, "1"),
        Some(trace),
        "a trace that begins here is in the request log, too"
    );
    let all: Vec<_> = collector.all().into_iter().filter(|told| told.line == "POST /v1/metrics").collect();
    let last = ExportMetricsServiceRequest::decode(&*all.last().unwrap().body).unwrap();
    let resource = &last.resource_metrics[0];
    assert_eq!(attributes(&resource.resource.as_ref().unwrap().attributes)["service.name"], "named");
    let metrics: BTreeMap<String, Metric> = resource.scope_metrics[0]
        .metrics
        .iter()
        .map(|metric| (metric.name.clone(), metric.clone()))
        .collect();
    let duration = &metrics["mcp.server.operation.duration"];
    assert_eq!(duration.unit, "s");
    let Some(Data::Histogram(histogram)) = &duration.data else { panic!("{duration:?}") };
    let calls = histogram.data_points.iter().find(|point| {
        attributes(&point.attributes).get("mcp.method.name").is_some_and(|name| name == "tools/call")
    });
    let calls = calls.unwrap();
    assert_eq!((calls.count, calls.bucket_counts.iter().sum::<u64>()), (1, 1));
    assert_eq!(calls.bucket_counts.len(), calls.explicit_bounds.len() + 1);
    let Some(Data::Sum(requests)) = &metrics["mcp_server_requests"].data else { panic!("not a sum") };
    assert!(requests.is_monotonic);
    assert!(matches!(metrics["process_resident_memory_bytes"].data, Some(Data::Gauge(_))));
}

#[test]
fn a_secret_that_cannot_be_read_fails_the_start_and_names_it() {
    let home = tempfile::tempdir().unwrap();
    let config = json!({"auth": {"mode": "Disabled"}, "metrics": {"otlp": {
        "endpoint": "http://127.0.0.1:1", "headers": [{"name": "api-key", "value": {"file": "gone"}}],
    }}});
    fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    let arguments =
        ["serve", "--config", "config.json", "--address", "127.0.0.1:0", "--admin-address", "127.0.0.2:0"];
    let output = crate::process::run(home.path(), &arguments);
    assert_eq!(output.status.code(), Some(4));
    let told = crate::process::stderr(&output);
    assert!(
        told.contains("cannot start: telemetry") && told.contains("api-key") && told.contains("gone"),
        "{told}"
    );
}
