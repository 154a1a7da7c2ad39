//! The log: JSON lines on standard output for machines, compact text on standard error for people at a terminal. Where
//! standard output speaks MCP, everything goes to standard error.

use std::io::{self, IsTerminal as _};

use mcp_server_config::{LogFormat, LogLevel};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

/// Changes the level of the running log.
#[derive(Clone, Debug)]
pub struct LogControl(reload::Handle<Targets, Registry>);

/// Starts the log. Once in a process.
///
/// # Errors
/// Where there is a log already.
pub fn start(
    level: LogLevel,
    format: Option<LogFormat>,
    stdout_is_taken: bool,
) -> Result<LogControl, LogError> {
    let text_here = io::stderr().is_terminal();
    let format = format.unwrap_or(if text_here { LogFormat::Text } else { LogFormat::Json });
    let (filter, handle) = reload::Layer::new(targets(level));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => registry
            .with(fmt::layer().compact().with_ansi(text_here).with_target(false).with_writer(io::stderr))
            .try_init(),
        LogFormat::Json if stdout_is_taken => registry.with(json().with_writer(io::stderr)).try_init(),
        LogFormat::Json => registry.with(json().with_writer(io::stdout)).try_init(),
    };
    started.map_err(|source| LogError(Box::new(source)))?;
    Ok(LogControl(handle))
}

/// A log could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the log")]
pub struct LogError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl LogControl {
    /// Changes the level from the next event on.
    pub fn set_level(&self, level: LogLevel) {
        if let Err(error) = self.0.reload(targets(level)) {
            tracing::warn!(%error, "cannot change the log level");
        }
    }
}

fn json<S>() -> fmt::Layer<S, fmt::format::JsonFields, fmt::format::Format<fmt::format::Json>> {
    fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false)
}

/// Our own events at the level that was asked for; what libraries say only from warnings on.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Trace => Level::TRACE,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    let own = LevelFilter::from_level(level);
    Targets::new().with_default(own.min(LevelFilter::WARN)).with_target("mcp_server", own)
}
