//! What is logged, and where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, Path, TextFormat, Violation, is_default};

/// What is logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// The least severe events that are logged: Trace, Debug, Info, Warn or Error. Default: Info.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
    /// JSON (one object a line) or Text. Default: JSON, or Text on a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<LogFormat>,
    /// How a JSON line names a warning: Short is WARN, Python is WARNING as in Python's logging. Default: Short, or
    /// Python where a file has a classic key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_names: Option<LevelNames>,
    /// Which requests leave a line in the log, and what of them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requests: RequestLogging,
}

impl Logging {
    /// The level in force.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        self.level.unwrap_or_default()
    }

    /// The names of levels in effect.
    #[must_use]
    pub fn level_names(&self) -> LevelNames {
        self.level_names.unwrap_or_default()
    }
}

/// Severity of a log event.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(inline)]
pub enum LogLevel {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// The name as `tracing` knows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A word that names no log level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a log level; the levels are Trace, Debug, Info, Warn, Error, and Python's NOTSET, WARNING, CRITICAL \
     and FATAL"
)]
pub struct UnknownLevel;

impl std::str::FromStr for LogLevel {
    type Err = UnknownLevel;

    /// Reads a name of ours or of Python's `logging` (NOTSET is Trace, WARNING is Warn, CRITICAL and FATAL are Error),
    /// in any case.
    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let known = crate::compat::LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
        match known.map(|(_, today)| *today) {
            Some("Trace") => Ok(Self::Trace),
            Some("Debug") => Ok(Self::Debug),
            Some("Info") => Ok(Self::Info),
            Some("Warn") => Ok(Self::Warn),
            Some("Error") => Ok(Self::Error),
            _ => Err(UnknownLevel),
        }
    }
}

/// How a JSON line names its level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum LevelNames {
    #[default]
    Short,
    Python,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum LogFormat {
    #[serde(rename = "JSON")]
    Json,
    Text,
}

/// Which requests leave a line in the log, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestLogging {
    /// Off, Errors (requests that failed) or All (each request as it comes and as it is answered). Default: Errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RequestLogMode>,
    /// What of a call's arguments is logged: Omit, Redact (masks what looks secret and cuts long texts) or Full (as
    /// they are, secrets of the caller included). Default: Omit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<LoggedArguments>,
    /// With All: one of how many requests is logged; those that fail always are. Default: 1. Example: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub sample_every: Option<u32>,
}

impl RequestLogging {
    /// The mode in force.
    #[must_use]
    pub fn mode(&self) -> RequestLogMode {
        self.mode.unwrap_or_default()
    }

    /// What of arguments is logged.
    #[must_use]
    pub fn arguments(&self) -> LoggedArguments {
        self.arguments.unwrap_or_default()
    }

    /// One of how many requests is logged.
    #[must_use]
    pub fn sample_every(&self) -> u32 {
        self.sample_every.unwrap_or(1).max(1)
    }
}

/// Which requests leave a line in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum RequestLogMode {
    Off,
    #[default]
    Errors,
    All,
}

/// What of the arguments of a call stands in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum LoggedArguments {
    #[default]
    Omit,
    Redact,
    Full,
}

/// What only a process is told of logging.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggingProcess {
    /// Format of Text lines, in Python's %-style. Example: %(asctime)s - %(name)s - %(levelname)s - %(message)s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_format: Option<String>,
    /// A file that is written besides the console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<LogFile>,
}

/// A log file that is rotated by size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogFile {
    /// Where everything is written; a relative path is taken from the working directory. Default: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Before a line that would make the file this large, the file becomes `path.1`, and so on. 0 means never.
    /// Default: 10Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<ByteSize>,
    /// How many older files are kept. 0 means that the file is never rotated and grows for ever. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<u32>,
    /// Where events of level Error are written once more. Default: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_path: Option<String>,
}

impl LogFile {
    /// The size in force.
    #[must_use]
    pub fn max_size(&self) -> ByteSize {
        self.max_size.unwrap_or(ByteSize::from_mib(10))
    }

    /// How many older files are kept.
    #[must_use]
    pub fn backups(&self) -> u32 {
        self.backups.unwrap_or(5)
    }
}

/// Renaming this many files at once is all that a rotation should have to do.
const MOST_BACKUPS: u32 = 1000;
const LONGEST_PATH: usize = 4096;

/// Checks what a service is told of logging.
pub(crate) fn validate_service(logging: &Logging) -> Vec<Violation> {
    let every = logging.requests.sample_every;
    let path = "logging.requests.sampleEvery";
    let fits = every.is_none_or(|every| (1..=1_000_000).contains(&every));
    violation(fits, path, || "must be from 1 to 1000000".to_owned()).into_iter().collect()
}

/// Checks what a process is told of logging.
pub(crate) fn validate_process(logging: &LoggingProcess) -> Vec<Violation> {
    let format = logging.text_format.as_deref().map(TextFormat::parse);
    let format = format.and_then(Result::err);
    let mut found: Vec<_> = format
        .map(|error| Violation { path: Path::of("logging.textFormat"), message: error.to_string() })
        .into_iter()
        .collect();
    let Some(file) = &logging.file else { return found };
    for (name, path) in [("logging.file.path", &file.path), ("logging.file.errorsPath", &file.errors_path)] {
        let fits = path
            .as_ref()
            .is_none_or(|path| (1..=LONGEST_PATH).contains(&path.len()) && !path.contains(['\0', '\n']));
        found.extend(violation(fits, name, || "is not the path of a file".to_owned()));
    }
    let same = file.path.is_some() && file.path == file.errors_path;
    found.extend(violation(!same, "logging.file.errorsPath", || {
        "is the same as logging.file.path; errors stand in that file in any case".to_owned()
    }));
    found.extend(violation(file.backups() <= MOST_BACKUPS, "logging.file.backups", || {
        format!("must be from 0 to {MOST_BACKUPS}")
    }));
    found
}

fn violation(holds: bool, path: &str, message: impl FnOnce() -> String) -> Option<Violation> {
    (!holds).then(|| Violation { path: Path::of(path), message: message() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let logging = LoggingProcess {
            text_format: Some("%(when)s".into()),
            file: Some(LogFile {
                path: Some(String::new()),
                errors_path: Some(String::new()),
                backups: Some(1001),
                ..LogFile::default()
            }),
        };
        let shown: Vec<_> = validate_process(&logging).iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 5, "{shown:#?}");
        for (line, path) in shown.iter().zip([
            "logging.textFormat: has a placeholder that does not exist",
            "logging.file.path",
            "logging.file.errorsPath",
            "logging.file.errorsPath",
            "logging.file.backups",
        ]) {
            assert!(line.starts_with(path), "{line}");
        }
        let service = Logging {
            requests: RequestLogging { sample_every: Some(0), ..RequestLogging::default() },
            ..Logging::default()
        };
        assert_eq!(validate_service(&service).len(), 1);
    }

    #[test]
    fn sizes_without_a_path_are_the_classic_way_to_have_no_file() {
        let file = LogFile { max_size: Some(ByteSize::from_mib(10)), backups: Some(5), ..LogFile::default() };
        assert_eq!(validate_process(&LoggingProcess { file: Some(file), ..LoggingProcess::default() }), []);
    }
}
