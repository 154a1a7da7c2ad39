//! Starting and stopping, in order.
//!
//! Start: configuration, log, admin port, MCP port, keys, tools, ready. Only what is wrong here and now fails a start.
//! Stop: not ready, keep accepting for a while, stop accepting, finish what is in flight, close the admin port.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::io::{BufReader, BufWriter};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::auth::keyring::Keyring;
use crate::auth::obtain::{ObtainError, Obtained, obtain, remember};
use crate::backend::Backend;
use crate::backend::tools::DeclaredTools;
use crate::dispatch::Dispatcher;
use crate::dispatch::snapshot::Snapshot;
use crate::http::Door;
use crate::http::listener::{Listener, Serving, Settings};
use crate::http::pulse::Patience;
use crate::lifecycle::{Lifecycle, Stage};
use crate::live::{Live, Parts};
use crate::observe::logs::{self, LogError};
use crate::observe::metrics::Metrics;
use crate::observe::summary;
use crate::reload::{Reloader, Seen, tell, unknown_and_notes};
use crate::settings::{Created, Loaded, Refused, Sources};
use crate::shutdown::Signals;
use crate::status::{Board, ConfigState, now};
use crate::stdio;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(Refused),
    #[error("cannot read the configuration {name}")]
    Read { name: String, source: io::Error },
    #[error(
        "cannot listen on {address}: another program has the port, or the address is not this machine's; choose another with {flag}"
    )]
    Listen { address: String, flag: &'static str, source: io::Error },
    #[error(transparent)]
    Keys(#[from] ObtainError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
    #[error("standard input or output broke")]
    Stdio(#[source] io::Error),
}

impl StartError {
    /// 2 where the user has to change something in the configuration, 1 where the machine is in the way.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Read { .. } => 2,
            _ => 1,
        }
    }
}

/// The door that a server opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Http,
    Stdio,
}

/// Serves until it is told to stop. What comes back is the exit code of the process.
///
/// # Errors
/// Where the server cannot start.
pub async fn serve(sources: Sources, via: Via) -> Result<u8, StartError> {
    let mut signals = Signals::new().map_err(StartError::Signals)?;
    let read = |source| StartError::Read { name: sources.name(), source };
    let created = sources.create_missing().map_err(read)?;
    let text = match &created {
        // The file may still appear: then it is read.
        Created::ReadOnly(_) => Err(io::ErrorKind::NotFound),
        Created::NotNeeded | Created::Created => Ok(sources.read().map_err(read)?),
    };
    let loaded = sources.load(text.as_deref().unwrap_or("{}")).map_err(StartError::Config)?;
    let logging = &loaded.config.service.logging;
    let log = logs::start(logging.level(), logging.format, via == Via::Stdio)?;
    tell_of(&sources, &created, &loaded);

    let lifecycle = Arc::new(Lifecycle::new());
    let board = Arc::new(Board::new(ConfigState {
        file: sources.file.as_ref().map(|file| file.display().to_string()),
        hash: loaded.hash.clone(),
        loaded_at: now(),
        ..ConfigState::default()
    }));
    let dispatcher_cell = Arc::new(OnceLock::new());
    let admin =
        Admin { lifecycle: lifecycle.clone(), board: board.clone(), dispatcher: dispatcher_cell.clone() };
    let admin = open_admin(admin, &sources, &loaded, via).await?;

    let http = &loaded.config.process.http;
    let listener = match via {
        Via::Http => Some(open(http.address(), "--address (MCP_HTTP_ADDRESS, http.address)").await?),
        Via::Stdio => None,
    };
    let address = listener.as_ref().map(Listener::local);
    let obtained = match address {
        Some(address) => obtain(&loaded.config, &sources.environment, address)?,
        None => Obtained::default(),
    };
    if let (Some(address), Some(file)) = (address, &obtained.file) {
        remember(address, http.path(), file, &sources.environment);
    }

    let metrics = Arc::new(Metrics::new());
    metrics.reloaded();
    let tools = DeclaredTools::new(loaded.tools);
    let parts = Parts { config: loaded.config.clone(), keys: Arc::new(Keyring::new(&obtained.keys)) };
    let catalogue = tools.catalogue();
    let catalogue = catalogue.borrow().clone();
    let snapshot = Snapshot::new(parts.config.clone(), parts.keys.clone(), &catalogue);
    let dispatcher = Arc::new(Dispatcher::new(tools.clone(), snapshot, metrics.clone()));
    // Set once, here.
    let _first = dispatcher_cell.set(dispatcher.clone());
    let live = Arc::new(Live::new(dispatcher.clone(), parts));

    // What runs beside, until the process ends.
    tokio::spawn(live.clone().follow_catalogue());
    let reloader = Reloader {
        sources,
        live,
        tools: tools.clone(),
        log,
        board,
        address,
        started_with: loaded.config.clone(),
        seen: Seen { file: text, keys: Ok(String::new()), keys_file: obtained.file },
    };
    if reloader.sources.file.is_some() || reloader.seen.keys_file.is_some() {
        tokio::spawn(reloader.with_keys_seen().run());
    }
    let interval = dispatcher.clone();
    tokio::spawn(summary::run(metrics.clone(), move || {
        interval.snapshot().config.service.metrics.interval().as_std()
    }));

    let code = match listener {
        Some(listener) => {
            let door = Door::new(
                dispatcher.clone(),
                lifecycle.clone(),
                loaded.config.process.http.path().to_owned(),
            );
            let settings = Settings {
                max_connections: loaded.config.process.http.max_connections(),
                patience: Patience::default(),
                open: Some(metrics.connections.clone()),
                accepted: Some(metrics.connections_total.clone()),
            };
            let door = Arc::new(door);
            let serving =
                listener.serve(move |request, peer, busy| door.clone().serve(request, peer, busy), settings);
            enter_ready(&lifecycle, &metrics);
            tracing::info!(
                address = address.map(|address| address.to_string()),
                path = loaded.config.process.http.path(),
                admin = admin.as_ref().map(|(_, address)| address.to_string()),
                tools = dispatcher.snapshot().tools(),
                name = dispatcher.snapshot().config.service.server_name(),
                environment = dispatcher.snapshot().config.service.environment,
                "ready"
            );
            stop_http(&mut signals, &serving, &dispatcher, &lifecycle).await
        }
        None => {
            enter_ready(&lifecycle, &metrics);
            serve_stdio(&mut signals, &dispatcher, &lifecycle).await?
        }
    };
    if let Some((admin, _)) = admin {
        admin.abort().await;
    }
    tracing::info!("stopped");
    Ok(code)
}

fn enter_ready(lifecycle: &Lifecycle, metrics: &Metrics) {
    lifecycle.enter(Stage::Ready);
    metrics.ready.set(1);
}

/// Says once what a user should know of the configuration.
fn tell_of(sources: &Sources, created: &Created, loaded: &Loaded) {
    match created {
        Created::NotNeeded => {}
        Created::Created => {
            tracing::info!(file = sources.name(), "the file did not exist; it was made, with the defaults")
        }
        Created::ReadOnly(error) => {
            tracing::warn!(file = sources.name(), %error, "the file does not exist and cannot be made; running with the defaults");
        }
    }
    tell(&unknown_and_notes(&loaded.unknown, &loaded.notes));
    let not_in_force = loaded.config.process.not_in_force();
    if !not_in_force.is_empty() {
        tracing::warn!(
            sections = not_in_force.join(", "),
            "read and checked, but not yet in force in this version"
        );
    }
}

async fn open(address: &str, flag: &'static str) -> Result<Listener, StartError> {
    let listen = |source| StartError::Listen { address: address.to_owned(), flag, source };
    Listener::open(address).await.map_err(listen)
}

/// Opens the admin port. Behind standard input and output there is none unless it is asked for: several such servers
/// run side by side on one machine.
async fn open_admin(
    admin: Admin,
    sources: &Sources,
    loaded: &Loaded,
    via: Via,
) -> Result<Option<(Serving, std::net::SocketAddr)>, StartError> {
    if via == Via::Stdio && sources.flags.admin_address.is_none() {
        return Ok(None);
    }
    let address = loaded.config.process.http.admin_address();
    let listener = open(address, "--admin-address (MCP_HTTP_ADMIN_ADDRESS, http.adminAddress)").await?;
    let local = listener.local();
    let settings =
        Settings { max_connections: 64, patience: Patience::default(), open: None, accepted: None };
    let admin = Arc::new(admin);
    Ok(Some((
        listener.serve(move |request, _peer, busy| admin.clone().serve(request, busy), settings),
        local,
    )))
}

/// Waits for a signal and stops in order. A second signal ends at once.
async fn stop_http(
    signals: &mut Signals,
    serving: &Serving,
    dispatcher: &Arc<Dispatcher>,
    lifecycle: &Lifecycle,
) -> u8 {
    let stop = signals.next().await;
    lifecycle.enter(Stage::Draining);
    dispatcher.metrics.ready.set(0);
    let config = dispatcher.snapshot().config.clone();
    let delay = config.process.shutdown.delay().as_std();
    let timeout = config.process.shutdown.timeout(config.service.performance.request_timeout()).as_std();
    tracing::info!(signal = stop.as_str(), ?delay, ?timeout, "stopping");
    let in_order = async {
        // Clients and load balancers hear of it meanwhile, and are answered.
        tokio::time::sleep(delay).await;
        serving.finish();
        let until = Instant::now() + timeout;
        let finished = async {
            serving.finished().await;
            dispatcher.backend().drain(until).await;
        };
        if tokio::time::timeout_at(until, finished).await.is_err() {
            let left = dispatcher.metrics.in_flight.get();
            tracing::warn!(left, "requests were not finished in time and are cut off");
        }
        serving.abort().await;
    };
    tokio::select! {
        () = in_order => 0,
        second = signals.next() => {
            tracing::warn!(signal = second.as_str(), "told to stop again; ending at once");
            second.exit_code()
        }
    }
}

async fn serve_stdio(
    signals: &mut Signals,
    dispatcher: &Arc<Dispatcher>,
    lifecycle: &Lifecycle,
) -> Result<u8, StartError> {
    let stop = CancellationToken::new();
    let (input, output) = (BufReader::new(tokio::io::stdin()), BufWriter::new(tokio::io::stdout()));
    let mut served = std::pin::pin!(stdio::serve(input, output, dispatcher.clone(), stop.clone()));
    tracing::info!(tools = dispatcher.snapshot().tools(), "ready on standard input and output");
    tokio::select! {
        ended = served.as_mut() => return ended.map(|()| 0).map_err(StartError::Stdio),
        _ = signals.next() => {}
    }
    lifecycle.enter(Stage::Draining);
    stop.cancel();
    tokio::select! {
        ended = served => ended.map(|()| 0).map_err(StartError::Stdio),
        second = signals.next() => Ok(second.exit_code()),
    }
}
