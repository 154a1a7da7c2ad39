//! The admin port: `/healthz` (the process answers), `/readyz` (every watch has delivered), `/metrics` (Prometheus text).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus::{Encoder as _, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::readiness::Readiness;

/// Connections served at the same time: a kubelet, a few scrapers, a person.
const MAX_CONNECTIONS: usize = 64;
/// A client that has not sent its request line and headers by then is let go.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// What the admin port shows.
#[derive(Clone)]
pub struct Admin {
    /// The registry behind `/metrics`.
    pub registry: Registry,
    /// The answer of `/readyz`.
    pub readiness: Readiness,
    /// Brings gauges up to date just before they are read, so that nothing keeps them current in between.
    pub before_scrape: Arc<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("readiness", &self.readiness).finish_non_exhaustive()
    }
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.readiness.check() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(waiting) => (StatusCode::SERVICE_UNAVAILABLE, waiting),
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    (admin.before_scrape)();
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&admin.registry.gather(), &mut text) {
        Ok(()) => {
            let kind = [(header::CONTENT_TYPE, encoder.format_type().to_owned())];
            (StatusCode::OK, kind, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Opens the port.
///
/// # Errors
/// The address is taken or not ours.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves the port until told to stop; it stays open while reconciles finish, so that a stopping operator can be watched.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => return,
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, or a client that left while it was being accepted: neither mends by asking at once.
                tracing::warn!(%error, "cannot accept a connection on the admin port");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let stop = stop.clone();
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                result = connection => if let Err(error) = result {
                    tracing::debug!(%error, "a connection on the admin port ended early");
                },
            }
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::metrics::Metrics;

    async fn ask(admin: &Admin, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(admin.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_three_pages_answer() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let gauge = metrics.watch.crd_missing.clone();
        let readiness = Readiness::default();
        let before_scrape = Arc::new(move || gauge.set(1));
        let admin = Admin { registry, readiness: readiness.clone(), before_scrape };
        assert_eq!(ask(&admin, "/healthz").await.0, StatusCode::OK);
        assert_eq!(ask(&admin, "/readyz").await.0, StatusCode::OK);
        readiness.wait_for("Pods", "first list under way");
        let (status, body) = ask(&admin, "/readyz").await;
        assert_eq!(
            (status, body.as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "Pods: first list under way\n")
        );
        let (status, body) = ask(&admin, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("mcp_operator_crd_missing 1"), "{body}");
    }
}
