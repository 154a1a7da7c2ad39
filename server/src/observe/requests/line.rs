//! How a request looks in the log.

use std::fmt::Write as _;
use std::time::Duration;

use mcp_server_config::{LevelNames, LogLevel};

use crate::observe::logs::escape::json;
use crate::observe::logs::line::{Format, Line, Moment, Place, Render, Value, name_of};
use crate::observe::requests::{Entry, Known};

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

const TARGET: &str = "mcp_server::requests";
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

    fn tool(&self) -> &str {
        self.known.tool.unwrap_or(&self.entry.name)
    }

    fn json(&self, names: LevelNames, out: &mut String) {
        let (entry, known) = (self.entry, self.known);
        out.push_str(r#"{"timestamp":""#);
        self.moment.write_rfc3339(out);
        out.push_str(r#"","level":""#);
        out.push_str(name_of(self.level, names));
        out.push_str(r#"","logger":"mcp_server.requests","message":""#);
        out.push_str(self.event());
        out.push(' ');
        out.push_str(known.method);
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
        out.push_str(r#","method":""#);
        out.push_str(known.method);
        out.push('"');
        let tool = self.tool();
        if !tool.is_empty() {
            member("tool_name", tool, out);
        }
        out.push_str(r#","era":""#);
        out.push_str(known.era);
        out.push('"');
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
        let (entry, known) = (self.entry, self.known);
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
        fields.push(("era", text(known.era)));
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
                fields.extend((!entry.error.is_empty()).then(|| ("error", text(&entry.error))));
                fields.extend(entry.exception.as_deref().map(|exception| ("exception", text(exception))));
            }
        }
        fields.extend(self.arguments().map(|arguments| ("arguments", Value::Raw(arguments.to_owned()))));
        let (function, line) = self.at;
        let place = Place { level: self.level, target: TARGET, module: TARGET, file: FILE, function, line };
        let message = format!("{} {}", self.event(), known.method);
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
