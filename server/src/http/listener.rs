//! Accepting connections, and letting go of them.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::poll;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use prometheus::{IntCounter, IntGauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::body::Payload;
use crate::http::pulse::{Busy, Patience, Pulse, Verdict};
use crate::http::roster::Roster;
use crate::http::watched::Watched;

/// Bytes of one request's headers, in all.
const MAX_HEADERS: usize = 64 * 1024;
/// Header fields of one request.
const MAX_HEADER_FIELDS: usize = 100;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How long a connection that was told to close may take over it while nothing is in flight.
const CLOSING: Duration = Duration::from_secs(5);
/// How long to wait between two looks for room.
const PAUSE: Duration = Duration::from_millis(10);
/// How often the log says that no connection can be accepted.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Answers HTTP requests.
pub trait Service: Clone + Send + Sync + 'static {
    fn call(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        busy: Busy,
    ) -> impl Future<Output = Result<Response<Payload>, Infallible>> + Send;
}

impl<F, R> Service for F
where
    F: Fn(Request<Incoming>, SocketAddr, Busy) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Response<Payload>, Infallible>> + Send,
{
    fn call(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        busy: Busy,
    ) -> impl Future<Output = Result<Response<Payload>, Infallible>> + Send {
        self(request, peer, busy)
    }
}

/// An open port.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
}

/// How a port is served.
#[derive(Clone, Debug)]
pub struct Settings {
    pub max_connections: usize,
    /// Descriptors that are kept back for connections to this port, where it must answer whatever else happens.
    pub spare_descriptors: usize,
    pub patience: Patience,
    pub open: Option<IntGauge>,
    pub accepted: Option<IntCounter>,
}

/// A port that is being served.
#[derive(Debug)]
pub struct Serving {
    accept: CancellationToken,
    finish: CancellationToken,
    abort: CancellationToken,
    tasks: TaskTracker,
}

impl Listener {
    /// Opens a port.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn open(address: &str) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }

    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Serves the port until it is told to stop.
    pub fn serve<S: Service>(self, service: S, settings: Settings) -> Serving {
        let serving = Serving {
            accept: CancellationToken::new(),
            finish: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let accept = serving.accept.clone();
        let connections = Connections {
            builder: builder(),
            service,
            patience: settings.patience,
            finish: serving.finish.clone(),
            abort: serving.abort.clone(),
        };
        let tasks = serving.tasks.clone();
        serving.tasks.spawn(async move {
            accept.run_until_cancelled(self.accept(connections, settings, tasks)).await;
        });
        serving
    }

    async fn accept<S: Service>(self, connections: Connections<S>, settings: Settings, tasks: TaskTracker) {
        let connections = Arc::new(connections);
        let room = Arc::new(Semaphore::new(settings.max_connections));
        let roster = Arc::new(Roster::default());
        let mut spare = Spare::new(settings.spare_descriptors);
        loop {
            let (stream, peer) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if is_of_one_connection(&error) || spare.give_up_one() {
                        continue;
                    }
                    roster.make_room();
                    spare.warn(&error);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let permit = make_room(&room, &roster).await;
            spare.fill();
            if let Some(accepted) = &settings.accepted {
                accepted.inc();
            }
            let open = settings.open.clone().map(Open::new);
            let connections = connections.clone();
            let (pulse, close) = (Pulse::new(connections.patience), connections.finish.child_token());
            let place = roster.enter(pulse.clone(), close.clone());
            tasks.spawn(async move {
                let _held = (permit, open, place);
                connections.run(stream, peer, pulse, close).await;
            });
        }
    }
}

/// A permit for one more connection. Where there is none, a connection is closed that only waits for its client; where
/// all are at work, those over the cap wait in the kernel's queue, which costs nothing here.
async fn make_room(room: &Arc<Semaphore>, roster: &Roster) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(permit) = room.clone().try_acquire_owned() {
            return Some(permit);
        }
        roster.make_room();
        if let Ok(permit) = tokio::time::timeout(PAUSE, room.clone().acquire_owned()).await {
            // It is never closed.
            return permit.ok();
        }
    }
}

/// Descriptors that are kept back, so that a connection can be accepted when the process has no others left.
struct Spare {
    kept: Vec<File>,
    most: usize,
    warned: Option<Instant>,
}

impl Spare {
    fn new(most: usize) -> Self {
        let mut spare = Self { kept: Vec::new(), most, warned: None };
        spare.fill();
        spare
    }

    fn fill(&mut self) {
        while self.kept.len() < self.most {
            // Where there is none to be had now, there may be one after the next connection.
            let Ok(file) = File::open("/dev/null") else { return };
            self.kept.push(file);
        }
    }

    /// Closes one of them; false where there is none left.
    fn give_up_one(&mut self) -> bool {
        self.kept.pop().is_some()
    }

    /// Says at most once in a while that nothing can be accepted.
    fn warn(&mut self, error: &io::Error) {
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_EVERY) {
            self.warned = Some(Instant::now());
            tracing::warn!(%error, "cannot accept connections; closing idle ones and trying again");
        }
    }
}

impl Serving {
    /// Stops accepting, and asks every connection to finish what it is doing.
    pub fn finish(&self) {
        self.accept.cancel();
        self.finish.cancel();
        self.tasks.close();
    }

    /// Waits until all connections are gone.
    pub async fn finished(&self) {
        self.tasks.wait().await;
    }

    /// Cuts what is left.
    pub async fn abort(&self) {
        self.finish();
        self.abort.cancel();
        self.tasks.wait().await;
    }
}

/// An error that says nothing of the connections to come.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Counts a connection while it is open.
struct Open(IntGauge);

impl Open {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Pulse watches headers, and does not count the pause between two requests.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADERS)
        // No `pipeline_flush`: with it the answer to headers that are too large is never sent.
        .max_headers(MAX_HEADER_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEADERS).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// What all connections of a port have in common.
struct Connections<S> {
    builder: Builder<TokioExecutor>,
    service: S,
    patience: Patience,
    finish: CancellationToken,
    abort: CancellationToken,
}

impl<S: Service> Connections<S> {
    /// Serves a connection until it ends, is to end (`close`), or is not worth keeping any more.
    async fn run(&self, stream: TcpStream, peer: SocketAddr, pulse: Arc<Pulse>, close: CancellationToken) {
        // Without this an answer in two writes waits for an acknowledgement that the peer delays by 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let io = TokioIo::new(Watched::new(stream, pulse.clone()));
        let service = hyper::service::service_fn(|request: Request<Incoming>| {
            let busy = pulse.request(request.version());
            let service = self.service.clone();
            async move { service.call(request, peer, busy).await }
        });
        let mut connection = std::pin::pin!(self.builder.serve_connection(io, service));
        let mut look = std::pin::pin!(tokio::time::sleep(self.patience.header));
        let mut finishing = false;
        loop {
            tokio::select! {
                // In this order: every request wakes this loop twice, and what it polls besides is what it pays for.
                // Hence one token at a time, too: an abort cancels both.
                biased;
                // What the client did wrong is its own business; what we did shows in the metrics.
                _ended = connection.as_mut() => return,
                () = self.abort.cancelled(), if finishing => return,
                () = close.cancelled(), if !finishing => {
                    finishing = true;
                    connection.as_mut().graceful_shutdown();
                    if self.finish.is_cancelled() {
                        look.as_mut().reset(tokio::time::Instant::now());
                    } else if poll!(connection.as_mut()).is_ready() || pulse.waits().is_some() {
                        // Another connection takes its place. Where a request has come meanwhile, that is answered.
                        return;
                    }
                }
                () = look.as_mut() => match pulse.judge() {
                    _ if finishing && pulse.only_discards() => return,
                    Verdict::Keep(until) => look.as_mut().reset(until.into()),
                    Verdict::CloseIdle if !finishing => {
                        finishing = true;
                        connection.as_mut().graceful_shutdown();
                        look.as_mut().reset(tokio::time::Instant::now() + CLOSING);
                    }
                    Verdict::CloseIdle => return,
                    Verdict::Drop(why) => {
                        tracing::debug!(why, "dropping a connection");
                        return;
                    }
                },
            }
        }
    }
}
