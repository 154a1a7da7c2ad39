//! `run`: start in order, run until told to stop, stop in order.

use std::sync::Arc;
use std::time::Duration;

use mcp_desired::Settings;
use prometheus::Registry;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin::{self, Admin};
use crate::args::{RunArgs, RuntimeArgs};
use crate::events::Events;
use crate::holders::Holders;
use crate::metrics::Metrics;
use crate::operator::Operator;
use crate::readiness::Readiness;
use crate::reports::Http;
use crate::{client, gauges, shutdown, telemetry};

/// How long reconciles under way may go on after the signal. With what follows, the process is gone in five seconds.
const FINISH: Duration = Duration::from_secs(4);
/// How long queued events may still be published after that.
const FLUSH: Duration = Duration::from_millis(500);

/// The operator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log level is not one.
    #[error(transparent)]
    Log(#[from] telemetry::BadLevel),
    /// Two metrics have one name.
    #[error("cannot register metrics")]
    Metrics(#[from] prometheus::Error),
    /// The admin port is taken.
    #[error("cannot listen on {address}; give another with --metrics-address")]
    Listen {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Signals cannot be received.
    #[error("cannot wait for signals")]
    Signals(#[source] std::io::Error),
    /// There is no cluster to talk to.
    #[error(transparent)]
    Client(#[from] client::Error),
}

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// Only causes on this machine: an unreachable API server or a missing resource definition is waited for.
pub async fn run(args: RunArgs) -> Result<(), Error> {
    telemetry::start(&args.log_level, args.log_format)?;
    let stop = shutdown::on_signal().map_err(Error::Signals)?;
    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    let readiness = Readiness::default();
    readiness.wait_for("operator", "starting");

    let address = args.metrics_address;
    let listener = admin::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let client = client::connect(metrics.api.clone()).await?;
    let namespaces = args.namespaces();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        namespaces = if namespaces.is_empty() { "all".to_owned() } else { namespaces.join(",") },
        runtime_image = args.runtime.runtime_image,
        %address,
        "starting"
    );

    let identity = args.identity(client.default_namespace());
    let holders = Arc::new(Holders::new(client.clone(), identity.clone()));
    let (events, publishing) = Events::start(client.clone(), metrics.events.clone());
    let running = Operator {
        client,
        settings: settings(&args.runtime),
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        events: events.clone(),
        identity,
        holders,
        namespaces,
        concurrency: args.concurrency,
        ask: Arc::new(Http::default()),
    }
    .start(&stop);
    readiness.done("operator");

    let admin_stop = CancellationToken::new();
    let controllers = running.controllers;
    let before_scrape = Arc::new(move || gauges::update(&metrics, &controllers));
    let admin = Admin { registry, readiness, before_scrape };
    let admin = tokio::spawn(admin::serve(listener, admin::router(admin), admin_stop.clone()));

    let mut work = running.work;
    tokio::select! {
        () = &mut work => {}
        () = stop.cancelled() => {
            if timeout(FINISH, &mut work).await.is_err() {
                // Safe to leave: every write is one that the next start finds done or does again.
                warn!("reconciles still under way after {} s are abandoned", FINISH.as_secs());
            }
        }
    }
    if timeout(FLUSH, events.published()).await.is_err() {
        info!("some events were not published");
    }
    publishing.abort();
    admin_stop.cancel();
    if let Err(error) = admin.await {
        warn!(%error, "the admin port ended badly");
    }
    info!("stopped");
    Ok(())
}

/// What the children are made of, from the flags.
pub fn settings(runtime: &RuntimeArgs) -> Settings {
    Settings {
        runtime_image: runtime.runtime_image.clone(),
        runtime_image_pull_policy: runtime.runtime_image_pull_policy.clone(),
    }
}
