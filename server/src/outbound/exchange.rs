//! One request and its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, Uri, Version, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use super::Terms;
use super::connect::{Connector, Sender};
use super::error::{Doing, OutboundError};
use super::guard::Policy;
use super::pool::{Open, Upstream};

/// How long a connection may take to be ready again that has delivered its answer: no time at all, unless it is broken.
const READY: Duration = Duration::from_millis(200);
const AGENT: HeaderValue = HeaderValue::from_static(concat!("mcp-server/", env!("CARGO_PKG_VERSION")));

/// Sends a request and reads the answer whole. Dropping the future takes the request back: its connection is closed.
pub(super) async fn exchange(
    upstream: &Arc<Upstream>,
    connector: &Connector,
    policy: &Policy,
    request: Request<Bytes>,
    terms: Terms,
) -> Result<Response<Bytes>, OutboundError> {
    let permit = upstream.permit(terms.deadline).await?;
    let mut request = on_the_wire(request)?;
    if let Some(mut sender) = idle(upstream).await {
        upstream.note_reused();
        // A server may hang up just when the next request is on its way. Then nothing was done, or nothing that doing it
        // twice would change, and it is sent once more over a new connection.
        let spare = is_safe(request.method()).then(|| request.clone());
        match answer(upstream, &mut sender, request, terms, permit.waited).await {
            Ok(response) => {
                permit.give_back(sender);
                return Ok(response);
            }
            Err(Failed { error: OutboundError::Exchange { .. }, unsent, begun: false })
                if unsent.is_some() || spare.is_some() =>
            {
                request = unsent.or(spare).expect("one of them is there");
            }
            Err(failed) => return Err(failed.error),
        }
        // What happened to one has happened to the others: the server was restarted.
        upstream.close_idle();
    }
    let mut sender = connect(upstream, connector, policy, terms, permit.waited).await?;
    let response =
        answer(upstream, &mut sender, request, terms, permit.waited).await.map_err(|failed| failed.error)?;
    permit.give_back(sender);
    Ok(response)
}

/// An open connection that is really ready.
async fn idle(upstream: &Upstream) -> Option<Sender> {
    while let Some(mut sender) = upstream.take_idle() {
        if sender.is_ready() || matches!(timeout(READY, sender.ready()).await, Ok(Ok(()))) {
            return Some(sender);
        }
    }
    None
}

async fn connect(
    upstream: &Arc<Upstream>,
    connector: &Connector,
    policy: &Policy,
    terms: Terms,
    waited: Duration,
) -> Result<Sender, OutboundError> {
    let began = Instant::now();
    let by = terms.deadline.min(began + terms.connect);
    upstream.counted.connects.inc();
    let connecting = connector.connect(&upstream.target, policy, by, Open::new(upstream));
    timeout_at(by, connecting).await.map_err(|_| upstream.timeout(Doing::Connecting, began, waited))?
}

/// Why there is no answer.
struct Failed {
    error: OutboundError,
    /// The request, where not a byte of it was sent.
    unsent: Option<Request<Full<Bytes>>>,
    /// Whether the answer had begun.
    begun: bool,
}

async fn answer(
    upstream: &Upstream,
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
    terms: Terms,
    waited: Duration,
) -> Result<Response<Bytes>, Failed> {
    let began = Instant::now();
    let broke = |source| OutboundError::Exchange { upstream: upstream.target.name(), source };
    let late =
        |begun| Failed { error: upstream.timeout(Doing::Answering, began, waited), unsent: None, begun };
    let response = match timeout_at(terms.deadline, sender.try_send_request(request)).await {
        Err(_) => return Err(late(false)),
        Ok(Ok(response)) => response,
        Ok(Err(mut failed)) => {
            let unsent = failed.take_message();
            return Err(Failed { error: broke(failed.into_error()), unsent, begun: false });
        }
    };
    let (head, body) = response.into_parts();
    let too_large = || OutboundError::TooLarge { upstream: upstream.target.name(), limit: terms.limit };
    let body = match timeout_at(terms.deadline, read(body, terms.limit)).await {
        Err(_) => return Err(late(true)),
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => return Err(Failed { error: too_large(), unsent: None, begun: true }),
        Ok(Err(source)) => return Err(Failed { error: broke(source), unsent: None, begun: true }),
    };
    upstream.counted.duration.observe(began.elapsed().as_secs_f64());
    Ok(Response::from_parts(head, body))
}

/// The whole body, or none where it is larger than `limit`: no more than that is ever held.
async fn read(mut body: Incoming, limit: usize) -> Result<Option<Bytes>, hyper::Error> {
    if body.size_hint().lower() > limit as u64 {
        return Ok(None);
    }
    let mut whole = BytesMut::new();
    let mut first = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > limit {
            return Ok(None);
        }
        // Most answers come in one piece, which need not be copied.
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            piece => {
                whole.extend_from_slice(&piece.unwrap_or_default());
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(Some(first.unwrap_or_else(|| whole.freeze())))
}

/// The request as HTTP/1.1 has it: the path in its first line, the host in a header.
fn on_the_wire(request: Request<Bytes>) -> Result<Request<Full<Bytes>>, OutboundError> {
    let (mut head, body) = request.into_parts();
    let url = std::mem::take(&mut head.uri);
    let authority = url.authority().ok_or(OutboundError::Url("the URL has no host"))?;
    let host = HeaderValue::from_str(authority.as_str());
    head.headers.insert(header::HOST, host.map_err(|_| OutboundError::Url("the URL has no host"))?);
    head.headers.entry(header::USER_AGENT).or_insert(AGENT);
    head.headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    // What stands behind the host may begin with a question mark.
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    head.uri = path.parse::<Uri>().map_err(|_| OutboundError::Url("the path of the URL cannot be sent"))?;
    head.version = Version::HTTP_11;
    Ok(Request::from_parts(head, Full::new(body)))
}

fn is_safe(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}
