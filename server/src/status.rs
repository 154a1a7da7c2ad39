//! What the server knows of itself, for people and for the operator: `/status`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, json};

use crate::dispatch::Dispatcher;
use crate::lifecycle::Lifecycle;
use crate::observe::health::{Registry, State};
use crate::observe::process::{self, CpuMeter};
use crate::observe::summary::Summary;
use crate::outbound::Client;
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
    /// Why a later change of the keys for states is not in force.
    pub state_keys_error: Option<String>,
    /// Changed settings that wait for a restart.
    pub needs_restart: Vec<&'static str>,
}

/// What is known of the configuration, as it changes, and the health of everything.
#[derive(Debug)]
pub struct Board {
    started_at: String,
    config: SharedState,
    health: Arc<Registry>,
    cpu: CpuMeter,
}

/// What is known of the configuration, for those who look at it without the rest.
#[derive(Clone, Debug, Default)]
pub struct SharedState(Arc<Mutex<ConfigState>>);

impl SharedState {
    #[must_use]
    pub fn now(&self) -> ConfigState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What serves, and whom it asks.
#[derive(Debug)]
pub struct Serving {
    pub dispatcher: Arc<Dispatcher>,
    pub outbound: Client,
}

impl Board {
    #[must_use]
    pub fn new(config: ConfigState, health: Arc<Registry>) -> Self {
        let config = SharedState(Arc::new(Mutex::new(config)));
        Self { started_at: now(), config, health, cpu: CpuMeter::new() }
    }

    /// What is known of the configuration.
    #[must_use]
    pub fn config(&self) -> &SharedState {
        &self.config
    }

    /// How every part fares.
    #[must_use]
    pub fn health(&self) -> &Registry {
        &self.health
    }

    pub fn change(&self, change: impl FnOnce(&mut ConfigState)) {
        change(&mut self.config.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything, as JSON.
    #[must_use]
    pub fn render(&self, serving: &Serving, lifecycle: &Lifecycle) -> String {
        let Serving { dispatcher, outbound } = serving;
        let snapshot = dispatcher.snapshot();
        let service = &snapshot.config.service;
        let config = self.config.now();
        let errors = [&config.file_error, &config.keys_error, &config.state_keys_error];
        let errors: Vec<_> = errors.into_iter().flatten().map(String::as_str).collect();
        let last_error = (!errors.is_empty()).then(|| errors.join("\n"));
        let process = process::sample();
        let reports = self.health.reports();
        let components: Map<_, _> = reports
            .iter()
            .filter(|report| report.is_component())
            .map(|report| (report.name.to_string(), report.to_component()))
            .collect();
        let checks: Map<_, _> =
            reports.iter().map(|report| (report.name.to_string(), report.to_json())).collect();
        let unhealthy: Vec<_> =
            reports.iter().filter(|report| report.is_failing()).map(|report| &*report.name).collect();
        // The names of the classic server.
        let overall = if unhealthy.is_empty() { State::Healthy } else { State::Unhealthy };
        let last_update = reports.iter().filter_map(|report| report.last_check).max();
        let document = json!({
            "overall_status": overall,
            "last_update": at(last_update.unwrap_or_else(SystemTime::now)),
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
                "lastError": last_error,
                "needsRestart": config.needs_restart,
            },
            "components": components,
            "unhealthy_checks": unhealthy,
            "checks": checks,
            "tools": snapshot.tools(),
            "upstreams": outbound.upstreams(),
            "auth": {"mode": service.auth.mode(), "keys": snapshot.auth.access.keys.len()},
            "summary": Summary::of(&dispatcher.metrics, &process, &self.cpu),
            "process": {"residentBytes": process.resident_bytes, "openFds": process.open_fds, "threads": process.threads},
        });
        format!("{document:#}\n")
    }
}

/// The time, as RFC 3339 writes it.
#[must_use]
pub fn now() -> String {
    at(SystemTime::now())
}

/// A time, as RFC 3339 writes it: in UTC, to the microsecond.
#[must_use]
pub fn at(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The date so many days after 1970-01-01, in the calendar that repeats every 400 years and, counted from the first of
/// March, has its leap day last.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_written_as_rfc_3339_says() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(at(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
