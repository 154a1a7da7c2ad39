//! Why a request to somewhere else came to nothing. Messages name host and port and never path, query, headers or body:
//! those may hold secrets.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::human::Human;

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
    #[error("{}", Late { upstream, doing: *doing, after: *after, queue: *queue })]
    Timeout { upstream: String, doing: Doing, after: Duration, queue: Queue },
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

/// How a request fared before it had a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// How long it waited for one of the connections of the pool.
    pub waited: Duration,
    /// How many there may be: `performance.connectionPoolSize`.
    pub limit: usize,
}

/// A timeout in words: what was waited for, how long, and which setting decides about it.
struct Late<'a> {
    upstream: &'a str,
    doing: Doing,
    after: Duration,
    queue: Queue,
}

impl fmt::Display for Late<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SETTING: &str = "performance.connectionPoolSize";
        let Self { upstream, doing, after, queue: Queue { waited, limit } } = *self;
        let after = Human(after);
        match doing {
            Doing::Waiting => {
                return write!(
                    f,
                    "no connection to {upstream} became free within {after}: the pool holds {limit} ({SETTING}), all in use"
                );
            }
            Doing::Connecting => write!(f, "{upstream} did not accept a connection within {after}")?,
            Doing::Answering => write!(f, "{upstream} did not answer within {after}")?,
        }
        if waited.is_zero() {
            return Ok(());
        }
        let waited = Human(waited);
        write!(
            f,
            "; before, the request waited {waited} for a connection of the pool, which holds {limit} ({SETTING})"
        )
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
        ) && !self.is_of_queue()
    }

    /// Whether most of the time went by before there was a connection.
    const fn is_of_queue(&self) -> bool {
        matches!(self, Self::Timeout { after, queue, .. } if queue.waited.as_millis() > after.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_says_what_was_waited_for_and_how_long() {
        let of = |doing, after, waited, limit| {
            let (after, waited) = (Duration::from_millis(after), Duration::from_millis(waited));
            let queue = Queue { waited, limit };
            OutboundError::Timeout { upstream: "a.example:443".to_owned(), doing, after, queue }
        };
        for (error, text, blames) in [
            (
                of(Doing::Waiting, 11_987, 0, 10),
                "no connection to a.example:443 became free within 12 s: the pool holds 10 (performance.connectionPoolSize), all in use",
                false,
            ),
            (of(Doing::Answering, 1500, 0, 10), "a.example:443 did not answer within 1.5 s", true),
            (
                of(Doing::Answering, 250, 29_750, 1),
                "a.example:443 did not answer within 250 ms; before, the request waited 30 s for a connection of the pool, which holds 1 (performance.connectionPoolSize)",
                false,
            ),
            (
                of(Doing::Connecting, 5000, 0, 10),
                "a.example:443 did not accept a connection within 5 s",
                true,
            ),
        ] {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.is_of_upstream(), blames, "{text}");
        }
    }
}
