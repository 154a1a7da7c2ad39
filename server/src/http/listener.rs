//! Accepting connections, and letting go of them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use prometheus::{IntCounter, IntGauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::body::Payload;
use crate::http::pulse::{Busy, Patience, Pulse, Verdict, Watched};

/// Bytes of one request's headers, in all.
const MAX_HEADERS: usize = 64 * 1024;
/// Header fields of one request.
const MAX_HEADER_FIELDS: usize = 100;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How long a connection that was told to close may take over it while nothing is in flight.
const CLOSING: Duration = Duration::from_secs(5);

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
        loop {
            // Those over the cap wait in the kernel's queue, which costs nothing here.
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            let (stream, peer) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !is_of_one_connection(&error) {
                        tracing::warn!(%error, "cannot accept connections; trying again in a second");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    continue;
                }
            };
            if let Some(accepted) = &settings.accepted {
                accepted.inc();
            }
            let open = settings.open.clone().map(Open::new);
            let connections = connections.clone();
            tasks.spawn(async move {
                let _held = (permit, open);
                connections.run(stream, peer).await;
            });
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
    async fn run(&self, stream: TcpStream, peer: SocketAddr) {
        // Without this an answer in two writes waits for an acknowledgement that the peer delays by 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let pulse = Pulse::new(self.patience);
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
                () = self.finish.cancelled(), if !finishing => {
                    finishing = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = look.as_mut() => match pulse.judge() {
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
