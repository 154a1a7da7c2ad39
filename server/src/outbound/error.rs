//! Why a request to somewhere else came to nothing. Messages name host and port and never path, query, headers or body:
//! those may hold secrets.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    #[error("{0}")]
    Url(&'static str),
    #[error("cannot resolve {host}")]
    Resolve { host: String, source: io::Error },
    #[error("cannot resolve {host}: the name has no address")]
    NoAddress { host: String },
    #[error(
        "{host} leads to {address}, which is not a public address; if it is meant to, add it to outbound.allowPrivate"
    )]
    Private { host: String, address: IpAddr },
    #[error("cannot connect to {upstream}")]
    Connect { upstream: String, source: io::Error },
    #[error("cannot agree on TLS with {upstream}")]
    Tls { upstream: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{upstream} {doing} for longer than {after:?}")]
    Timeout { upstream: String, doing: Doing, after: Duration },
    #[error("the connection to {upstream} broke")]
    Exchange { upstream: String, source: hyper::Error },
    #[error("the answer of {upstream} is larger than {limit} bytes")]
    TooLarge { upstream: String, limit: usize },
    #[error("{upstream} answered with status {status}")]
    Status { upstream: String, status: u16 },
    #[error("the answer of {upstream} is not what was expected")]
    Json { upstream: String, source: serde_json::Error },
    #[error("the answer of {upstream} is compressed, which nobody asked for")]
    Encoded { upstream: String },
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Every connection that may be open was busy.
    Waiting,
    Connecting,
    Answering,
}

impl std::fmt::Display for Doing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Waiting => "had no connection to spare",
            Self::Connecting => "did not accept a connection",
            Self::Answering => "did not answer",
        })
    }
}

impl OutboundError {
    /// One word from a closed list, for metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Resolve { .. } | Self::NoAddress { .. } => "resolve",
            Self::Private { .. } => "private_address",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Timeout { .. } => "timeout",
            Self::Exchange { .. } => "broken",
            Self::TooLarge { .. } => "too_large",
            Self::Status { .. } => "status",
            Self::Json { .. } => "json",
            Self::Encoded { .. } => "encoded",
        }
    }

    /// Whether the upstream surely did not see the request: then trying again does no harm whatever the request does.
    #[must_use]
    pub const fn never_sent(&self) -> bool {
        matches!(
            self,
            Self::Url(_)
                | Self::Resolve { .. }
                | Self::NoAddress { .. }
                | Self::Private { .. }
                | Self::Connect { .. }
                | Self::Tls { .. }
                | Self::Timeout { doing: Doing::Waiting | Doing::Connecting, .. }
        )
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Resolve { .. } | Self::Connect { .. } | Self::Timeout { .. } | Self::Exchange { .. }
        )
    }

    /// Whether it says something about how the upstream fares, and not only about this one request.
    #[must_use]
    pub(super) const fn is_of_upstream(&self) -> bool {
        !matches!(
            self,
            Self::Url(_)
                | Self::Private { .. }
                | Self::TooLarge { .. }
                | Self::Json { .. }
                | Self::Encoded { .. }
                | Self::Timeout { doing: Doing::Waiting, .. }
        )
    }
}
