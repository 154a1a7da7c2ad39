//! The rest of a body that is not read, because the request was refused before it had arrived.
//!
//! Whoever drops such a body closes the connection under a client that is still sending, and which finds its next request
//! lost. So the rest is read and thrown away while it is small, and the connection stays usable; where it is large, or
//! may be, the response says `Connection: close`, and the client has a while to read it (RFC 9112, section 9.6).

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Response, StatusCode, Version, request};
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::http::body::{ARRIVAL, Payload};
use crate::http::pulse::Busy;

/// The largest rest, in bytes, that is read to keep a connection.
const WORTH_READING: u64 = 1 << 20;

/// How often hyper gets a turn to hand over what has arrived already.
const TURNS: u8 = 3;

/// How much of a larger rest is read, and for how long, so that the client gets to see the response: a connection that is
/// closed over unread bytes is reset, and a reset throws away what the client has not read yet.
const LINGER_BYTES: u64 = 8 << 20;
const LINGER: Duration = Duration::from_secs(5);

/// Deals with what is left of a body beside the response, which goes out at once. `busy` keeps the connection from
/// being taken for one between two requests meanwhile.
pub(crate) async fn settle<B>(
    mut body: B,
    head: &request::Parts,
    busy: Busy,
    response: &mut Response<Payload>,
) where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
    let close = |response: &mut Response<Payload>| {
        if head.version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    };
    // Whoever waits to be asked for the body is not asked for it (RFC 9110, section 10.1.1).
    if head.headers.contains_key(EXPECT) {
        return close(response);
    }
    // Mostly all of it is there already. hyper hands it over piece by piece, between which it has to run.
    let (mut read, mut turns) = (0, TURNS);
    while read <= WORTH_READING {
        match body.frame().now_or_never() {
            None if turns == 0 => break,
            None => {
                turns -= 1;
                tokio::task::yield_now().await;
            }
            Some(Some(Ok(frame))) => read += length(&frame),
            Some(Some(Err(_)) | None) => return,
        }
    }
    let too_late = response.status() == StatusCode::REQUEST_TIMEOUT;
    let keeps = body.size_hint().exact().is_some_and(|left| left <= WORTH_READING) && !too_late;
    if !keeps {
        close(response);
    }
    let (most, within) = if keeps { (WORTH_READING, ARRIVAL) } else { (LINGER_BYTES, LINGER) };
    tokio::spawn(async move {
        let _discarding = busy.discarding();
        // Whether the client finishes or not, the response is the same.
        let _ended = tokio::time::timeout(within, throw_away(body, most)).await;
    });
}

async fn throw_away<B: Body<Data = Bytes> + Unpin>(mut body: B, most: u64) {
    let mut left = most;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(rest) = left.checked_sub(length(&frame)) else { return };
        left = rest;
    }
}

fn length(frame: &http_body::Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| data.len() as u64)
}
