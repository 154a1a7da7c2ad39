//! The admin port: `/health`, `/ready`, `/metrics`, `/status`, `/troubles`. It opens first and closes last, and nobody but probes,
//! Prometheus and operators should reach it.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use mcp_server_config::MetricsMode;
use mcp_server_config::constants::{HEALTH_PATH, METRICS_PATH, READY_PATH, STATUS_PATH, TROUBLES_PATH};

use crate::dispatch::Dispatcher;
use crate::http::body::Payload;
use crate::http::pulse::Busy;
use crate::http::{json, plain, rest};
use crate::lifecycle::Lifecycle;
use crate::status::{Board, Serving};
use crate::troubles::Troubles;

/// What stands behind the admin port. Until something serves, it knows that the process lives.
#[derive(Debug)]
pub struct Admin {
    pub lifecycle: Arc<Lifecycle>,
    pub board: Arc<Board>,
    pub serving: Arc<OnceLock<Serving>>,
    pub troubles: Troubles,
}

const METRICS_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

impl Admin {
    /// Answers one HTTP request.
    ///
    /// # Errors
    /// Never: every failure is an answer.
    pub async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
        busy: Busy,
    ) -> Result<Response<Payload>, Infallible> {
        let (head, body) = request.into_parts();
        let (method, path) = (&head.method, head.uri.path());
        let mut response = if is_read(method) && path == TROUBLES_PATH && self.serving.get().is_some() {
            // This waits for news, and can be asked again: connections that need an answer now come first.
            let _gives_way = busy.receiving();
            self.troubles.answer(head.uri.query(), self.board.health(), &self.lifecycle).await
        } else {
            self.answer(method, path)
        };
        if !body.is_end_stream() {
            Box::pin(rest::settle(body, &head, busy.again(), &mut response)).await;
        }
        Ok(response.map(|body| body.carrying(None, busy)))
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Payload> {
        if !is_read(method) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "this port is only read from\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            HEALTH_PATH => self.lifecycle.health(),
            READY_PATH => self.lifecycle.readiness(),
            METRICS_PATH => self.serving.get().map_or_else(starting, |serving| metrics(&serving.dispatcher)),
            STATUS_PATH => self.serving.get().map_or_else(starting, |serving| {
                json(StatusCode::OK, self.board.render(serving, &self.lifecycle))
            }),
            // Nothing is known yet; what is known is answered above.
            TROUBLES_PATH => starting(),
            _ => plain(
                StatusCode::NOT_FOUND,
                format!(
                    "nothing here; there are {HEALTH_PATH}, {READY_PATH}, {METRICS_PATH}, {STATUS_PATH} and {TROUBLES_PATH}\n"
                ),
            ),
        }
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn starting() -> Response<Payload> {
    plain(StatusCode::SERVICE_UNAVAILABLE, "starting\n")
}

fn metrics(dispatcher: &Dispatcher) -> Response<Payload> {
    if dispatcher.snapshot().config.service.metrics.mode() == MetricsMode::Off {
        return plain(StatusCode::NOT_FOUND, "metrics are off (metrics.mode)\n");
    }
    match dispatcher.metrics.render() {
        Ok(text) => {
            let mut response = plain(StatusCode::OK, text);
            response.headers_mut().insert(CONTENT_TYPE, METRICS_TYPE);
            response
        }
        Err(error) => {
            tracing::error!(%error, "cannot render the metrics");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be rendered; the log says why\n")
        }
    }
}
