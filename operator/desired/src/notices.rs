//! What a person should know of a resource that is applied and works: conditions that are there only while they are true.

use mcp_server_config::{AuthMode, LoggedArguments, ServiceConfig};

use crate::{
    ValidatedServer,
    reason::{condition, word},
};

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub condition: &'static str,
    pub reason: &'static str,
    pub message: String,
}

/// Types of the conditions that are made here.
pub(crate) const TYPES: [&str; 2] = [condition::INSECURE_SETTINGS, condition::ENVIRONMENT_SETTINGS];

/// What is to be known of a server.
#[must_use]
pub fn notices(server: &ValidatedServer) -> Vec<Notice> {
    [insecure(server.effective()), environment(server)].into_iter().flatten().collect()
}

/// Settings that weaken security, wherever they come from.
fn insecure(config: &ServiceConfig) -> Option<Notice> {
    let mut found = Vec::new();
    match config.auth.mode() {
        AuthMode::Disabled => found.push((
            "AuthenticationDisabled",
            "auth.mode is Disabled, so that anyone who reaches the Service can call every tool; set spec.config.auth.mode to \
             Required, or let a NetworkPolicy say who reaches it",
        )),
        AuthMode::Optional => found.push((
            "AuthenticationOptional",
            "auth.mode is Optional, so that callers without a key or token are let in; set spec.config.auth.mode to Required, or \
             restrict them by spec.config.auth.rules",
        )),
        AuthMode::Required => {}
    }
    if config.logging.requests.arguments == Some(LoggedArguments::Full) {
        found.push((
            "ArgumentsLogged",
            "logging.requests.arguments is Full, so that arguments of calls are logged unredacted; set \
             spec.config.logging.requests.arguments to Redact",
        ));
    }
    let reason = found.first()?.0;
    let message = found.iter().map(|(_, sentence)| *sentence).collect::<Vec<_>>().join("; ");
    Some(Notice { condition: condition::INSECURE_SETTINGS, reason, message })
}

/// Settings that come from the environment, and so stand in no `spec.config`.
fn environment(server: &ValidatedServer) -> Option<Notice> {
    let settings = &server.environment.settings;
    let shown: Vec<_> = settings.iter().map(|(name, setting)| format!("{setting} ({name})")).collect();
    (!shown.is_empty()).then(|| Notice {
        condition: condition::ENVIRONMENT_SETTINGS,
        reason: word::ENVIRONMENT,
        message: format!("spec.runtime.env sets {}", shown.join(", ")),
    })
}
