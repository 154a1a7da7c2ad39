//! The first step: what the message is, which era it speaks, and whether its headers agree.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use http::HeaderMap;

use crate::dispatch::around;
use crate::dispatch::record::Record;
use crate::protocol::capabilities::Offer;
use crate::protocol::envelope::{Envelope, Kind, Params};
use crate::protocol::era::{self, Era};
use crate::protocol::errors::Fault;
use crate::protocol::headers;
use crate::protocol::methods::Method;
use crate::protocol::raw;

/// A message that was understood.
#[derive(Debug)]
pub(super) enum Head<'a> {
    Request(Request<'a>),
    /// Not to be answered.
    Message(Note<'a>),
}

/// A request for a method that exists.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// JSON text.
    pub(super) id: &'a str,
    pub(super) era: Era,
    pub(super) method: Method,
    pub(super) params: Params<'a>,
}

/// A notification, or a response to a question that was never asked here.
#[derive(Debug)]
pub(super) struct Note<'a> {
    pub(super) method: Option<Cow<'a, str>>,
    pub(super) params: Params<'a>,
}

/// A message that was not accepted, with what is known of it.
#[derive(Debug)]
pub(super) struct Refused<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) era: Option<Era>,
    pub(super) fault: Fault,
}

/// The body as text of which parts can be kept.
pub(super) fn text(body: &Bytes) -> Result<ByteString, Fault> {
    raw::one_line(body.clone()).map_err(Fault::from)
}

/// Reads a body. Headers are absent where the door has none.
pub(super) fn read<'a>(
    body: &'a ByteString,
    headers: Option<&HeaderMap>,
    offer: Offer,
    record: &mut Record,
) -> Result<Head<'a>, Refused<'a>> {
    let without_id = |fault| Refused { id: None, era: None, fault };
    let envelope = Envelope::parse(body).map_err(|refused| Refused {
        id: refused.id,
        era: None,
        fault: refused.fault,
    })?;
    let version = headers.map(headers::version).transpose();
    let (id, method) = match envelope.kind {
        Kind::Request { id, method } => (id, method),
        Kind::Notification { method } => {
            // Which headers a notification has to carry is defined nowhere, so none is asked for; but a version that
            // never was is wrong on any message.
            record.notification();
            let version = version.map_err(without_id)?.flatten();
            let known = version.is_none_or(|version| {
                era::SUPPORTED_VERSIONS.contains(&version) || era::LegacyVersion::find(version).is_some()
            });
            return if known {
                Ok(Head::Message(Note { method: Some(method), params: envelope.params }))
            } else {
                Err(without_id(Fault::unsupported_version(version.unwrap_or_default())))
            };
        }
        Kind::Response => {
            record.notification();
            return Ok(Head::Message(Note { method: None, params: envelope.params }));
        }
    };
    let refused = |era, fault| Refused { id: Some(id), era, fault };
    let version = version.map_err(|fault| refused(None, fault))?.flatten();
    let params = envelope.params;
    record.trace(&around::origin(&params.meta, headers, id));
    let era = era::decide(&params.meta, &method, version).map_err(|fault| refused(None, fault))?;
    record.era(era);
    let found = Method::find(&method, era, offer);
    if let Some(method) = found {
        record.method(method);
    }
    if era == Era::Modern {
        let mirrors = headers.map_or(Ok(()), |headers| headers::check_standard(headers, &method, &params));
        mirrors.and_then(|()| era::served(&params.meta)).map_err(|fault| refused(Some(era), fault))?;
    }
    let method = found.ok_or_else(|| refused(Some(era), Fault::method_not_found(&method)))?;
    Ok(Head::Request(Request { id, era, method, params }))
}
