//! Why a server did not start, and the exit code of each class of reasons.

use std::io;

use crate::auth::obtain::ObtainError;
use crate::backend::router::Duplicate;
use crate::observe::logs::LogError;
use crate::observe::telemetry::TelemetryError;
use crate::outbound::TlsError;
use crate::settings::Refused;
use crate::state_keys::StateKeyError;
use crate::tool::BadTool;

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
    Listen { component: &'static str, address: String, flag: &'static str, source: io::Error },
    #[error(
        "the limit of open files (RLIMIT_NOFILE) is {limit}, and a server needs {least} at least; raise it, as with ulimit -n 1024"
    )]
    Descriptors { limit: u64, least: u64 },
    #[error(transparent)]
    Keys(#[from] ObtainError),
    #[error(transparent)]
    StateKeys(#[from] StateKeyError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Tool(#[from] BadTool),
    #[error(transparent)]
    Offers(#[from] Duplicate),
    #[error("cannot set up connections to others")]
    Outbound(#[from] TlsError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
    #[error("standard input or output broke")]
    Stdio(#[source] io::Error),
}

impl StartError {
    /// The component that did not start.
    #[must_use]
    pub const fn component(&self) -> &'static str {
        match self {
            Self::Config(_) | Self::Read { .. } => "configuration",
            Self::Tool(_) | Self::Offers(_) => "tools",
            Self::Listen { component, .. } => component,
            Self::Keys(_) | Self::StateKeys(_) => "keys",
            Self::Log(_) => "log",
            Self::Outbound(_) => "outbound",
            Self::Telemetry(_) => "telemetry",
            Self::Signals(_) => "signals",
            Self::Descriptors { .. } => "ports",
            Self::Stdio(_) => "stdio",
        }
    }

    /// 2 where the configuration has to change, 3 where an address cannot be had, 4 where keys or secrets cannot be read
    /// or made, 5 where the log cannot be written, 1 for the rest.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Read { .. } | Self::Tool(_) | Self::Offers(_) => 2,
            Self::Listen { .. } => 3,
            Self::Keys(_) | Self::StateKeys(_) | Self::Outbound(_) | Self::Telemetry(_) => 4,
            Self::Log(_) => 5,
            Self::Signals(_) | Self::Stdio(_) | Self::Descriptors { .. } => 1,
        }
    }
}
