//! The HTTP door: bytes in, bytes out. No rule of MCP lives here.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE,
    RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use mcp_server_config::constants::{HEALTH_PATH, READY_PATH};
use tokio::sync::mpsc::{self, Sender};

use crate::auth::principal::{Caller, Principal};
use crate::auth::{Denied, TAKES_KEYS};
use crate::backend::NOTICES;
use crate::dispatch::limits::Share;
use crate::dispatch::record::Record;
use crate::dispatch::snapshot::Snapshot;
use crate::dispatch::{Arrival, Dispatcher, Reply, tells};
use crate::http::body::Payload;
use crate::http::pulse::Busy;
use crate::http::sse::{Begun, EventStream, Rest};
use crate::lifecycle::Lifecycle;
use crate::protocol::answer::Message;
use crate::protocol::errors::{Code, Fault};

pub mod body;
pub mod forwarded;
pub mod listener;
pub mod negotiate;
mod no_oauth;
pub mod origin;
pub mod pulse;
pub(crate) mod rest;
mod roster;
pub mod sse;
mod strict;
mod watched;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Headers of an answer that a web page may read.
const CORS_RESPONSE_HEADERS: HeaderValue =
    HeaderValue::from_static("WWW-Authenticate, Retry-After, Mcp-Session-Id");

/// What stands behind the MCP port.
#[derive(Debug)]
pub struct Door {
    dispatcher: Arc<Dispatcher>,
    lifecycle: Arc<Lifecycle>,
    path: String,
    body_within: Duration,
}

impl Door {
    #[must_use]
    pub fn new(dispatcher: Arc<Dispatcher>, lifecycle: Arc<Lifecycle>, path: String) -> Self {
        Self { dispatcher, lifecycle, path, body_within: body::ARRIVAL }
    }

    /// Changes how long a body may take to arrive.
    #[must_use]
    pub fn with_body_within(self, body_within: Duration) -> Self {
        Self { body_within, ..self }
    }

    /// Answers one HTTP request.
    ///
    /// # Errors
    /// Never: every failure is an answer.
    pub async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
        busy: Busy,
    ) -> Result<Response<Payload>, Infallible> {
        let (mut head, body) = request.into_parts();
        let (mut body, mut record) = (Some(body), None);
        let mut response = match head.uri.path() {
            path if self.is_endpoint(path) => {
                let record = record.insert(self.record(peer));
                self.endpoint(&mut head, &mut body, peer, &busy, record).await
            }
            path if self.metadata_at(path).is_some() => self.metadata(&head),
            HEALTH_PATH => self.lifecycle.health(),
            READY_PATH => self.lifecycle.readiness(),
            path if no_oauth::is_asked_for(path) && self.dispatcher.snapshot().auth.takes_keys_alone() => {
                no_oauth::answer(&head.method, path, record.insert(self.record(peer)))
            }
            path => {
                let fault = self.no_such_path(path);
                respond(Reply::refused(None, &fault, None, record.insert(self.record(peer))))
            }
        };
        if let Some(body) = body.filter(|body| !body.is_end_stream()) {
            Box::pin(rest::settle(body, &head, busy.again(), &mut response)).await;
        }
        if self.lifecycle.is_draining() && head.version < Version::HTTP_2 {
            // The client is to find another replica for its next request. (HTTP/2 says GOAWAY at the end of the delay.)
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| body.carrying(record, busy)))
    }

    /// What clients are told of OAuth, where that is asked for at `path`.
    fn metadata_at(&self, path: &str) -> Option<Bytes> {
        if !path.starts_with("/.well-known/") {
            return None;
        }
        let snapshot = self.dispatcher.snapshot();
        let metadata = snapshot.auth.metadata.as_ref().filter(|metadata| metadata.is_at(path))?;
        Some(metadata.document.clone())
    }

    /// Anybody may read it, from any page, and keep it for a while (RFC 9728, section 3).
    fn metadata(&self, head: &Parts) -> Response<Payload> {
        let document = self.metadata_at(head.uri.path()).unwrap_or_default();
        let mut response = match head.method {
            Method::GET | Method::HEAD => json(StatusCode::OK, document),
            Method::OPTIONS => {
                let mut response = Response::new(Payload::default());
                *response.status_mut() = StatusCode::NO_CONTENT;
                let headers = response.headers_mut();
                headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
                headers
                    .insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("MCP-Protocol-Version"));
                headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
                response
            }
            _ => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "this is only read\n");
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        response
    }

    fn record(&self, peer: SocketAddr) -> Record {
        let entry = self.dispatcher.requests.begin(Some(peer.ip()));
        Record::begin(self.dispatcher.metrics.clone()).noted(entry)
    }

    fn is_endpoint(&self, path: &str) -> bool {
        path == self.path || path.strip_suffix('/') == Some(&self.path)
    }

    fn no_such_path(&self, path: &str) -> Fault {
        Fault::new(Code::WrongPath, format!("there is nothing at {path:?}; MCP is spoken at {:?}", self.path))
    }

    /// The MCP endpoint, from Origin and Host to the answer. What it leaves of `body` is not read. What is cheap to refuse is refused first.
    async fn endpoint(
        &self,
        head: &mut Parts,
        body: &mut Option<Incoming>,
        peer: SocketAddr,
        busy: &Busy,
        record: &mut Record,
    ) -> Response<Payload> {
        let snapshot = self.dispatcher.snapshot();
        let address = snapshot.proxies.client(peer.ip(), &head.headers);
        record.from(address);
        let origin = match snapshot.gate.check(&head.uri, &head.headers) {
            Ok(origin) => origin.cloned(),
            Err(fault) => return respond(Reply::refused(None, &fault, None, record)),
        };
        let mut response = if head.method == Method::OPTIONS && origin.is_some() {
            record.ok();
            preflight(&snapshot)
        } else if head.method == Method::POST {
            self.post(&snapshot, head, body, address, busy, record).await
        } else {
            self.other_method(&snapshot, head, address, record).await
        };
        if let Some(origin) = origin {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, CORS_RESPONSE_HEADERS);
            headers.insert(VARY, HeaderValue::from_static("Origin"));
        }
        response
    }

    /// A method that is not spoken here. Who looks whether there is a stream is told first that a token is needed, as
    /// OAuth clients expect.
    async fn other_method(
        &self,
        snapshot: &Arc<Snapshot>,
        head: &Parts,
        address: IpAddr,
        record: &mut Record,
    ) -> Response<Payload> {
        if snapshot.auth.access.oauth.is_some()
            && matches!(head.method, Method::GET | Method::HEAD)
            && let Err(response) = self.identify(snapshot, head, address, record).await
        {
            return response;
        }
        let message = format!(
            "{} is not supported: send each message as a POST; there are no streams or sessions to GET or DELETE",
            head.method
        );
        let fault = Fault::new(Code::MethodNotAllowed, message);
        let mut response = if snapshot.auth.takes_keys_alone() {
            record.fault(fault.code);
            record.refused(fault.code.outcome(), || fault.message.clone().into_owned());
            let description = format!("{}; {TAKES_KEYS}", fault.message);
            json(StatusCode::METHOD_NOT_ALLOWED, no_oauth::error("invalid_request", &description))
        } else {
            respond(Reply::refused(None, &fault, None, record))
        };
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
        response
    }

    /// Who sends a request.
    ///
    /// # Errors
    /// With the answer, where the caller is not let in.
    async fn identify(
        &self,
        snapshot: &Arc<Snapshot>,
        head: &Parts,
        address: IpAddr,
        record: &mut Record,
    ) -> Result<Option<Arc<Principal>>, Response<Payload>> {
        let (failures, counted) = (&self.dispatcher.failures, &self.dispatcher.metrics.auth);
        let identified = snapshot.auth.identify(&head.uri, &head.headers, address, failures, counted).await;
        identified.map_err(|refusal| {
            record.auth_failure(refusal.reason());
            record.refused(refusal.reason(), || snapshot.auth.explain(refusal, &head.uri, &head.headers));
            denied(snapshot.auth.deny(refusal), record)
        })
    }

    async fn post(
        &self,
        snapshot: &Arc<Snapshot>,
        head: &mut Parts,
        body: &mut Option<Incoming>,
        address: IpAddr,
        busy: &Busy,
        record: &mut Record,
    ) -> Response<Payload> {
        if let Err(fault) = self.dispatcher.shed(snapshot, &head.headers) {
            return respond(Reply::refused(None, &fault, None, record));
        }
        let principal = match self.identify(snapshot, head, address, record).await {
            Ok(principal) => principal,
            Err(response) => return response,
        };
        if let Err(fault) = negotiate::check(&head.headers) {
            return respond(Reply::refused(None, &fault, None, record));
        }
        let read = match body {
            Some(body) => {
                let budget = &self.dispatcher.body_budget;
                body::read(body, snapshot.max_body, self.body_within, budget, busy).await
            }
            None => Ok((Bytes::new(), self.dispatcher.body_budget.nothing())),
        };
        let (body, share) = match read {
            Ok(read) => {
                *body = None;
                read
            }
            Err(fault) => return respond(Reply::refused(None, &fault, None, record)),
        };
        let caller = Caller { principal, address: Some(address) };
        let may_tell = tells::may_tell(snapshot, &body);
        // What may take long has to be able to outlive the head of its answer.
        let may_stream = negotiate::takes_events(&head.headers) && tells::may_take_long(&head.headers);
        if may_tell || may_stream {
            let headers = std::mem::take(&mut head.headers);
            let (notices, told) = may_tell.then(|| mpsc::channel(NOTICES)).unzip();
            let rest = self.rest(snapshot, headers, caller, (body, share), notices, record.hand_over());
            return match sse::begin(rest, told, may_stream.then_some(snapshot.stream_after)).await {
                Begun::Stream(stream) => events(stream),
                Begun::Answered(reply, answered) => {
                    *record = answered;
                    respond(reply)
                }
            };
        }
        let arrival = Arrival {
            body,
            share: Some(share),
            headers: Some(&head.headers),
            caller,
            notices: None,
            in_flight: None,
        };
        respond(self.dispatcher.handle(snapshot, arrival, record).await)
    }

    /// The rest of a request as a piece that can outlive the head of its answer.
    fn rest(
        &self,
        snapshot: &Arc<Snapshot>,
        headers: HeaderMap,
        caller: Caller,
        (body, share): (Bytes, Share),
        notices: Option<Sender<Message>>,
        mut record: Record,
    ) -> Rest {
        let (dispatcher, snapshot) = (self.dispatcher.clone(), snapshot.clone());
        let rest = async move {
            let arrival = Arrival {
                body,
                share: Some(share),
                headers: Some(&headers),
                caller,
                notices,
                in_flight: None,
            };
            let reply = dispatcher.handle(&snapshot, arrival, &mut record).await;
            (reply, record)
        };
        Box::pin(rest)
    }
}

/// The HTTP response for a caller that is not let in.
fn denied(denied: Denied, record: &mut Record) -> Response<Payload> {
    let mut reply = Reply::refused(None, &denied.fault, None, record);
    reply.retry_after = denied.retry_after.or(reply.retry_after);
    let mut response = respond(reply);
    if let Some(challenge) = denied.challenge {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The HTTP response for a reply.
fn respond(reply: Reply) -> Response<Payload> {
    let has_body = reply.message.is_some();
    let mut response = Response::new(Payload::new(reply.message));
    *response.status_mut() = reply.status;
    if has_body {
        response.headers_mut().insert(CONTENT_TYPE, JSON);
    }
    if let Some(seconds) = reply.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// The HTTP response for an answer with something before it. Proxies are asked to pass it on as it comes.
fn events(stream: Box<EventStream>) -> Response<Payload> {
    let mut response = Response::new(Payload::events(stream));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A short text, as the health endpoints answer.
pub(crate) fn plain(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Payload> {
    let mut response = Response::new(Payload::text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Payload> {
    let mut response = plain(status, text);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// The answer to a browser that asks whether a page may send a request (Fetch standard, "CORS-preflight fetch").
fn preflight(snapshot: &Snapshot) -> Response<Payload> {
    let mut response = Response::new(Payload::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, snapshot.cors_headers.clone());
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}
