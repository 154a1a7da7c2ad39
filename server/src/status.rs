//! What the server knows of itself, for people and for the operator: `/status`.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use crate::backend::Health;
use crate::dispatch::Dispatcher;
use crate::lifecycle::Lifecycle;
use crate::observe::process;
use crate::observe::summary::Summary;
use crate::protocol::era::SUPPORTED_VERSIONS;

/// What is known of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigState {
    /// Path of the file, if there is one.
    pub file: Option<String>,
    /// Hash of the settings in force.
    pub hash: String,
    /// When they were loaded.
    pub loaded_at: String,
    /// Why a later change of the file is not in force.
    pub file_error: Option<String>,
    /// Why a later change of the keys is not in force.
    pub keys_error: Option<String>,
    /// Changed settings that wait for a restart.
    pub needs_restart: Vec<&'static str>,
}

/// What is known of the configuration, as it changes.
#[derive(Debug, Default)]
pub struct Board {
    started_at: String,
    config: Mutex<ConfigState>,
}

impl Board {
    #[must_use]
    pub fn new(config: ConfigState) -> Self {
        Self { started_at: now(), config: Mutex::new(config) }
    }

    #[must_use]
    pub fn config(&self) -> ConfigState {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut ConfigState)) {
        change(&mut self.config.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything, as JSON.
    #[must_use]
    pub fn render(&self, dispatcher: &Arc<Dispatcher>, lifecycle: &Lifecycle) -> String {
        let snapshot = dispatcher.snapshot();
        let service = &snapshot.config.service;
        let config = self.config();
        let backend = match &*dispatcher.backend().health().borrow() {
            Health::Healthy => json!({"health": "Healthy"}),
            Health::Degraded(why) => json!({"health": "Degraded", "message": why}),
        };
        let last_error = [config.file_error.as_deref(), config.keys_error.as_deref()];
        let last_error = last_error.into_iter().flatten().collect::<Vec<_>>().join("\n");
        let process = process::sample();
        let document = json!({
            "server": {"name": service.server_name(), "version": service.server_version()},
            "program": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
            "protocolVersions": SUPPORTED_VERSIONS,
            "environment": service.environment,
            "ready": lifecycle.is_ready(),
            "startedAt": self.started_at,
            "uptimeSeconds": lifecycle.uptime().as_secs(),
            "config": {
                "file": config.file,
                "hash": config.hash,
                "loadedAt": config.loaded_at,
                "lastError": if last_error.is_empty() { Value::Null } else { last_error.into() },
                "needsRestart": config.needs_restart,
            },
            "components": {
                "tools": backend,
                "config": component(config.file_error.as_deref()),
                "auth": component(config.keys_error.as_deref()),
            },
            "tools": snapshot.tools(),
            "auth": {"mode": service.auth.mode(), "keys": snapshot.auth.keys.len()},
            "requests": Summary::of(&dispatcher.metrics),
            "process": {"residentBytes": process.resident_bytes, "openFds": process.open_fds, "threads": process.threads},
        });
        format!("{document:#}\n")
    }
}

fn component(error: Option<&str>) -> Value {
    error
        .map_or_else(|| json!({"health": "Healthy"}), |error| json!({"health": "Degraded", "message": error}))
}

/// The time, as RFC 3339 writes it.
#[must_use]
pub fn now() -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _written = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}
