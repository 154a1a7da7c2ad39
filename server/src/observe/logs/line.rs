//! One event, and the shapes it takes: a JSON object, a text for a terminal, a text in Python's %-style.

use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use mcp_server_config::text_format::{Attribute, Piece, Spec};
use mcp_server_config::{LevelNames, LogLevel, TextFormat};

pub(crate) use crate::observe::logs::clock::Moment;
use crate::observe::logs::escape::{json, plain, word};

/// How lines look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json(LevelNames),
    /// For people; in colours, where the terminal has them.
    Plain {
        colours: bool,
    },
    Python(Arc<TextFormat>),
}

/// Where an event was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) level: LogLevel,
    /// As `tracing` calls it, with two colons between modules.
    pub(crate) target: &'a str,
    pub(crate) module: &'a str,
    pub(crate) file: &'a str,
    /// The function around it, or what Python says where there is none.
    pub(crate) function: &'a str,
    pub(crate) line: u32,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    /// What is JSON already: a number, true or false, or a document.
    Raw(String),
}

/// An event with all that is said of it.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) moment: Moment,
    pub(crate) place: Place<'a>,
    pub(crate) message: String,
    pub(crate) fields: Vec<(&'a str, Value)>,
}

/// Something that can be written as a line.
pub(crate) trait Render {
    /// Writes the line, without its line feed.
    fn render(&self, format: &Format, out: &mut String);
}

impl Render for Line<'_> {
    fn render(&self, format: &Format, out: &mut String) {
        match format {
            Format::Json(names) => self.json(*names, out),
            Format::Plain { colours } => self.plain(*colours, out),
            Format::Python(format) => self.python(format, out),
        }
    }
}

/// Fields of every line, which an event's own must not repeat.
const RESERVED: [&str; 7] = ["timestamp", "level", "logger", "message", "module", "function", "line"];

impl Line<'_> {
    fn json(&self, names: LevelNames, out: &mut String) {
        out.push_str(r#"{"timestamp":""#);
        self.moment.write_rfc3339(out);
        out.push_str(r#"","level":""#);
        out.push_str(name_of(self.place.level, names));
        out.push_str(r#"","logger":""#);
        write_logger(self.place.target, out);
        out.push_str(r#"","message":"#);
        json(&self.message, out);
        out.push_str(r#","module":"#);
        json(last(self.place.module, "::"), out);
        out.push_str(r#","function":"#);
        json(self.place.function, out);
        // Writing to a string cannot fail.
        let _written = write!(out, r#","line":{}"#, self.place.line);
        for (name, value) in &self.fields {
            out.push(',');
            if RESERVED.contains(name) {
                json(&format!("field_{name}"), out);
            } else {
                json(name, out);
            }
            out.push(':');
            match value {
                Value::Text(text) => json(text, out),
                Value::Raw(raw) => out.push_str(raw),
            }
        }
        out.push('}');
    }

    fn plain(&self, colours: bool, out: &mut String) {
        let (dim, colour, end) = match (colours, self.place.level) {
            (false, _) => ("", "", ""),
            (true, LogLevel::Error) => ("\x1b[2m", "\x1b[31m", "\x1b[0m"),
            (true, LogLevel::Warn) => ("\x1b[2m", "\x1b[33m", "\x1b[0m"),
            (true, LogLevel::Info) => ("\x1b[2m", "\x1b[32m", "\x1b[0m"),
            (true, LogLevel::Debug | LogLevel::Trace) => ("\x1b[2m", "\x1b[34m", "\x1b[0m"),
        };
        out.push_str(dim);
        self.moment.write_rfc3339(out);
        out.push_str(end);
        let _written = write!(out, " {colour}{:>5}{end} ", level_name(self.place.level));
        self.message_and_fields(dim, end, out);
    }

    fn message_and_fields(&self, dim: &str, end: &str, out: &mut String) {
        plain(&self.message, out);
        for (name, value) in &self.fields {
            out.push(' ');
            out.push_str(dim);
            plain(name, out);
            out.push('=');
            out.push_str(end);
            match value {
                Value::Text(text) => word(text, out),
                Value::Raw(raw) => plain(raw, out),
            }
        }
    }

    fn python(&self, format: &TextFormat, out: &mut String) {
        let mut text = String::new();
        for piece in &format.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field { attribute, spec } => {
                    text.clear();
                    self.attribute(*attribute, *spec, &mut text, out);
                }
            }
        }
    }

    fn attribute(&self, attribute: Attribute, spec: Spec, text: &mut String, out: &mut String) {
        use Attribute as A;
        let place = &self.place;
        match attribute {
            A::Created => return spec.number(self.moment.timestamp(), out),
            A::LevelNo => return spec.number(level_number(place.level), out),
            A::LineNo => return spec.number(place.line.into(), out),
            A::Msecs => return spec.number(self.moment.millis(), out),
            A::Process => return spec.number(std::process::id().into(), out),
            A::RelativeCreated => {
                let since = self.moment.timestamp() - STARTED.timestamp();
                return spec.number((since * 1000.0).max(0.0), out);
            }
            #[expect(clippy::cast_precision_loss, reason = "a process does not start 2^53 threads")]
            A::Thread => return spec.number(thread_number() as f64, out),
            A::Asctime => self.moment.write_asctime(text),
            A::Filename => text.push_str(last(place.file, "/")),
            A::FuncName => text.push_str(place.function),
            A::LevelName => text.push_str(python_level(place.level)),
            A::Message => self.message_and_fields("", "", text),
            A::Module => text.push_str(last(place.module, "::")),
            A::Name => write_logger(place.target, text),
            A::PathName => text.push_str(place.file),
            A::ProcessName => text.push_str("MainProcess"),
            A::ThreadName => text.push_str(std::thread::current().name().unwrap_or("thread")),
        }
        spec.text(text, out);
    }
}

static STARTED: LazyLock<Moment> = LazyLock::new(Moment::now);

/// Notes when the process began to log.
pub(super) fn note_start() {
    LazyLock::force(&STARTED);
}

thread_local! {
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

/// A number for each thread, from 1 on.
fn thread_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    if THREAD.get() == 0 {
        THREAD.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
    }
    THREAD.get()
}

/// Python's name for a target: dots between modules.
fn write_logger(target: &str, out: &mut String) {
    for (index, part) in target.split("::").enumerate() {
        if index > 0 {
            out.push('.');
        }
        // Names of modules; whatever else somebody made of them must not break the line.
        out.extend(part.chars().map(|c| if c.is_control() || c == '"' || c == '\\' { '_' } else { c }));
    }
}

fn last<'a>(text: &'a str, between: &str) -> &'a str {
    text.rsplit(between).next().unwrap_or(text)
}

/// The name of a level in a JSON line.
pub(crate) const fn name_of(level: LogLevel, names: LevelNames) -> &'static str {
    match names {
        LevelNames::Short => level_name(level),
        LevelNames::Python => python_level(level),
    }
}

const fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "TRACE",
        LogLevel::Debug => "DEBUG",
        LogLevel::Info => "INFO",
        LogLevel::Warn => "WARN",
        LogLevel::Error => "ERROR",
    }
}

const fn python_level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Warn => "WARNING",
        other => level_name(other),
    }
}

const fn level_number(level: LogLevel) -> f64 {
    match level {
        LogLevel::Trace => 5.0,
        LogLevel::Debug => 10.0,
        LogLevel::Info => 20.0,
        LogLevel::Warn => 30.0,
        LogLevel::Error => 40.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: LogLevel, message: &str, fields: Vec<(&'static str, Value)>) -> Line<'static> {
        let place = Place {
            level,
            target: "mcp_server::reload",
            module: "mcp_server::reload",
            file: "server/src/reload.rs",
            function: "run",
            line: 42,
        };
        Line { moment: Moment::now(), place, message: message.to_owned(), fields }
    }

    fn python(format: &str, line: &Line<'_>) -> String {
        let mut out = String::new();
        line.render(&Format::Python(Arc::new(TextFormat::parse(format).unwrap())), &mut out);
        out
    }

    #[test]
    fn json_has_the_fields_of_every_line_and_its_own() {
        let fields = vec![
            ("file", Value::Text("a \"b\"\n".into())),
            ("tools", Value::Raw("3".into())),
            ("level", Value::Text("mine".into())),
        ];
        let mut out = String::new();
        line(LogLevel::Warn, "it is\nso", fields).render(&Format::Json(LevelNames::Short), &mut out);
        let read: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(!out.contains('\n'));
        for (key, expected) in [
            ("level", serde_json::json!("WARN")),
            ("logger", "mcp_server.reload".into()),
            ("message", "it is\nso".into()),
            ("module", "reload".into()),
            ("function", "run".into()),
            ("line", 42.into()),
            ("file", "a \"b\"\n".into()),
            ("tools", 3.into()),
            ("field_level", "mine".into()),
        ] {
            assert_eq!(read[key], expected, "{key}");
        }
        assert!(read["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn levels_have_python_s_names_where_that_is_asked_for() {
        for (level, short, python) in [
            (LogLevel::Trace, "TRACE", "TRACE"),
            (LogLevel::Debug, "DEBUG", "DEBUG"),
            (LogLevel::Info, "INFO", "INFO"),
            (LogLevel::Warn, "WARN", "WARNING"),
            (LogLevel::Error, "ERROR", "ERROR"),
        ] {
            for (names, expected) in [(LevelNames::Short, short), (LevelNames::Python, python)] {
                let mut out = String::new();
                line(level, "m", Vec::new()).render(&Format::Json(names), &mut out);
                let read: serde_json::Value = serde_json::from_str(&out).unwrap();
                assert_eq!(read["level"], expected);
            }
        }
    }

    #[test]
    fn python_s_placeholders() {
        let line = line(LogLevel::Warn, "it is so", vec![("who", Value::Text("a b".into()))]);
        let process = std::process::id().to_string();
        for (format, expected) in [
            (
                "%(name)s - %(levelname)-8s - %(message)s",
                "mcp_server.reload - WARNING  - it is so who=\"a b\"",
            ),
            ("%(levelno)s %(levelname)s", "30 WARNING"),
            ("%(module)s:%(lineno)d %(lineno)5d|%(lineno)-5d|", "reload:42    42|42   |"),
            ("%(filename)s %(pathname)s", "reload.rs server/src/reload.rs"),
            ("%(funcName)s %(processName)s", "run MainProcess"),
            ("%(process)d", &process),
            ("100%%", "100%"),
        ] {
            assert_eq!(python(format, &line), expected);
        }
        let asctime = python("%(asctime)s", &line);
        assert_eq!(asctime.len(), "2026-11-24 23:39:00,123".len(), "{asctime}");
        assert_eq!(asctime.split(',').nth(1).unwrap(), python("%(msecs)03d", &line));
        assert!(python("%(thread)d", &line).parse::<u64>().unwrap() > 0);
        assert!(python("%(threadName)s", &line).contains("python_s_placeholders"));
        assert!(python("%(created)f", &line).parse::<f64>().unwrap() > 1e9);
        assert!(python("%(relativeCreated)d", &line).parse::<u64>().is_ok());
    }

    #[test]
    fn nobody_can_forge_a_line_of_text() {
        let forged = "x\n2026-01-01 ERROR forged\r\x1b[2J";
        let line = line(LogLevel::Info, forged, vec![("argument", Value::Text(forged.into()))]);
        for format in ["%(message)s", "%(asctime)s %(levelname)s %(message)s"] {
            let shown = python(format, &line);
            assert!(!shown.contains(['\n', '\r', '\x1b']), "{shown}");
        }
        let mut out = String::new();
        line.render(&Format::Plain { colours: false }, &mut out);
        assert!(!out.contains(['\n', '\r', '\x1b']), "{out}");
    }
}
