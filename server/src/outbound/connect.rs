//! From a host's name to a connection: resolved once, every address judged, connected to one that was.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::error::OutboundError;
use super::guard::Policy;
use super::target::Target;

/// Sends requests over one connection.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// How many names are resolved at once. The system's resolver blocks a thread for as long as it likes, and threads are
/// for others too; who has to wait for a turn waits no longer than for a connection.
const RESOLVING: usize = 4;
/// The most headers, and the most bytes of them, that an answer may have.
const MAX_HEADERS: usize = 128;
const MAX_HEAD: usize = 64 << 10;

/// Opens connections.
#[derive(Debug)]
pub(super) struct Connector {
    tls: Arc<ClientConfig>,
    resolving: Arc<Semaphore>,
}

impl Connector {
    pub(super) fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls, resolving: Arc::new(Semaphore::new(RESOLVING)) }
    }

    /// Opens a connection; `open` is dropped when it is closed. Takes as long as it takes, which at the latest is until
    /// `by`.
    pub(super) async fn connect<O: Send + 'static>(
        &self,
        target: &Target,
        policy: &Policy,
        by: Instant,
        open: O,
    ) -> Result<Sender, OutboundError> {
        let addresses = self.resolve(target).await?;
        for address in &addresses {
            // One bad address spoils them all: a name that leads both ways is a trap, or a mistake.
            if !policy.permits(target.guard, &target.host, address.ip()) {
                return Err(OutboundError::Private { host: target.host.clone(), address: address.ip() });
            }
        }
        let failed = |source| OutboundError::Connect { upstream: target.name(), source };
        let stream = first(&addresses, by).await.map_err(failed)?;
        // An answer in several small pieces must not wait for acknowledgements.
        stream.set_nodelay(true).map_err(failed)?;
        if target.tls {
            let refused = |source| OutboundError::Tls { upstream: target.name(), source };
            let name = ServerName::try_from(target.host.clone()).map_err(|error| refused(Box::new(error)))?;
            let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await;
            handshake(TokioIo::new(stream.map_err(|error| refused(Box::new(error)))?), target, open).await
        } else {
            handshake(TokioIo::new(stream), target, open).await
        }
    }

    async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, OutboundError> {
        if let Ok(address) = target.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, target.port)]);
        }
        let failed = |source| OutboundError::Resolve { host: target.host.clone(), source };
        let turn = self.resolving.clone().acquire_owned().await;
        let turn = turn.map_err(|error| failed(io::Error::other(error)))?;
        let place = (target.host.clone(), target.port);
        let resolved = tokio::task::spawn_blocking(move || {
            // Kept until the resolver is back, whether or not anybody still waits.
            let _turn = turn;
            place.to_socket_addrs().map(Vec::from_iter)
        });
        let addresses = resolved.await.map_err(|error| failed(io::Error::other(error)))?.map_err(failed)?;
        if addresses.is_empty() {
            return Err(OutboundError::NoAddress { host: target.host.clone() });
        }
        Ok(addresses)
    }
}

/// The first address that accepts; each gets an even share of the time that is left, so that a dead one does not take
/// all of it.
async fn first(addresses: &[SocketAddr], by: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = by.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)) / left;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

async fn handshake<T, O>(io: T, target: &Target, open: O) -> Result<Sender, OutboundError>
where
    T: Read + Write + Unpin + Send + 'static,
    O: Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_headers(MAX_HEADERS);
    builder.max_buf_size(MAX_HEAD);
    let broke = |source| OutboundError::Exchange { upstream: target.name(), source };
    let (sender, connection) = builder.handshake(io).await.map_err(broke)?;
    tokio::spawn(async move {
        let _open = open;
        // Whoever sends over it hears of the same error.
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to an upstream ended");
        }
    });
    Ok(sender)
}
