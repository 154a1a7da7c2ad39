//! Media types: strict where a mistake would be answered wrongly, lenient where it does not matter.

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use memchr::memmem;

use crate::protocol::errors::{Code, Fault};

/// Checks that the body is JSON and that the client can read the answer.
///
/// Clients should accept both `application/json` and `text/event-stream`; probes and old clients name one, or `*/*`, or
/// nothing, and are answered all the same.
///
/// # Errors
/// Where the body is something else, or the client accepts neither.
pub fn check(headers: &HeaderMap) -> Result<(), Fault> {
    if let Some(other) = headers.get(CONTENT_TYPE).filter(|value| !is_json(value.as_bytes())) {
        let message =
            format!("Content-Type is {}; send the message as Content-Type: application/json", quoted(other));
        return Err(Fault::new(Code::UnsupportedMediaType, message));
    }
    let encoding = headers.get(CONTENT_ENCODING);
    if let Some(other) = encoding.filter(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let message =
            format!("Content-Encoding is {}; send the message without Content-Encoding", quoted(other));
        return Err(Fault::new(Code::UnsupportedMediaType, message));
    }
    let mut accepts = headers.get_all(ACCEPT).iter().peekable();
    if accepts.peek().is_none() || accepts.any(|value| accepts_us(value.as_bytes())) {
        return Ok(());
    }
    let accepted = headers.get(ACCEPT).map(quoted).unwrap_or_default();
    let message = format!(
        "Accept is {accepted}, and answers are JSON: send Accept: application/json, text/event-stream"
    );
    Err(Fault::new(Code::NotAcceptable, message))
}

/// A header as a message shows it, not longer than it is useful.
fn quoted(value: &HeaderValue) -> String {
    format!("{:?}", String::from_utf8_lossy(value.as_bytes()).chars().take(100).collect::<String>())
}

/// Whether the client says that it reads event streams. `*/*` does not: that is what programs send which read whatever
/// comes as one document.
#[must_use]
pub fn takes_events(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| {
        memmem::find(value.as_bytes(), EVENTS).is_some_and(|at| {
            let range = value.as_bytes()[at..].split(|byte| *byte == b',').next().unwrap_or_default();
            essence(range) == EVENTS && !is_refused(range)
        })
    })
}

const EVENTS: &[u8] = b"text/event-stream";

fn is_json(value: &[u8]) -> bool {
    essence(value).eq_ignore_ascii_case(b"application/json")
}

fn accepts_us(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|range| {
        let fits = [&b"application/json"[..], b"text/event-stream", b"application/*", b"*/*"];
        fits.iter().any(|fit| essence(range).eq_ignore_ascii_case(fit)) && !is_refused(range)
    })
}

/// `q=0` means: anything but this (RFC 9110, section 12.4.2).
fn is_refused(range: &[u8]) -> bool {
    range.split(|byte| *byte == b';').skip(1).any(|parameter| {
        let weight = parameter.trim_ascii().strip_prefix(b"q=");
        weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
    })
}

/// The type without its parameters.
fn essence(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or(value).trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for (content_type, accept, expected) in [
            (Some("application/json"), Some("application/json, text/event-stream"), None),
            (Some("Application/JSON; charset=utf-8"), Some("*/*"), None),
            (Some("application/json"), Some("application/json"), None),
            (Some("application/json"), Some("text/event-stream"), None),
            (Some("application/json"), Some("application/*;q=0.5"), None),
            (None, None, None),
            (Some("text/plain"), None, Some(415)),
            (Some("application/x-www-form-urlencoded"), Some("*/*"), Some(415)),
            (Some("application/jsonl"), None, Some(415)),
            (Some("application/json"), Some("text/html, image/png"), Some(406)),
            (Some("application/json"), Some("application/json;q=0"), Some(406)),
            (Some("application/json"), Some(""), Some(406)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = content_type {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            }
            if let Some(value) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(value));
            }
            let refused = check(&headers).err().map(|fault| fault.code.status(None).as_u16());
            assert_eq!(refused, expected, "{content_type:?} {accept:?}");
        }
        for (accept, expected) in [
            ("application/json, text/event-stream", true),
            ("text/event-stream;q=0.5,application/json", true),
            ("text/event-stream;q=0, application/json", false),
            ("text/event-streams", false),
            ("application/json", false),
            ("*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(takes_events(&headers), expected, "{accept}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(check(&headers).is_err());
    }
}
