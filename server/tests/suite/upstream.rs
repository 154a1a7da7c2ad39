//! A server that the server under test asks, on a port of its own: well behaved, or bad in the way that a test needs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

type Handler = dyn Fn(Request<Bytes>) -> BoxFuture<'static, Response<Full<Bytes>>> + Send + Sync;

/// An HTTP server in this process.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

/// What an upstream has seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) connections: watch::Sender<usize>,
    /// Requests that have arrived, been answered, been taken back.
    pub(crate) begun: watch::Sender<usize>,
    pub(crate) ended: watch::Sender<usize>,
    pub(crate) dropped: watch::Sender<usize>,
    /// The most requests at any time.
    pub(crate) most: watch::Sender<usize>,
    pub(crate) requests: Mutex<Vec<Request<Bytes>>>,
}

impl Seen {
    fn new() -> Arc<Self> {
        let zero = || watch::Sender::new(0);
        Arc::new(Self {
            connections: zero(),
            begun: zero(),
            ended: zero(),
            dropped: zero(),
            most: zero(),
            requests: Mutex::default(),
        })
    }

    pub(crate) fn last(&self) -> Request<Bytes> {
        self.requests.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        *self.begun.borrow()
    }
}

/// Counts a request that is dropped before it is answered.
struct Answering(Arc<Seen>, bool);

impl Drop for Answering {
    fn drop(&mut self) {
        let counter = if self.1 { &self.0.ended } else { &self.0.dropped };
        counter.send_modify(|count| *count += 1);
    }
}

impl Upstream {
    /// Answers with `handler`.
    pub(crate) async fn start<F, R>(handler: F) -> Self
    where
        F: Fn(Request<Bytes>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self::serve(None, boxed(handler)).await
    }

    /// Answers with `handler`, over TLS, in the name of `localhost`.
    pub(crate) async fn start_tls<F, R>(authority: &Authority, handler: F) -> Self
    where
        F: Fn(Request<Bytes>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self::serve(Some(authority.acceptor("localhost")), boxed(handler)).await
    }

    async fn serve(tls: Option<TlsAcceptor>, handler: Arc<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::new();
        let accepting = tokio::spawn(accept(listener, tls, handler, seen.clone()));
        Self { address, seen, accepting }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn boxed<F, R>(handler: F) -> Arc<Handler>
where
    F: Fn(Request<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    Arc::new(move |request| Box::pin(handler(request)))
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, handler: Arc<Handler>, seen: Arc<Seen>) {
    // Dropped with the task: whoever is connected is cut off.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        seen.connections.send_modify(|count| *count += 1);
        let (handler, seen, tls) = (handler.clone(), seen.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                None => connection(stream, handler, seen).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, handler, seen).await;
                    }
                }
            }
        });
    }
}

async fn connection<T>(stream: T, handler: Arc<Handler>, seen: Arc<Seen>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, seen) = (handler.clone(), seen.clone());
        async move {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, body.collect().await?.to_bytes());
            seen.requests.lock().unwrap().push(request.clone());
            seen.begun.send_modify(|count| *count += 1);
            let open = *seen.begun.borrow() - *seen.ended.borrow() - *seen.dropped.borrow();
            seen.most.send_modify(|most| *most = open.max(*most));
            let mut answering = Answering(seen, false);
            let response = handler(request).await;
            answering.1 = true;
            Ok::<_, hyper::Error>(response)
        }
    });
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

/// Does with every connection what a test likes.
pub(crate) async fn raw<F, R>(handler: F) -> (SocketAddr, JoinHandle<()>)
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handler(stream));
        }
    });
    (address, accepting)
}

/// A certificate authority that only this test knows.
pub(crate) struct Authority {
    pub(crate) bundle: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path().join("ca.pem");
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(&bundle, certificate.pem()).unwrap();
        Self { bundle, issuer: Issuer::new(params, key), directory }
    }

    fn signed(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Files with a certificate for `name` and its key.
    pub(crate) fn certificate(&self, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.signed(name);
        let path = |kind| self.directory.path().join(format!("{name}.{kind}.pem"));
        let (certificate_path, key_path) = (path("certificate"), path("key"));
        std::fs::write(&certificate_path, certificate.pem()).unwrap();
        std::fs::write(&key_path, key.serialize_pem()).unwrap();
        (certificate_path, key_path)
    }

    /// Accepts TLS with a certificate for `name`.
    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let (certificate, key) = self.signed(name);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

pub(crate) fn text(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}
