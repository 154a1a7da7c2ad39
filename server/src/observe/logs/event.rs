//! From an event of `tracing` to a line.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use mcp_server_config::LogLevel;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::observe::logs::clock::Moment;
use crate::observe::logs::function;
use crate::observe::logs::hub::Hub;
use crate::observe::logs::line::{Line, Place, Value};
use crate::observe::scrub;

/// Hands events to the sinks.
#[derive(Debug)]
pub(super) struct ToSinks(pub(super) Arc<Hub>);

impl<S: Subscriber> Layer<S> for ToSinks {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (file, line) = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
        // A file of another crate may be called as one of ours.
        let is_own = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
        let function = if is_own { function::at(file, line) } else { function::UNKNOWN };
        self.0.publish(&Line {
            moment: Moment::now(),
            place: Place {
                level: level(*metadata.level()),
                target: metadata.target(),
                module: metadata.module_path().unwrap_or_default(),
                file,
                function,
                line,
            },
            message: fields.message,
            fields: fields.fields,
        });
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::TRACE => LogLevel::Trace,
        Level::DEBUG => LogLevel::Debug,
        Level::INFO => LogLevel::Info,
        Level::WARN => LogLevel::Warn,
        Level::ERROR => LogLevel::Error,
    }
}

/// What is said of an event, without secrets.
#[derive(Default)]
struct Fields {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Fields {
    fn text(&mut self, field: &Field, text: &str) {
        let text = scrub::clean(text).into_owned();
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push((field.name(), Value::Text(text)));
        }
    }

    fn raw(&mut self, field: &Field, value: impl fmt::Display) {
        if field.name() == "message" {
            self.message = value.to_string();
        } else {
            self.fields.push((field.name(), Value::Raw(value.to_string())));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.text(field, &text);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.raw(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.raw(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.raw(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.raw(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.raw(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.raw(field, value);
        } else {
            // JSON has no infinity.
            self.text(field, &value.to_string());
        }
    }
}
