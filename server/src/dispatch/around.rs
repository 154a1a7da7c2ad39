//! What a request says besides what it asks for: who the client is, what it wants to hear, which trace it is part of.

use std::sync::Arc;

use bytestring::ByteString;
use http::{HeaderMap, HeaderName};
use tokio::sync::mpsc::Sender;

use crate::backend::{Client, Events, LogLevel, Trace};
use crate::dispatch::head::Request;
use crate::dispatch::record::Record;
use crate::dispatch::snapshot::Snapshot;
use crate::observe::trace::Head;
use crate::protocol::answer::Message;
use crate::protocol::envelope::Meta;
use crate::protocol::era::Era;
use crate::protocol::raw::Raw;

/// What the client can do. Of an older one nothing is known: what it said in its handshake is not remembered.
pub(super) fn client(request: &Request<'_>, body: &ByteString) -> Client {
    if request.era != Era::Modern {
        return Client::default();
    }
    // Most can do nothing, and that costs nothing.
    let capabilities = request.params.meta.client_capabilities;
    let capabilities = capabilities.filter(|text| *text != "{}");
    Client::new(true, capabilities.map(|text| Raw::part(body, text)))
}

/// What the client wants to hear while it waits. A modern one asks for messages each time; an older one gets those from
/// `info` on, where there are any at all.
pub(super) fn events(
    request: &Request<'_>,
    snapshot: &Snapshot,
    notices: Option<Sender<Message>>,
    body: &ByteString,
) -> Events {
    let Some(to) = notices else { return Events::default() };
    let meta = &request.params.meta;
    let token = meta.progress_token.filter(|text| is_token(text));
    let level = match request.era {
        Era::Modern => meta.log_level.text().and_then(LogLevel::find),
        Era::Legacy(_) => snapshot.offer.logs.then_some(LogLevel::Info),
    };
    Events::new(to, token.map(|text| Raw::part(body, text)), level)
}

/// A string or a number, as the protocol has it.
fn is_token(json: &str) -> bool {
    json.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

/// Where the request comes from in a trace: as its metadata say, else as its headers do.
pub(super) fn origin<'a>(meta: &'a Meta<'_>, headers: Option<&'a HeaderMap>, id: &'a str) -> Head<'a> {
    let (parent, state) = match meta.trace_parent.text() {
        Some(parent) => (Some(parent), meta.trace_state.text()),
        None => of_headers(headers),
    };
    Head { parent, state, request_id: id, http: headers.is_some() }
}

/// `traceparent` and `tracestate` of the headers.
pub(super) fn of_headers(headers: Option<&HeaderMap>) -> (Option<&str>, Option<&str>) {
    const PARENT: HeaderName = HeaderName::from_static("traceparent");
    const STATE: HeaderName = HeaderName::from_static("tracestate");
    let header = |name| headers?.get(name)?.to_str().ok();
    match header(&PARENT) {
        // Most are part of none, and without a parent there is no state.
        None => (None, None),
        parent => (parent, header(&STATE)),
    }
}

/// Where what the request causes stands in a trace: below its own span if it has one, else where the caller stands.
pub(super) fn trace(
    request: &Request<'_>,
    headers: Option<&HeaderMap>,
    record: &Record,
) -> Option<Arc<Trace>> {
    if let Some(span) = record.span() {
        let state = (!span.state.is_empty()).then(|| span.state.to_string());
        return Some(Arc::new(Trace { parent: span.context.to_string(), state }));
    }
    let Head { parent, state, .. } = origin(&request.params.meta, headers, request.id);
    Some(Arc::new(Trace { parent: parent?.to_owned(), state: state.map(str::to_owned) }))
}
