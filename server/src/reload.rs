//! Changes while serving. Contents are compared once a second: a mounted ConfigMap is swapped by links, an editor writes
//! a new file, and both are seen this way. What cannot be put in force is told, and the last good state stays.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcp_server_config::{ServerConfig, needs_restart};
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use crate::auth::access::Grants;
use crate::auth::obtain::{Missing, ObtainError, Obtained, obtain_again};
use crate::auth::open;
use crate::auth::source;
use crate::backend::content::DeclaredContent;
use crate::backend::tools::DeclaredTools;
use crate::live::Live;
use crate::memory;
use crate::observe::health::Registry;
use crate::observe::logs::LogControl;
use crate::observe::telemetry::{Settings, Telemetry};
use crate::outbound::Client;
use crate::settings::{Loaded, Refused, Sources};
use crate::state_keys::StateKeys;
use crate::status::{Board, now};

/// How often files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// Puts changed files in force.
#[derive(Debug)]
pub struct Reloader {
    pub sources: Sources,
    pub live: Arc<Live>,
    pub tools: Arc<DeclaredTools>,
    pub content: Arc<DeclaredContent>,
    pub outbound: Client,
    pub grants: Grants,
    /// Absent where the program has a log of its own.
    pub log: Option<LogControl>,
    pub board: Arc<Board>,
    pub health: Arc<Registry>,
    pub telemetry: Arc<Telemetry>,
    /// Where the server listens; absent behind standard input and output, where nobody has to show a key.
    pub address: Option<SocketAddr>,
    /// What the process was started with: what of it has changed needs a restart.
    pub started_with: Arc<ServerConfig>,
    pub seen: Seen,
}

/// What was read last.
#[derive(Debug)]
pub struct Seen {
    pub file: Content,
    pub keys_file: Option<PathBuf>,
    pub keys: Content,
    /// The keys for states, or why they cannot be had.
    pub state_keys: Result<StateKeys, String>,
}

/// The content of a file, or why it cannot be read.
pub type Content = Result<String, io::ErrorKind>;

/// What a configuration refers to.
struct Secrets {
    obtained: Obtained,
    state_keys: StateKeys,
}

/// What became of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
}

impl Reloader {
    /// Takes the keys file as it is now for the one that is in force.
    #[must_use]
    pub fn with_keys_seen(mut self) -> Self {
        self.seen.keys = self.read_keys();
        self
    }

    /// Whether there is any file to look at.
    #[must_use]
    pub fn has_files(&self) -> bool {
        let config = self.live.parts().config;
        let state_keys = config.service.state_keys.iter().any(|key| key.file.is_some());
        self.sources.file.is_some() || self.seen.keys_file.is_some() || state_keys
    }

    /// Looks at the files once a second, where there are any, and loads everything again whenever `asked` says so.
    pub async fn run(mut self, mut asked: Receiver<()>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let has_files = self.has_files();
            let is_asked = tokio::select! {
                _ = ticks.tick(), if has_files => false,
                Some(()) = asked.recv() => true,
                // Nothing to look at, and no one to ask.
                else => return,
            };
            // Reading may hang where the file is far away, and compiling takes its time.
            let looked = tokio::task::spawn_blocking(move || {
                if is_asked {
                    self.load_again()
                } else {
                    self.look()
                }
                self
            });
            match looked.await {
                Ok(reloader) => self = reloader,
                Err(error) => {
                    tracing::error!(%error, "configuration is no longer reloaded; restart the server");
                    return;
                }
            }
        }
    }

    /// Loads the configuration and its secrets, changed or not, and opens the log files again.
    fn load_again(&mut self) {
        if self.sources.file.is_some() {
            tracing::info!(file = self.sources.name(), "SIGHUP: loading the configuration again");
            let text = self.sources.read().map_err(|error| error.kind());
            let outcome = self.file_changed(&text);
            self.seen.file = text;
            self.count(outcome);
        } else {
            tracing::info!("SIGHUP: there is no configuration file to load");
        }
        self.look();
        match self.log.as_ref().map(LogControl::reopen) {
            None | Some(Ok(0)) => {}
            Some(Ok(files)) => tracing::info!(files, "SIGHUP: the log files are open again"),
            Some(Err(error)) => tracing::error!(
                error = chain(&error),
                "SIGHUP: the log files cannot be opened again; those that are open are written on"
            ),
        }
    }

    fn look(&mut self) {
        let text = self.sources.read().map_err(|error| error.kind());
        if text != self.seen.file {
            let outcome = self.file_changed(&text);
            self.seen.file = text;
            self.count(outcome);
        }
        let keys = self.read_keys();
        if keys != self.seen.keys {
            self.seen.keys = keys;
            let outcome = self.keys_changed();
            self.count(outcome);
        }
        let state_keys = self.read_state_keys(&self.live.parts().config);
        if state_keys != self.seen.state_keys {
            let outcome = self.state_keys_changed(&state_keys);
            self.seen.state_keys = state_keys;
            self.count(outcome);
        }
    }

    fn file_changed(&mut self, text: &Content) -> Outcome {
        let loaded = match text {
            Ok(text) => self.sources.load(text).map_err(|refused| refused.sentence()),
            Err(io::ErrorKind::NotFound) => Err(format!("cannot read {}: it is gone", self.sources.name())),
            Err(kind) => Err(format!("cannot read {}: {kind}", self.sources.name())),
        };
        // Secrets first, and keys: with a new configuration and old keys, somebody might be let in who should not be.
        let loaded = loaded.and_then(|loaded| {
            let obtained = self.obtain(&loaded.config, loaded.missing_keys).map_err(|error| chain(&error))?;
            let state_keys = self.read_state_keys(&loaded.config)?;
            Ok((loaded, Secrets { obtained, state_keys }))
        });
        let loaded = loaded.and_then(|(loaded, secrets)| {
            let told = Settings::read(&loaded.config.service, &self.sources.environment);
            told.map(|told| (loaded, secrets, told)).map_err(|error| chain(&error))
        });
        // A log file that cannot be opened refuses the whole: half of a change is in force nowhere.
        let loaded = loaded.and_then(|(loaded, secrets, told)| {
            let (service, process) = (&loaded.config.service, &loaded.config.process);
            match self.log.as_ref().map(|log| log.apply(&service.logging, &process.logging)) {
                None | Some(Ok(())) => Ok((loaded, secrets, told)),
                Some(Err(error)) => Err(chain(&error)),
            }
        });
        match loaded {
            Ok((loaded, secrets, told)) => {
                self.telemetry.configure(told);
                self.put_in_force(loaded, secrets);
                Outcome::Success
            }
            Err(error) => {
                tracing::error!(
                    file = self.sources.name(),
                    error,
                    "the changed configuration is refused; the last good one stays in force"
                );
                self.board.change(|state| state.file_error = Some(error));
                Outcome::Failure
            }
        }
    }

    fn put_in_force(&mut self, loaded: Loaded, secrets: Secrets) {
        let Secrets { obtained, state_keys } = secrets;
        let Loaded { config, tools, content, rules, hash, unknown, notes, .. } = loaded;
        let needs_restart = needs_restart(&self.started_with, &config);
        let count = tools.len();
        self.outbound.reconfigure(&config.service);
        self.tools.reconfigure(&config.service);
        self.tools.replace(tools);
        self.tools.set_threads(config.service.performance.thread_pool_size());
        self.content.replace(content);
        self.live.dispatcher().seal_with(&state_keys);
        self.seen.state_keys = Ok(state_keys);
        self.live.change(|parts| {
            parts.access = self.grants.access(&config, &obtained, rules, &parts.access);
            parts.config = config;
        });
        let live = self.live.parts().config;
        // What asks others has changed: whom nobody asks any more is nothing to worry about.
        let now_asking = Instant::now();
        self.health.follow(&live, &self.outbound, self.live.dispatcher().backend());
        self.outbound.forget(now_asking);
        self.seen.keys_file = obtained.file;
        self.seen.keys = self.read_keys();
        tracing::info!(
            file = self.sources.name(),
            hash,
            tools = count,
            "the changed configuration is in force"
        );
        tell(&unknown_and_notes(&unknown, &notes));
        let config = self.live.parts().config;
        tell(memory::warning(&config, memory::limit()).as_slice());
        tell(open::warning(&config, self.address, &self.sources.environment).as_slice());
        if !needs_restart.is_empty() {
            tracing::warn!(settings = needs_restart.join(", "), "changed settings wait for a restart");
        }
        self.board.change(|state| {
            state.hash = hash;
            state.loaded_at = now();
            state.file_error = None;
            state.keys_error = None;
            state.state_keys_error = None;
            state.needs_restart = needs_restart;
        });
    }

    fn keys_changed(&mut self) -> Outcome {
        let config = self.live.parts().config;
        match self.obtain(&config, Missing::Refused) {
            Ok(obtained) => {
                self.live.change(|parts| {
                    let rules = parts.access.rules.clone();
                    parts.access = self.grants.access(&parts.config, &obtained, rules, &parts.access);
                });
                tracing::info!(keys = obtained.keys.len(), "the changed API keys are in force");
                self.board.change(|state| state.keys_error = None);
                Outcome::Success
            }
            Err(error) => {
                let error = chain(&error);
                tracing::error!(error, "the changed API keys are refused; the last good ones stay in force");
                self.board.change(|state| state.keys_error = Some(error));
                Outcome::Failure
            }
        }
    }

    fn state_keys_changed(&self, state_keys: &Result<StateKeys, String>) -> Outcome {
        let error = state_keys.as_ref().err().cloned();
        let outcome = match state_keys {
            Ok(keys) => {
                self.live.dispatcher().seal_with(keys);
                tracing::info!("the changed keys for states are in force");
                Outcome::Success
            }
            Err(error) => {
                tracing::error!(
                    error,
                    "the changed keys for states are refused; the last good ones stay in force"
                );
                Outcome::Failure
            }
        };
        self.board.change(|state| state.state_keys_error = error);
        outcome
    }

    fn read_state_keys(&self, config: &ServerConfig) -> Result<StateKeys, String> {
        StateKeys::read(&config.service, &self.sources.environment).map_err(|error| chain(&error))
    }

    fn obtain(&self, config: &ServerConfig, missing: Missing) -> Result<Obtained, ObtainError> {
        let Some(address) = self.address else { return Ok(Obtained::default()) };
        obtain_again(config, &self.sources.environment, address, self.seen.keys_file.as_ref(), missing)
    }

    /// The content of the keys file, be it configured or generated.
    fn read_keys(&self) -> Content {
        if self.address.is_none() {
            return Ok(String::new());
        }
        let config = self.live.parts().config;
        let file = source::file(&config).map(PathBuf::from).or_else(|| self.seen.keys_file.clone());
        file.map_or_else(
            || Ok(String::new()),
            |file| std::fs::read_to_string(file).map_err(|error| error.kind()),
        )
    }

    fn count(&self, outcome: Outcome) {
        let metrics = &self.live.dispatcher().metrics;
        match outcome {
            Outcome::Success => {
                metrics.reloads.with_label_values(&["success"]).inc();
                metrics.reloaded();
            }
            Outcome::Failure => {
                metrics.reloads.with_label_values(&["failure"]).inc();
                metrics.last_reload_ok.set(0);
            }
        }
    }
}

/// What a user should know of a configuration that is in force.
#[must_use]
pub fn unknown_and_notes(unknown: &[mcp_server_config::UnknownKey], notes: &[String]) -> Vec<String> {
    unknown.iter().map(|key| key.problem.to_string()).chain(notes.iter().cloned()).collect()
}

/// Logs each of them as a warning.
pub fn tell(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// An error with its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // Some say already what their cause says.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// The last word on a file that was refused at start, where nothing is in force yet.
#[must_use]
pub fn refused(refused: &Refused) -> String {
    let count = refused.0.len();
    format!("{refused}\n\n{count} {} to mend.", if count == 1 { "problem" } else { "problems" })
}
