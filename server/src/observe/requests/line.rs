//! How a request looks in the log.

use std::fmt::Write as _;
use std::time::Duration;

use mcp_server_config::{LevelNames, LogLevel};

use crate::observe::logs::escape::json;
use crate::observe::logs::line::{Format, Line, Moment, Place, Render, Value, name_of};
use crate::observe::requests::{Entry, Known, UNKNOWN};

/// What a line tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Request,
    Response { took: Duration },
    Error { took: Duration, outcome: &'static str },
}

/// A line of the request log.
pub(super) struct RequestLine<'a> {
    entry: &'a Entry,
    kind: Kind,
    known: Known<'a>,
    level: LogLevel,
    /// The function that writes it, and its line.
    at: (&'static str, u32),
    moment: Moment,
}

pub(super) const TARGET: &str = "mcp_server::requests";
const FILE: &str = "server/src/observe/requests.rs";

impl<'a> RequestLine<'a> {
    pub(super) fn new(
        entry: &'a Entry,
        kind: Kind,
        known: Known<'a>,
        level: LogLevel,
        at: (&'static str, u32),
    ) -> Self {
        Self { entry, kind, known, level, at, moment: Moment::now() }
    }

    fn event(&self) -> &'static str {
        match self.kind {
            Kind::Request => "request",
            Kind::Response { .. } => "response",
            Kind::Error { .. } => "error",
        }
    }

    /// Says what happened, in words.
    fn write_message(&self, out: &mut String) {
        match self.method() {
            Some(method) => {
                out.push_str(self.event());
                out.push(' ');
                out.push_str(method);
            }
            // Most refusals come before the message is read.
            None if self.entry.refusal.is_some() => out.push_str("request refused"),
            None => out.push_str("request failed before its message was read"),
        }
    }

    /// The method of the message, once it was read.
    fn method(&self) -> Option<&'static str> {
        Some(self.known.method).filter(|method| *method != UNKNOWN)
    }

    fn era(&self) -> Option<&'static str> {
        Some(self.known.era).filter(|era| *era != UNKNOWN)
    }

    fn tool(&self) -> &str {
        self.known.tool.unwrap_or(&self.entry.name)
    }

    fn json(&self, names: LevelNames, out: &mut String) {
        let entry = self.entry;
        out.push_str(r#"{"timestamp":""#);
        self.moment.write_rfc3339(out);
        out.push_str(r#"","level":""#);
        out.push_str(name_of(self.level, names));
        out.push_str(r#"","logger":"mcp_server.requests","message":""#);
        self.write_message(out);
        // Writing to a string cannot fail.
        let (function, line) = self.at;
        let _written =
            write!(out, r#"","module":"requests","function":"{function}","line":{line},"event_type":""#);
        out.push_str(self.event());
        out.push_str(r#"","request_id":""#);
        entry.write_own_id(out);
        out.push('"');
        if !entry.id.is_empty() {
            out.push_str(r#","jsonrpc_id":"#);
            out.push_str(&entry.id);
        }
        if let Some(trace) = entry.trace {
            let _written = write!(out, r#","trace_id":"{trace:032x}""#);
        }
        if let Some(method) = self.method() {
            out.push_str(r#","method":""#);
            out.push_str(method);
            out.push('"');
        }
        let tool = self.tool();
        if !tool.is_empty() {
            member("tool_name", tool, out);
        }
        if let Some(era) = self.era() {
            out.push_str(r#","era":""#);
            out.push_str(era);
            out.push('"');
        }
        if let Some(principal) = &entry.principal {
            member("principal", &principal.id, out);
        }
        if let Some(address) = entry.address {
            let _written = write!(out, r#","client":"{address}""#);
        }
        match self.kind {
            Kind::Request => {}
            Kind::Response { took } => {
                out.push_str(r#","success":true,"response_time_ms":"#);
                write_millis(took, out);
            }
            Kind::Error { took, outcome } => {
                out.push_str(r#","success":false,"response_time_ms":"#);
                write_millis(took, out);
                out.push_str(r#","error_type":""#);
                out.push_str(outcome);
                out.push('"');
                if let Some(refusal) = &entry.refusal {
                    if refusal.reason != outcome {
                        member("reason", refusal.reason, out);
                    }
                    if let Some(left_out @ 1..) = refusal.left_out {
                        let _written = write!(out, r#","left_out":{left_out}"#);
                    }
                }
                if !entry.error.is_empty() {
                    member("error", &entry.error, out);
                    // What the classic server called it.
                    member("error_message", &entry.error, out);
                }
                if let Some(exception) = &entry.exception {
                    member("exception", exception, out);
                }
            }
        }
        if let Some(arguments) = self.arguments() {
            out.push_str(r#","arguments":"#);
            out.push_str(arguments);
        }
        out.push('}');
    }

    /// Said once of a request: as it comes, or else as it fails.
    fn arguments(&self) -> Option<&str> {
        match self.kind {
            Kind::Request => self.entry.arguments.as_deref(),
            Kind::Error { .. } if !self.entry.asked => self.entry.arguments.as_deref(),
            Kind::Response { .. } | Kind::Error { .. } => None,
        }
    }

    /// The same as any event, for the other formats.
    fn line(&self) -> Line<'static> {
        let entry = self.entry;
        let text = |text: &str| Value::Text(text.to_owned());
        let mut own_id = String::new();
        entry.write_own_id(&mut own_id);
        let mut fields = vec![("request_id", Value::Text(own_id))];
        if !entry.id.is_empty() {
            fields.push(("jsonrpc_id", Value::Raw(entry.id.clone())));
        }
        fields.extend(entry.trace.map(|trace| ("trace_id", Value::Text(format!("{trace:032x}")))));
        let tool = self.tool();
        if !tool.is_empty() {
            fields.push(("tool_name", text(tool)));
        }
        fields.extend(self.era().map(|era| ("era", text(era))));
        fields.extend(entry.principal.as_ref().map(|principal| ("principal", text(&principal.id))));
        fields.extend(entry.address.map(|address| ("client", text(&address.to_string()))));
        let millis = |took| {
            let mut millis = String::new();
            write_millis(took, &mut millis);
            ("response_time_ms", Value::Raw(millis))
        };
        match self.kind {
            Kind::Request => {}
            Kind::Response { took } => {
                fields.extend([("success", Value::Raw("true".to_owned())), millis(took)])
            }
            Kind::Error { took, outcome } => {
                fields.extend([
                    ("success", Value::Raw("false".to_owned())),
                    millis(took),
                    ("error_type", text(outcome)),
                ]);
                if let Some(refusal) = &entry.refusal {
                    let reason = Some(refusal.reason).filter(|reason| *reason != outcome);
                    fields.extend(reason.map(|reason| ("reason", text(reason))));
                    let left_out = refusal.left_out.filter(|count| *count > 0);
                    fields.extend(left_out.map(|count| ("left_out", Value::Raw(count.to_string()))));
                }
                fields.extend((!entry.error.is_empty()).then(|| ("error", text(&entry.error))));
                fields.extend(entry.exception.as_deref().map(|exception| ("exception", text(exception))));
            }
        }
        fields.extend(self.arguments().map(|arguments| ("arguments", Value::Raw(arguments.to_owned()))));
        let (function, line) = self.at;
        let place = Place { level: self.level, target: TARGET, module: TARGET, file: FILE, function, line };
        let mut message = String::new();
        self.write_message(&mut message);
        Line { moment: self.moment, place, message, fields }
    }

    /// Tells it as an event of `tracing`.
    pub(super) fn tell(&self) {
        let mut text = String::new();
        let line = self.line();
        for (name, value) in &line.fields {
            let (Value::Text(value) | Value::Raw(value)) = value;
            let _written = write!(text, "{}{name}={value}", if text.is_empty() { "" } else { " " });
        }
        match self.level {
            LogLevel::Error => tracing::error!(target: TARGET, request = text, "{}", line.message),
            LogLevel::Warn => tracing::warn!(target: TARGET, request = text, "{}", line.message),
            _ => tracing::info!(target: TARGET, request = text, "{}", line.message),
        }
    }
}

impl Render for RequestLine<'_> {
    fn render(&self, format: &Format, out: &mut String) {
        match format {
            Format::Json(names) => self.json(*names, out),
            Format::Plain { .. } | Format::Python(_) => self.line().render(format, out),
        }
    }
}

fn member(name: &str, value: &str, out: &mut String) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    json(value, out);
}

/// Milliseconds with three digits behind the point.
fn write_millis(took: Duration, out: &mut String) {
    let micros = took.as_micros();
    // Writing to a string cannot fail.
    let _written = write!(out, "{}.{:03}", micros / 1000, micros % 1000);
}
