//! What is asked of an authorization server, and how it answers: the seam to the HTTP client.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, StatusCode};

/// How far a URL is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It stands in the configuration: it may be a private address.
    Configured,
    /// An answer named it: only public addresses.
    Learned,
}

/// What an answer may be at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub trust: Trust,
    /// Bytes of the body.
    pub body: usize,
    /// From the question to the last byte.
    pub time: Duration,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub status: StatusCode,
    pub body: Bytes,
}

/// Why there is none. Says nothing of what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    pub message: String,
    /// Whether the server got the question. Where it did not, no other question will fare better just now.
    pub reached: bool,
}

/// Asks authorization servers.
pub trait Fetch: Send + Sync + Debug + 'static {
    /// Sends one request. Redirects are not followed.
    fn fetch(
        &self,
        request: Request<Bytes>,
        bounds: Bounds,
    ) -> BoxFuture<'static, Result<Fetched, FetchError>>;
}
