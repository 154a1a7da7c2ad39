//! The connection to the API server: timeouts, a bound on requests in flight, and respect for `Retry-After`.
//!
//! kube's own retries are off. They repeat a request up to fifteen times inside one call while it holds a reconcile's slot, and
//! would multiply with the backoff of the object. Here a request is made once; the object's backoff decides about the next one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{Request, Response, StatusCode, header};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tokio::time::{Instant, Sleep};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service};

use crate::metrics::ApiMetrics;

/// An API server that cannot be reached should be noticed while somebody still waits for the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection on which nothing arrives for this long is dead. Longer than a watch (290 s and 5 s of grace), which ends itself.
const READ_TIMEOUT: Duration = Duration::from_secs(310);
/// Requests whose answer has not begun, of all reconciles and watches together.
const MAX_IN_FLIGHT: usize = 64;
/// The longest that the API server can silence us.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// No connection can be made up from what is configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a kubeconfig nor a service account is there, or it cannot be read.
    #[error("no cluster to talk to: set KUBECONFIG, or run in a pod with a service account")]
    Config(#[source] Box<kube::config::InferConfigError>),
    /// The configuration names files or certificates that cannot be used.
    #[error("cannot prepare the connection to {url}")]
    Build {
        /// The API server.
        url: String,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
}

/// A client for the cluster that the environment names (`KUBECONFIG`, `~/.kube/config`, or the pod's service account).
///
/// # Errors
/// See [`Error`]. Whether the server answers is not tried here.
pub async fn connect(metrics: ApiMetrics) -> Result<Client, Error> {
    let mut config = Config::infer().await.map_err(|error| Error::Config(Box::new(error)))?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    config.default_retry = false;
    let url = config.cluster_url.to_string();
    let builder =
        ClientBuilder::try_from(config).map_err(|source| Error::Build { url, source: Box::new(source) })?;
    Ok(builder
        .with_layer(&ConcurrencyLimitLayer::new(MAX_IN_FLIGHT))
        .with_layer(&CourtesyLayer::new(metrics))
        .build())
}

/// Counts every request, and holds all of them back while the API server wants to be left alone (429 or 503 with `Retry-After`).
#[derive(Clone, Debug)]
pub struct CourtesyLayer {
    metrics: ApiMetrics,
}

impl CourtesyLayer {
    /// The layer; it counts into these metrics.
    pub fn new(metrics: ApiMetrics) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for CourtesyLayer {
    type Service = Courtesy<S>;

    fn layer(&self, inner: S) -> Courtesy<S> {
        Courtesy { inner, metrics: self.metrics.clone(), quiet_until: Arc::default(), pause: None }
    }
}

/// The service of [`CourtesyLayer`].
#[derive(Debug)]
pub struct Courtesy<S> {
    inner: S,
    metrics: ApiMetrics,
    /// Set by answers, which arrive in any order and after this service has gone on to other requests.
    quiet_until: Arc<Mutex<Option<Instant>>>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S, B> Service<Request<Body>> for Courtesy<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let until = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(until) = until {
            self.pause = Some(Box::pin(tokio::time::sleep_until(until)));
        }
        if let Some(pause) = self.pause.as_mut() {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (metrics, quiet_until) = (self.metrics.clone(), Arc::clone(&self.quiet_until));
        let method = request.method().as_str().to_owned();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let result = answer.await;
            match &result {
                Ok(response) => {
                    metrics.requests.with_label_values(&[method.as_str(), response.status().as_str()]).inc();
                    if let Some(pause) = pause_asked_for(response) {
                        *quiet_until.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(Instant::now() + pause);
                    }
                }
                Err(_) => metrics.requests.with_label_values(&[method.as_str(), "error"]).inc(),
            }
            result
        })
    }
}

/// The pause that an answer asks for (RFC 9110 §10.2.3; the API server sends whole seconds).
fn pause_asked_for<B>(response: &Response<B>) -> Option<Duration> {
    if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let seconds: u64 = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use prometheus::Registry;
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn after_a_retry_after_nobody_asks_before_that_time() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let server = service_fn(move |_: Request<Body>| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                let answer = Response::builder();
                let answer = if first {
                    answer.status(429).header(header::RETRY_AFTER, "5")
                } else {
                    answer.status(200)
                };
                Ok::<_, Infallible>(answer.body(()).unwrap())
            }
        });
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let mut service = CourtesyLayer::new(metrics.api.clone()).layer(server);
        let request = || Request::get("/").body(Body::empty()).unwrap();
        let started = Instant::now();
        assert_eq!(service.ready().await.unwrap().call(request()).await.unwrap().status(), 429);
        assert_eq!(service.ready().await.unwrap().call(request()).await.unwrap().status(), 200);
        assert!(started.elapsed() >= Duration::from_secs(5));
        assert_eq!(metrics.api.requests.with_label_values(&["GET", "429"]).get(), 1);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}
