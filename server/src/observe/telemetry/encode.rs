//! Metrics and spans in the words of OpenTelemetry's protocol. What is counted is counted once, in the registry that
//! Prometheus reads: what is sent is made of that, and a request pays for nothing twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric::Data, number_data_point::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, span::SpanKind, status::StatusCode,
};
use prometheus::proto::{MetricFamily, MetricType};

use crate::observe::trace::Finished;

/// Names of OpenTelemetry's conventions for what Prometheus has other names for.
const NAMES: [(&str, &str); 2] = [
    ("mcp_server_request_duration_seconds", "mcp.server.operation.duration"),
    ("mcp_server_tool_duration_seconds", "mcp.server.tool.duration"),
];
const LABELS: [(&str, &str); 2] = [("method", "mcp.method.name"), ("tool", "gen_ai.tool.name")];

/// The metrics as they are now. `started` is when counting began.
#[must_use]
pub(super) fn metrics(
    families: &[MetricFamily],
    resource: &[(String, String)],
    started: SystemTime,
) -> ExportMetricsServiceRequest {
    let times = (nanos(started), nanos(SystemTime::now()));
    let metrics = families.iter().filter_map(|family| metric(family, times)).collect();
    let scope_metrics = ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(described(resource)),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        }],
    }
}

fn metric(family: &MetricFamily, times: (u64, u64)) -> Option<Metric> {
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match family.get_field_type() {
        MetricType::COUNTER => Data::Sum(Sum {
            data_points: numbers(family, times, |metric| metric.get_counter().get_value()),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        MetricType::GAUGE => Data::Gauge(Gauge {
            data_points: numbers(family, times, |metric| metric.get_gauge().get_value()),
        }),
        MetricType::HISTOGRAM => Data::Histogram(Histogram {
            data_points: family.get_metric().iter().map(|metric| histogram(metric, times)).collect(),
            aggregation_temporality: cumulative,
        }),
        // There are none.
        _ => return None,
    };
    let name = family.name();
    let known = NAMES.iter().find(|(ours, _)| *ours == name).map(|(_, theirs)| *theirs);
    // The suffix says in Prometheus what the kind says here.
    let plain = name.strip_suffix("_total").unwrap_or(name);
    let unit = match plain {
        _ if plain.ends_with("_seconds") => "s",
        _ if plain.ends_with("_bytes") => "By",
        _ => "1",
    };
    Some(Metric {
        name: known.unwrap_or(plain).to_owned(),
        description: family.help().to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

fn numbers(
    family: &MetricFamily,
    (start, now): (u64, u64),
    value: impl Fn(&prometheus::proto::Metric) -> f64,
) -> Vec<NumberDataPoint> {
    let point = |metric| NumberDataPoint {
        attributes: labels(metric),
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(Value::AsDouble(value(metric))),
        ..NumberDataPoint::default()
    };
    family.get_metric().iter().map(point).collect()
}

fn histogram(metric: &prometheus::proto::Metric, (start, now): (u64, u64)) -> HistogramDataPoint {
    let histogram = metric.get_histogram();
    let finite = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
    let (mut bounds, mut counts, mut below) = (Vec::new(), Vec::new(), 0);
    for bucket in finite {
        bounds.push(bucket.upper_bound());
        counts.push(bucket.cumulative_count().saturating_sub(below));
        below = bucket.cumulative_count();
    }
    counts.push(histogram.get_sample_count().saturating_sub(below));
    HistogramDataPoint {
        attributes: labels(metric),
        start_time_unix_nano: start,
        time_unix_nano: now,
        count: histogram.get_sample_count(),
        sum: Some(histogram.get_sample_sum()),
        bucket_counts: counts,
        explicit_bounds: bounds,
        ..HistogramDataPoint::default()
    }
}

/// The labels of a series; one without a value says nothing and is left out.
fn labels(metric: &prometheus::proto::Metric) -> Vec<KeyValue> {
    let said = metric.get_label().iter().filter(|label| !label.value().is_empty());
    said.map(|label| {
        let known = LABELS.iter().find(|(ours, _)| *ours == label.name()).map(|(_, theirs)| *theirs);
        text(known.unwrap_or(label.name()), label.value())
    })
    .collect()
}

/// Spans that have ended.
#[must_use]
pub(super) fn spans(finished: &[Finished], resource: &[(String, String)]) -> ExportTraceServiceRequest {
    let spans = finished.iter().map(span).collect();
    let scope_spans = ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(described(resource)),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        }],
    }
}

/// One request, in the words of the conventions for MCP.
fn span(finished: &Finished) -> Span {
    let Finished { span, method, tool, version, outcome, code, took } = finished;
    let mut attributes = vec![text("mcp.method.name", method), text("jsonrpc.request.id", &span.request_id)];
    if !version.is_empty() {
        attributes.push(text("mcp.protocol.version", version));
    }
    if let Some(tool) = tool {
        attributes.push(text("gen_ai.operation.name", "execute_tool"));
        attributes.push(text("gen_ai.tool.name", tool));
    }
    let transport = if span.http { "tcp" } else { "pipe" };
    attributes.push(text("network.transport", transport));
    if span.http {
        attributes.push(text("network.protocol.name", "http"));
    }
    let mut status = Status::default();
    if *outcome != "ok" {
        attributes.push(text("error.type", outcome));
        status = Status { code: StatusCode::Error.into(), message: String::new() };
    }
    if let Some(code) = code {
        attributes.push(text("rpc.response.status_code", &code.to_string()));
    }
    let end = span.started.checked_add(*took).unwrap_or(span.started);
    Span {
        trace_id: span.context.trace_id.to_be_bytes().to_vec(),
        span_id: span.context.span_id.to_be_bytes().to_vec(),
        parent_span_id: span.parent.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
        trace_state: span.state.to_string(),
        flags: 1,
        name: tool.as_ref().map_or_else(|| (*method).to_owned(), |tool| format!("{method} {tool}")),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: nanos(span.started),
        end_time_unix_nano: nanos(end),
        attributes,
        status: Some(status),
        ..Span::default()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn described(resource: &[(String, String)]) -> Resource {
    let attributes = resource.iter().map(|(key, value)| text(key, value)).collect();
    Resource { attributes, ..Resource::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
