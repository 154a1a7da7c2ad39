//! Which sinks there are, and how they change while lines go through them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_server_config::{LogFile, LogFormat, LogLevel, Logging, LoggingProcess, TextFormat};

use crate::observe::logs::LogError;
use crate::observe::logs::hub::{Hub, Sink};
use crate::observe::logs::line::Format;
use crate::observe::logs::target::Wanted;
use crate::observe::logs::{queue, writer};

/// The sinks in force.
#[derive(Debug)]
pub(super) struct Sinks {
    hub: Arc<Hub>,
    /// What each of them writes to.
    places: Mutex<Vec<(&'static str, Wanted)>>,
}

/// A sink that is wanted: its name, where it writes, how its lines look, and the least severe events that it takes.
pub(super) type Planned = (&'static str, Wanted, Format, LogLevel);

impl Default for Sinks {
    fn default() -> Self {
        Self { hub: Arc::new(Hub::new()), places: Mutex::default() }
    }
}

impl Sinks {
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Puts other sinks in force. One that stays goes on in its thread, so that its lines keep their order. Nothing
    /// changes where one cannot be opened.
    pub(super) fn put(&self, wanted: Vec<Planned>) -> Result<(), LogError> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.hub.sinks();
        // First everything that can fail.
        let mut opened = Vec::new();
        for (name, place, ..) in &wanted {
            let same = places.iter().any(|(other, known)| other == name && known == place);
            let target =
                if same { None } else { Some(place.open().map_err(|error| failed(name, place, error))?) };
            opened.push(target);
        }
        let mut now = Vec::new();
        for ((name, _, format, least), target) in wanted.iter().zip(opened) {
            let running = before.iter().find(|sink| sink.name == *name);
            let queue = match (running, target) {
                (Some(running), target) => {
                    if let Some(target) = target {
                        running.queue.change(target);
                    }
                    running.queue.clone()
                }
                (None, target) => {
                    let queue = self.hub.queue(name, queue::CAPACITY);
                    if let Some(target) = target {
                        writer::start(name, queue.clone(), target, self.hub.clone())
                            .map_err(LogError::Thread)?;
                    }
                    queue
                }
            };
            now.push(Sink { name, format: format.clone(), least: *least, queue });
        }
        self.hub.replace(now);
        for sink in before.iter().filter(|sink| !wanted.iter().any(|(name, ..)| *name == sink.name)) {
            sink.queue.close();
        }
        *places = wanted.into_iter().map(|(name, place, ..)| (name, place)).collect();
        Ok(())
    }

    /// Opens every file again: what others moved away is written no more. How many files there are. Nothing changes where
    /// one cannot be opened.
    pub(super) fn reopen(&self) -> Result<usize, LogError> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let files = places.iter().filter(|(_, place)| matches!(place, Wanted::File { .. }));
        let open = |(name, place): &(&'static str, Wanted)| match place.open() {
            Ok(target) => Ok((*name, target)),
            Err(error) => Err(failed(name, place, error)),
        };
        let opened: Vec<_> = files.map(open).collect::<Result<_, _>>()?;
        let count = opened.len();
        let sinks = self.hub.sinks();
        for (name, target) in opened {
            if let Some(sink) = sinks.iter().find(|sink| sink.name == name) {
                sink.queue.change(target);
            }
        }
        Ok(count)
    }
}

/// The sinks that the settings ask for. Sinks of one format are neighbours.
pub(super) fn planned(
    service: &Logging,
    process: &LoggingProcess,
    stdout_is_taken: bool,
    terminal: bool,
) -> Vec<Planned> {
    // Validation has read it before; one that cannot be read is none.
    let python = process.text_format.as_deref().and_then(|text| TextFormat::parse(text).ok());
    let asked = service.format.or(python.is_some().then_some(LogFormat::Text));
    let text =
        |colours| python.clone().map_or(Format::Plain { colours }, |format| Format::Python(format.into()));
    let json = Format::Json(service.level_names());
    let (place, console) = match asked {
        Some(LogFormat::Text) => (Wanted::Stderr, text(terminal)),
        None if terminal => (Wanted::Stderr, text(true)),
        None | Some(LogFormat::Json) if stdout_is_taken => (Wanted::Stderr, json),
        None | Some(LogFormat::Json) => (Wanted::Stdout, json),
    };
    let mut planned = vec![("console", place, console, LogLevel::Trace)];
    let Some(file) = &process.file else { return planned };
    let format = match asked {
        Some(LogFormat::Text) => text(false),
        None | Some(LogFormat::Json) => Format::Json(service.level_names()),
    };
    let place = |path: &String, file: &LogFile| Wanted::File {
        path: path.into(),
        max_size: file.max_size().as_bytes(),
        backups: file.backups(),
    };
    if let Some(path) = &file.path {
        planned.push(("file", place(path, file), format.clone(), LogLevel::Trace));
    }
    if let Some(path) = &file.errors_path {
        planned.push(("errors", place(path, file), format, LogLevel::Error));
    }
    planned
}

fn failed(name: &str, place: &Wanted, source: io::Error) -> LogError {
    let setting = if name == "errors" { "logging.file.errorsPath" } else { "logging.file.path" };
    match place {
        Wanted::File { path, .. } => LogError::Open { setting, path: path.clone(), source },
        Wanted::Stdout | Wanted::Stderr => LogError::Console(source),
    }
}
