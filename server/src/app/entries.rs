//! The parts of the server that have an entry in `/status`, and what each says of itself whenever somebody looks.

use std::sync::Arc;

use mcp_server_config::AuthMode;
use tokio::sync::watch;

use crate::backend::Health;
use crate::backend::tools::DeclaredTools;
use crate::dispatch::Dispatcher;
use crate::dispatch::snapshot::Snapshot;
use crate::observe::health::{Registry, Told};
use crate::outbound::Client;
use crate::status::{ConfigState, SharedState};

/// What a part looks at.
struct View<'a> {
    dispatcher: &'a Dispatcher,
    declared: &'a DeclaredTools,
    snapshot: &'a Snapshot,
    config: &'a ConfigState,
}

/// Says how a part fares.
type Tell = fn(&View<'_>) -> Told;

const PARTS: [(&str, Tell); 7] = [
    ("auth", auth),
    ("authorization-server", authorization_server),
    ("cache", |view| view.dispatcher.cache.told_of(&view.snapshot.config.service.cache)),
    ("config", config),
    ("rate-limit", |view| view.dispatcher.limiter.told_of(&view.snapshot.limits)),
    ("redis", redis),
    ("tools", tools),
];

/// Shows what stands behind requests.
pub(super) fn show(
    health: &Registry,
    dispatcher: &Arc<Dispatcher>,
    declared: &Arc<DeclaredTools>,
    config: &SharedState,
    outbound: &Client,
) {
    for (name, tell) in PARTS {
        // The metrics of the dispatcher show this registry: an owner would keep both for ever.
        let (dispatcher, declared) = (Arc::downgrade(dispatcher), Arc::downgrade(declared));
        let config = config.clone();
        health.tells(name, move || {
            let (Some(dispatcher), Some(declared)) = (dispatcher.upgrade(), declared.upgrade()) else {
                return Told::unknown("the server stops");
            };
            let (snapshot, config) = (dispatcher.snapshot(), config.now());
            tell(&View { dispatcher: &dispatcher, declared: &declared, snapshot: &snapshot, config: &config })
        });
    }
    let outbound = outbound.clone();
    health.tells("upstreams", move || outbound.told());
}

/// Shows the log, where it is this server's own.
pub(super) fn show_log(health: &Registry, log: Option<watch::Receiver<Health>>) {
    match log {
        Some(log) => health.watch("log", log),
        None => health.tells("log", || Told::not_used("the program has a log of its own")),
    }
}

fn config(view: &View<'_>) -> Told {
    let ConfigState { file_error, state_keys_error, needs_restart, .. } = view.config;
    match file_error.as_ref().or(state_keys_error.as_ref()) {
        Some(error) => Told::unhealthy(error.as_str()),
        None if needs_restart.is_empty() => Told::healthy(""),
        None => Told::healthy(format!("waiting for a restart: {}", needs_restart.join(", "))),
    }
}

fn auth(view: &View<'_>) -> Told {
    let access = &view.snapshot.auth.access;
    if view.snapshot.config.service.auth.mode() == AuthMode::Disabled {
        return Told::not_used("auth.mode is Disabled: everybody may call");
    }
    match &view.config.keys_error {
        Some(error) => Told::unhealthy(error.as_str()),
        None => Told::healthy(format!("{} in force", counted(access.keys.len(), "API key"))),
    }
}

fn authorization_server(view: &View<'_>) -> Told {
    let auth = &view.snapshot.config.service.auth;
    match &view.snapshot.auth.access.oauth {
        Some(server) => server.told(),
        None if auth.oauth2.is_none() => Told::not_used("auth.oauth2 names none"),
        None => Told::not_used("auth.mode is Disabled"),
    }
}

fn redis(view: &View<'_>) -> Told {
    view.dispatcher.redis.told()
}

fn tools(view: &View<'_>) -> Told {
    let lacking = view.declared.lacking();
    if !lacking.is_empty() {
        return Told::unhealthy(lacking.join("; "));
    }
    let mut told = Told::from(&*view.dispatcher.backend().health().borrow());
    if told.details.is_empty() {
        told.details = counted(view.snapshot.tools(), "tool");
    }
    told
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
