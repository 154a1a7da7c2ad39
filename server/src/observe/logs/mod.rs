//! The log: JSON lines on standard output for machines, text on standard error for people at a terminal, and files where
//! they are asked for. Where standard output speaks MCP, everything goes to standard error.
//!
//! An event is written as a line by the thread that tells it, into the queue of each [`hub`]'s sink, and out of there by
//! the sink's own thread. Nobody ever waits for a sink.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use mcp_server_config::{LogLevel, Logging, LoggingProcess};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::observe::logs::hub::Hub;
use crate::observe::logs::sinks::{Sinks, planned};

mod clock;
pub(crate) mod escape;
mod event;
pub(crate) mod function;
pub mod hub;
pub(crate) mod line;
mod queue;
mod rotate;
mod sinks;
mod target;
mod writer;

/// The log of this process, once it is started.
static HUB: OnceLock<Arc<Hub>> = OnceLock::new();

/// Changes the running log.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<Targets, Registry>,
    sinks: Arc<Sinks>,
    stdout_is_taken: bool,
}

/// A log could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("cannot start the log")]
    Taken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "cannot write the log file {} ({setting}); name one in a directory that this process may write to, such as \
         /tmp, or none",
        path.display()
    )]
    Open { setting: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot write the log to the console")]
    Console(#[source] io::Error),
    #[error("cannot start a thread for the log")]
    Thread(#[source] io::Error),
}

/// Starts the log. Once in a process.
///
/// # Errors
/// Where there is a log already, or a log file cannot be opened.
pub fn start(
    service: &Logging,
    process: &LoggingProcess,
    stdout_is_taken: bool,
) -> Result<LogControl, LogError> {
    line::note_start();
    let (filter, handle) = reload::Layer::new(targets(service.level()));
    let sinks = Arc::new(Sinks::default());
    let hub = sinks.hub().clone();
    let control = LogControl { filter: handle, sinks, stdout_is_taken };
    control.put(service, process)?;
    tracing_subscriber::registry()
        .with(filter)
        .with(event::ToSinks(hub.clone()))
        .try_init()
        .map_err(|error| LogError::Taken(Box::new(error)))?;
    std::panic::set_hook(Box::new(panicked));
    // Once in a process: the subscriber above could not have been set twice.
    let _first = HUB.set(hub);
    Ok(control)
}

/// The log of this process, where it was started by [`start`].
#[must_use]
pub fn hub() -> Option<&'static Arc<Hub>> {
    HUB.get()
}

/// Waits until everything that was logged is written, for as long as the sinks take any of it.
pub fn flush() {
    if let Some(hub) = HUB.get() {
        // Where it is not all written, there is nobody left to tell.
        let _written = hub.flush();
    }
}

impl LogControl {
    /// Puts other settings in force from the next event on. Nothing changes where a file cannot be opened.
    ///
    /// # Errors
    /// Where a log file cannot be opened.
    pub fn apply(&self, service: &Logging, process: &LoggingProcess) -> Result<(), LogError> {
        self.put(service, process)?;
        if let Err(error) = self.filter.reload(targets(service.level())) {
            tracing::warn!(%error, "cannot change the log level");
        }
        Ok(())
    }

    /// Opens the log files again. How many there are; nothing changes where one cannot be opened.
    ///
    /// # Errors
    /// Where a log file cannot be opened.
    pub fn reopen(&self) -> Result<usize, LogError> {
        self.sinks.reopen()
    }

    /// What is counted of the log, and how it is.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        self.sinks.hub()
    }

    fn put(&self, service: &Logging, process: &LoggingProcess) -> Result<(), LogError> {
        let terminal = io::stderr().is_terminal();
        self.sinks.put(planned(service, process, self.stdout_is_taken, terminal))?;
        self.sinks.hub().set_level(service.level());
        Ok(())
    }
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

thread_local! {
    /// Where the last panic of a thread was: who catches one is not told.
    static PANICKED_AT: Cell<Option<String>> = const { Cell::new(None) };
}

/// What happens in a panic is for the log, with everything else, and without secrets.
fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    let exception = described(location.as_deref(), panic.payload_as_str().unwrap_or("not a text"));
    tracing::error!(exception, "the program panicked");
    PANICKED_AT.set(location);
}

/// What is said of the panic of this thread that was just caught: where it was, if that is known, and its message.
pub(crate) fn exception(message: &str) -> String {
    described(PANICKED_AT.take().as_deref(), message)
}

fn described(location: Option<&str>, message: &str) -> String {
    match location {
        Some(location) => format!("panicked at {location}: {message}"),
        None => format!("panicked: {message}"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
