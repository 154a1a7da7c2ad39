//! The server as a client: requests to upstreams, identity providers and whatever else it asks on its own account.
//!
//! HTTP/1.1, with TLS where the URL says so. Every request states what it will put up with ([`Terms`]): how far its URL
//! is trusted, how large an answer may be, and until when it is of use. Redirects are answers like any other and never
//! followed; answers are never decompressed. Connections are kept, counted and bounded per upstream.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, HeaderValue};
use http::{Method, Request, Response};
use mcp_server_config::ServiceConfig;
use prometheus::Registry;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::observe::health::{State, Told};
use crate::reload::chain;

mod connect;
mod error;
mod exchange;
mod guard;
mod pool;
mod stats;
mod target;
mod tls;

pub use error::{Doing, OutboundError};
pub use guard::{Guard, is_public};
pub use stats::UpstreamStatus;
pub use tls::{TlsError, client_config};

use connect::Connector;
use guard::Policy;
use pool::Upstream;
use target::Target;

/// How long connecting may take unless a request says otherwise: resolving, TCP and TLS together.
pub const CONNECT: Duration = Duration::from_secs(5);
/// The most upstreams that are remembered. Beyond them connections are not kept.
const MAX_UPSTREAMS: usize = 256;
/// How often unused connections are looked for.
const REAP: Duration = Duration::from_secs(10);
/// For how long an upstream is shown that nobody asks and no tool names.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What a request puts up with.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How far the URL is trusted.
    pub guard: Guard,
    /// The largest body of an answer, in bytes; reading stops there.
    pub limit: usize,
    /// When the answer stops being useful.
    pub deadline: Instant,
    /// How long connecting may take.
    pub connect: Duration,
}

impl Terms {
    #[must_use]
    pub fn new(guard: Guard, limit: usize, deadline: Instant) -> Self {
        Self { guard, limit, deadline, connect: CONNECT }
    }
}

/// Which upstreams are worth telling of.
#[derive(Debug, Default)]
struct Known {
    /// Those that tools name, whether anybody asks them or not.
    declared: HashSet<Target>,
    /// Of the others, those that were asked since then.
    since: Option<Instant>,
}

impl Known {
    fn has(&self, upstream: &Upstream) -> bool {
        let recently =
            |asked: Instant| self.since.is_none_or(|since| asked >= since) && asked.elapsed() < REMEMBERED;
        self.declared.contains(&upstream.target) || upstream.asked().is_some_and(recently)
    }
}

/// Sends requests. Cheap to clone; all clones share connections and settings.
#[derive(Clone, Debug)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    connector: Connector,
    policy: ArcSwap<Policy>,
    /// Connections for each upstream.
    limit: AtomicUsize,
    upstreams: Mutex<HashMap<Target, Arc<Upstream>>>,
    known: Mutex<Known>,
    metrics: stats::Metrics,
    reaper: OnceLock<()>,
}

impl Client {
    /// A client under the settings of `config`. It believes the authorities that browsers trust and, where there is one,
    /// those in the file `bundle` (which `SSL_CERT_FILE` names).
    ///
    /// # Errors
    /// Where the bundle cannot be read.
    pub fn new(config: &ServiceConfig, bundle: Option<&Path>, registry: &Registry) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Shared {
            connector: Connector::new(client_config(bundle)?),
            policy: ArcSwap::from_pointee(Policy::new(&config.outbound)),
            limit: AtomicUsize::new(config.performance.connection_pool_size()),
            upstreams: Mutex::default(),
            known: Mutex::default(),
            metrics: stats::Metrics::register(registry),
            reaper: OnceLock::new(),
        })))
    }

    /// Goes by other settings from now on. Connections stay, as far as there is still room for them, but for those
    /// that may no longer be what the settings allow.
    pub fn reconfigure(&self, config: &ServiceConfig) {
        let limit = config.performance.connection_pool_size();
        self.0.policy.store(Arc::new(Policy::new(&config.outbound)));
        self.0.limit.store(limit, Ordering::Relaxed);
        for upstream in self.0.upstreams().values() {
            upstream.set_limit(limit);
            if upstream.target.guard == Guard::Learned {
                upstream.close_idle();
            }
        }
    }

    /// Sends a request to an absolute URL and reads the answer whole, whatever its status. Dropping the future takes the
    /// request back.
    ///
    /// # Errors
    /// Where there is no answer, or not one that `terms` allow.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        terms: Terms,
    ) -> Result<Response<Bytes>, OutboundError> {
        self.reap();
        let upstream = self.0.upstream(Target::of(request.uri(), terms.guard)?);
        let policy = self.0.policy.load_full();
        let outcome = exchange::exchange(&upstream, &self.0.connector, &policy, request, terms).await;
        let (word, failure) = match &outcome {
            Ok(response) => (class(response.status().as_u16()), failing(&upstream, response)),
            Err(error) => (error.reason(), error.is_of_upstream().then(|| chain(error))),
        };
        upstream.counted.ended(word);
        if outcome.as_ref().err().is_none_or(OutboundError::is_of_upstream) {
            upstream.note(failure);
        }
        outcome
    }

    /// Asks for a JSON document.
    ///
    /// # Errors
    /// Where there is no answer, where its status is not 200, and where it is not the JSON of a `T`.
    pub async fn get_json<T: DeserializeOwned>(&self, url: &str, terms: Terms) -> Result<T, OutboundError> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = url.parse().map_err(|_| OutboundError::Url("the URL cannot be read"))?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let upstream = Target::of(request.uri(), terms.guard)?.name();
        let response = self.send(request, terms).await?;
        read_json(upstream, &response)
    }

    /// Shows the hosts of these URLs from now on, asked or not, instead of those that were named before.
    pub fn declare<'a>(&self, urls: impl Iterator<Item = &'a str>) {
        // What is no URL fails when it is asked.
        let targets = urls.filter_map(|url| Target::of(&url.parse().ok()?, Guard::Configured).ok());
        let targets: HashSet<_> = targets.take(MAX_UPSTREAMS).collect();
        for target in &targets {
            self.0.upstream(target.clone());
        }
        self.0.known().declared = targets;
    }

    /// Shows no others any more but those that were asked since.
    pub fn forget(&self, asked_before: Instant) {
        self.0.known().since = Some(asked_before);
    }

    /// How the upstreams fare, all together.
    #[must_use]
    pub fn told(&self) -> Told {
        let all = self.upstreams();
        let of = |state| all.iter().filter(move |upstream| upstream.state == state);
        // Errors name the upstream.
        let failing: Vec<_> =
            of(State::Unhealthy).filter_map(|upstream| upstream.last_error.as_deref()).collect();
        let (asked, unknown) = (of(State::Healthy).count(), of(State::Unknown).count());
        match (failing.is_empty(), asked, unknown) {
            (false, ..) => Told::unhealthy(failing.join("; ")),
            (true, 0, 0) => Told::not_used("nothing of the configuration asks another server"),
            (true, 0, unknown) => Told::unknown(format!("{unknown} not asked yet")),
            (true, asked, 0) => Told::healthy(format!("{asked} healthy")),
            (true, asked, unknown) => Told::healthy(format!("{asked} healthy, {unknown} not asked yet")),
        }
    }

    /// Every upstream that is known, by name.
    #[must_use]
    pub fn upstreams(&self) -> Vec<UpstreamStatus> {
        let known = self.0.known();
        let upstreams = self.0.upstreams();
        let shown = upstreams.values().filter(|upstream| known.has(upstream));
        let mut all: Vec<_> = shown.map(|upstream| upstream.status()).collect();
        drop((upstreams, known));
        all.sort_by(|one, other| one.upstream.cmp(&other.upstream));
        all
    }

    /// Sees to it that unused connections are closed for as long as the client lives.
    fn reap(&self) {
        self.0.reaper.get_or_init(|| {
            let shared = Arc::downgrade(&self.0);
            tokio::spawn(reap(shared));
        });
    }
}

// === impl Shared ===

impl Shared {
    fn upstreams(&self) -> MutexGuard<'_, HashMap<Target, Arc<Upstream>>> {
        // Nothing panics while it is held.
        self.upstreams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upstream(&self, target: Target) -> Arc<Upstream> {
        let mut upstreams = self.upstreams();
        if let Some(upstream) = upstreams.get(&target) {
            return upstream.clone();
        }
        let limit = self.limit.load(Ordering::Relaxed);
        let upstream = Arc::new(Upstream::new(target.clone(), self.metrics.of(&target), limit));
        if upstreams.len() < MAX_UPSTREAMS {
            upstreams.insert(target, upstream.clone());
        }
        upstream
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what was unused for too long, and lets go of upstreams that are neither used nor known.
    fn reap(&self) {
        let known = self.known();
        self.upstreams().retain(|target, upstream| {
            upstream.reap();
            // Hosts that were learned come and go.
            let stays = !upstream.is_unused() || (target.guard == Guard::Configured && known.has(upstream));
            if !stays {
                self.metrics.forget(&upstream.counted);
            }
            stays
        });
    }
}

async fn reap(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(REAP).await;
        let Some(shared) = shared.upgrade() else { return };
        shared.reap();
    }
}

/// Reads an answer as JSON.
///
/// # Errors
/// Where its status is not 200, and where it is not the JSON of a `T`.
pub fn read_json<T: DeserializeOwned>(
    upstream: String,
    response: &Response<Bytes>,
) -> Result<T, OutboundError> {
    if response.status() != 200 {
        return Err(OutboundError::Status { upstream, status: response.status().as_u16() });
    }
    if response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(OutboundError::Encoded { upstream });
    }
    serde_json::from_slice(response.body()).map_err(|source| OutboundError::Json { upstream, source })
}

/// What an answer says that comes not from the upstream but from what stands before it, or from one that gives up.
fn failing(upstream: &Upstream, response: &Response<Bytes>) -> Option<String> {
    matches!(response.status().as_u16(), 502..=504)
        .then(|| format!("{} answered with status {}", upstream.target.name(), response.status().as_u16()))
}

const fn class(status: u16) -> &'static str {
    match status {
        0..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
