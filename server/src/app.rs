//! Starting and stopping, in order.
//!
//! Start: configuration, log, admin port, MCP port, keys, tools, what runs beside, and then clients are let in. Only
//! what is wrong here and now fails a start; what is far away may come later.
//! Stop: the same list backwards. No longer ready, accepting for a while, finishing what is in flight, and the admin
//! port closes last.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use mcp_server_config::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::app::components::Components;
use crate::app::descriptors::Connections;
use crate::auth::access::{Access, Grants};
use crate::auth::oauth::settings::Timing;
use crate::auth::obtain::{Obtained, obtain, remember};
use crate::auth::open;
use crate::backend::Backend;
use crate::backend::content::DeclaredContent;
use crate::backend::program::ProgramTools;
use crate::backend::router::Router;
use crate::backend::tools::{DeclaredTools, Reach};
use crate::cache;
use crate::dispatch::Dispatcher;
use crate::dispatch::snapshot::Snapshot;
use crate::http::listener::{Listener, Settings};
use crate::http::pulse::Patience;
use crate::lifecycle::Lifecycle;
use crate::limit;
use crate::live::{Live, Parts};
use crate::observe::health::{self, Gauges};
use crate::observe::logs;
use crate::observe::metrics::Metrics;
use crate::observe::summary;
use crate::observe::telemetry::{Settings as TelemetrySettings, Telemetry};
use crate::outbound::Client;
use crate::reload::{Reloader, Seen, tell};
use crate::server::Program;
use crate::settings::defaults::Created;
use crate::settings::{Loaded, Sources};
use crate::shutdown::{Asked, Signals, Stop};
use crate::state_keys::StateKeys;
use crate::status::{Board, ConfigState, Serving, now};
use crate::troubles::Troubles;

pub mod components;
mod descriptors;
mod entries;
mod failure;
mod front;
mod greet;

pub use failure::StartError;

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
pub async fn serve(sources: Sources, via: Via, program: Program) -> Result<u8, StartError> {
    let mut signals = Signals::new().map_err(StartError::Signals)?;
    start(sources, via, program).await?.run(&mut signals).await
}

/// Starts a server that somebody else will stop.
///
/// # Errors
/// Where the server cannot start.
pub async fn start(sources: Sources, via: Via, program: Program) -> Result<Started, StartError> {
    let mut components = Components::default();
    match start_in_order(sources, via, program, &mut components).await {
        Ok(running) => Ok(Started { running, components }),
        Err(error) => {
            components.stop(Instant::now()).await;
            Err(error)
        }
    }
}

/// A server that serves, with all that has to be stopped.
#[derive(Debug)]
pub struct Started {
    running: Running,
    components: Components,
}

impl Started {
    /// Where MCP is spoken; none behind standard input and output.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.running.address
    }

    /// Where health and metrics are.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.running.admin
    }

    /// Stops in order.
    pub async fn stop(self) {
        let (delay, timeout) = self.running.patience();
        self.components.stop(Instant::now() + delay.as_std() + timeout.as_std()).await;
    }

    async fn run(self, signals: &mut Signals) -> Result<u8, StartError> {
        self.running.run(signals, self.components).await
    }
}

/// A server that lets clients in.
#[derive(Debug)]
struct Running {
    dispatcher: Arc<Dispatcher>,
    closed: front::Closed,
    address: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    /// Asks for the configuration to be loaded again.
    reload: mpsc::Sender<()>,
}

/// Starts one component after the other.
async fn start_in_order(
    sources: Sources,
    via: Via,
    program: Program,
    components: &mut Components,
) -> Result<Running, StartError> {
    // Configuration.
    let read = |source| StartError::Read { name: sources.name(), source };
    let created = sources.create_missing().map_err(read)?;
    let text = match &created {
        // The file may still appear: then it is read.
        Created::ReadOnly(_) => Err(io::ErrorKind::NotFound),
        Created::NotNeeded | Created::Created => Ok(sources.read().map_err(read)?),
    };
    let loaded = sources.load(text.as_deref().unwrap_or("{}")).map_err(StartError::Config)?;

    // Log.
    let (service, process) = (&loaded.config.service, &loaded.config.process);
    // A program may have one of its own, which stays as it is.
    let log = if tracing::dispatcher::has_been_set() {
        None
    } else {
        Some(logs::start(&service.logging, &process.logging, via == Via::Stdio)?)
    };
    greet::tell_of(&sources, &created, &loaded);

    // Health and metrics, and the admin port that shows them.
    let lifecycle = Arc::new(Lifecycle::new());
    let health = Arc::new(health::Registry::default());
    let board = Arc::new(Board::new(
        ConfigState {
            file: sources.file.as_ref().map(|file| file.display().to_string()),
            hash: loaded.hash.clone(),
            loaded_at: now(),
            ..ConfigState::default()
        },
        health.clone(),
    ));
    let metrics = Arc::new(Metrics::new());
    Gauges::register(&health, metrics.registry());
    if let Some(log) = &log {
        log.hub().register(metrics.registry());
    }
    metrics.reloaded();
    let serving = Arc::new(OnceLock::new());
    let admin = Admin {
        lifecycle: lifecycle.clone(),
        board: board.clone(),
        serving: serving.clone(),
        troubles: Troubles::default(),
    };
    let connections = match via {
        Via::Http => Connections::plan(loaded.config.process.http.max_connections())?,
        Via::Stdio => Connections::WITHOUT_MCP,
    };
    let admin = open_admin(admin, connections.admin, &sources, &loaded, via, components).await?;

    // The MCP port: taken now, served when everything else stands.
    let http = &loaded.config.process.http;
    let listener = match via {
        Via::Http => {
            Some(listen("mcp port", http.address(), "--address (MCP_HTTP_ADDRESS, http.address)").await?)
        }
        Via::Stdio => None,
    };
    let address = listener.as_ref().map(Listener::local);

    // Keys.
    let obtained = match address {
        Some(address) => obtain(&loaded.config, &sources.environment, address, loaded.missing_keys)?,
        None => Obtained::default(),
    };
    obtained.warn();
    tell(open::warning(&loaded.config, address, &sources.environment).as_slice());
    if let (Some(address), Some(file)) = (address, &obtained.file) {
        remember(address, http.path(), file, &sources.environment);
    }

    let state_keys = StateKeys::read(&loaded.config.service, &sources.environment)?;

    // Tools, and what calls them.
    let bundle = sources.environment.get("SSL_CERT_FILE").map(PathBuf::from);
    let outbound = Client::new(&loaded.config.service, bundle.as_deref(), metrics.registry())?;
    let reach = Reach {
        client: outbound.clone(),
        environment: sources.environment.clone(),
        config: &loaded.config.service,
        registry: metrics.registry(),
    };
    let tools = DeclaredTools::reaching(loaded.tools, reach);
    tools.set_threads(loaded.config.service.performance.thread_pool_size());
    let content = DeclaredContent::new(loaded.content);
    let Program { tools: own, log_messages, backends } = program;
    let own = ProgramTools::new(own, log_messages, &tools);
    let declared: [Arc<dyn Backend>; 3] = [tools.clone(), content.clone(), own];
    let backend = Router::new(declared.into_iter().chain(backends).collect())?;
    let grants = Grants::new(Arc::new(outbound.clone()), metrics.auth.clone(), Timing::default());
    let access = grants.access(&loaded.config, &obtained, loaded.rules, &Access::default());
    let parts = Parts { config: loaded.config.clone(), access };
    let catalogue = backend.catalogue();
    let catalogue = catalogue.borrow().clone();
    let snapshot = Snapshot::with_access(parts.config.clone(), parts.access.clone(), &catalogue);
    let dispatcher = Arc::new(Dispatcher::new(backend, snapshot, metrics.clone()));
    dispatcher.seal_with(&state_keys);
    // What replicas share. It ends after the tools, which may still need it.
    let stop = CancellationToken::new();
    let kept = tokio::spawn(dispatcher.redis.clone().keep(sources.environment.clone(), stop.clone()));
    components.started("redis", |_| async move {
        stop.cancel();
        if kept.await.is_err() {
            tracing::warn!("the connection to Redis was not closed in order");
        }
    });

    // Who is told of it all. They hear the last of it when the tools have ended.
    let settings = TelemetrySettings::read(&loaded.config.service, &sources.environment)?;
    let telemetry = Telemetry::start(settings, &outbound, &metrics);
    let stopping = telemetry.clone();
    components.started("telemetry", |_| async move { stopping.stop().await });

    // All of it has a place in what `/status` shows, which is shown from now on.
    let backend = dispatcher.backend().clone();
    entries::show(&health, &dispatcher, &tools, board.config(), &outbound);
    entries::show_log(&health, log.as_ref().map(|log| log.hub().health()));
    health.tells("telemetry", telemetry.told());
    // Set once, here.
    let _first = serving.set(Serving { dispatcher: dispatcher.clone(), outbound: outbound.clone() });
    health.follow(&loaded.config, &outbound, &backend);
    components.started("tools", |until| async move { backend.drain(until).await });

    // What runs beside.
    let live = Arc::new(Live::new(dispatcher.clone(), parts));
    components.beside("catalogue", tokio::spawn(live.clone().follow_catalogue()));
    let file = sources.file.clone();
    let reloader = Reloader {
        sources,
        live,
        tools,
        content,
        outbound,
        grants,
        log,
        board,
        health,
        telemetry,
        address,
        started_with: loaded.config.clone(),
        seen: Seen {
            file: text,
            keys: Ok(String::new()),
            keys_file: obtained.file,
            state_keys: Ok(state_keys),
        },
    };
    // Whoever asks twice before it is done is served by one.
    let (reload, asked) = mpsc::channel(1);
    components.beside("reload", tokio::spawn(reloader.with_keys_seen().run(asked)));
    let settings = dispatcher.clone();
    let interval = move || settings.snapshot().config.service.metrics.interval().as_std();
    components.beside("summary", tokio::spawn(summary::run(metrics.clone(), interval)));

    let settings = dispatcher.clone();
    let interval = move || settings.snapshot().config.service.rate_limit.cleanup_interval().as_std();
    components.beside("rate limits", tokio::spawn(limit::clean_up(dispatcher.limiter.clone(), interval)));

    components.beside("cache", tokio::spawn(cache::measure(dispatcher.cache.clone())));

    // Clients.
    let closed = front::open(components, listener, connections.mcp, &dispatcher, &lifecycle);
    greet::tell_ready(&dispatcher, address, admin);
    greet::at_the_terminal(&dispatcher, address, file.as_deref());
    Ok(Running { dispatcher, closed, address, admin, reload })
}

impl Running {
    /// Serves until a signal comes, or the door closes by itself; then stops in order. A second signal ends at once.
    async fn run(mut self, signals: &mut Signals, components: Components) -> Result<u8, StartError> {
        let ended = loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop(signal) => break Ok(signal),
                    Asked::Reload => drop(self.reload.try_send(())),
                },
                // A port never closes by itself: there, nothing comes of this.
                Ok(ended) = &mut self.closed => break Err(ended),
            }
        };
        let (delay, timeout) = self.patience();
        let outcome = match ended {
            Ok(signal) => {
                tracing::info!(signal = signal.as_str(), %delay, %timeout, "stopping");
                Ok(0)
            }
            Err(ended) => ended.map(|()| 0).map_err(StartError::Stdio),
        };
        tokio::select! {
            () = components.stop(Instant::now() + delay.as_std() + timeout.as_std()) => {
                tracing::info!("stopped");
                outcome
            }
            second = signals.stop() => Ok(at_once(second)),
        }
    }

    /// How long clients are still let in, and how long what they asked may take after that.
    fn patience(&self) -> (Duration, Duration) {
        let config = &self.dispatcher.snapshot().config;
        let shutdown = &config.process.shutdown;
        let timeout = shutdown.timeout(config.service.performance.request_timeout());
        (shutdown.delay(), timeout)
    }
}

/// Kept back for the admin port: probes come one by one.
const SPARE_DESCRIPTORS: usize = 4;

fn at_once(second: Stop) -> u8 {
    tracing::warn!(signal = second.as_str(), "told to stop again; ending at once");
    second.exit_code()
}

async fn listen(component: &'static str, address: &str, flag: &'static str) -> Result<Listener, StartError> {
    let error = |source| StartError::Listen { component, address: address.to_owned(), flag, source };
    Listener::open(address).await.map_err(error)
}

/// Opens the admin port. Behind standard input and output there is none unless it is asked for: several such servers
/// run side by side on one machine.
async fn open_admin(
    admin: Admin,
    max_connections: usize,
    sources: &Sources,
    loaded: &Loaded,
    via: Via,
    components: &mut Components,
) -> Result<Option<SocketAddr>, StartError> {
    if via == Via::Stdio && sources.flags.admin_address.is_none() {
        return Ok(None);
    }
    let address = loaded.config.process.http.admin_address();
    let flag = "--admin-address (MCP_HTTP_ADMIN_ADDRESS, http.adminAddress)";
    let listener = listen("admin port", address, flag).await?;
    let local = listener.local();
    let settings = Settings {
        max_connections,
        spare_descriptors: SPARE_DESCRIPTORS,
        patience: Patience::default(),
        open: None,
        accepted: None,
    };
    let admin = Arc::new(admin);
    let serving = listener.serve(move |request, _peer, busy| admin.clone().serve(request, busy), settings);
    components.started("admin port", |_| async move { serving.abort().await });
    Ok(Some(local))
}
