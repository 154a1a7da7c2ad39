//! Several messages in one body, an array. Revision 2025-03-26 asks servers to accept that ("Receiving Batches"); the next
//! one took it back. Each message goes its own way, and counts for itself.

use bytes::{BufMut as _, BytesMut};
use bytestring::ByteString;
use futures::future::join_all;
use http::HeaderMap;

use std::sync::Arc;

use crate::dispatch::record::Record;
use crate::dispatch::snapshot::Snapshot;
use crate::dispatch::{Arrival, Dispatcher, Reply};
use crate::protocol::answer::Message;
use crate::protocol::era::LegacyVersion;
use crate::protocol::errors::{Code, Fault};
use crate::protocol::headers;
use crate::protocol::reader::Reader;

/// Messages of one batch. They are worked on at the same time, and each takes some memory besides its text.
const MOST: usize = 100;

/// Whether the body is a batch of a client that may send one: by its version, or where its version is not known. For any
/// other client an array is no message at all.
pub(super) fn is_one(body: &str, headers: Option<&HeaderMap>) -> bool {
    if !body.starts_with(['[', ' ', '\t']) || !body.trim_ascii_start().starts_with('[') {
        return false;
    }
    match headers.map(headers::version) {
        None | Some(Ok(None)) => true,
        Some(Ok(Some(version))) => {
            LegacyVersion::find(version).is_some_and(|version| version <= LegacyVersion::V2025_03_26)
        }
        Some(Err(_)) => false,
    }
}

impl Dispatcher {
    /// Answers the messages of a batch, in one array. `record` becomes that of the first message.
    pub(super) async fn handle_batch(
        &self,
        snapshot: &Arc<Snapshot>,
        arrival: Arrival<'_>,
        body: ByteString,
        record: &mut Record,
    ) -> Reply {
        let messages = match split(&body) {
            Ok(messages) => messages,
            Err(fault) => return Reply::refused(None, &fault, None, record),
        };
        let mut first = Some(record.hand_over());
        let answers = messages.into_iter().map(|message| {
            let body = body.slice_ref(message);
            let mut record = first.take().unwrap_or_else(|| {
                let entry = self.requests.begin(arrival.caller.address);
                let mut record = Record::begin(self.metrics.clone()).noted(entry);
                record.caller(&arrival.caller, arrival.headers);
                record
            });
            let arrival = Arrival {
                body: body.as_bytes().clone(),
                // The budget is charged until the whole batch is answered.
                share: None,
                headers: arrival.headers,
                caller: arrival.caller.clone(),
                notices: arrival.notices.clone(),
                in_flight: arrival.in_flight,
            };
            async move { self.handle_one(snapshot, arrival, &body, true, &mut record).await.message }
        });
        let answers: Vec<_> = join_all(answers).await.into_iter().flatten().collect();
        if answers.is_empty() { Reply::accepted() } else { Reply::ok(joined(&answers)) }
    }
}

fn split(body: &str) -> Result<Vec<&str>, Fault> {
    let (mut messages, mut reader) = (Vec::new(), Reader::new(body));
    reader.array(|message| messages.push(message)).map_err(|stop| Fault::from(stop.explain(body)))?;
    let invalid = |message: String| Err(Fault::new(Code::InvalidRequest, message));
    if !reader.is_at_end() {
        return Err(Fault::new(Code::Parse, "invalid JSON: there is something after the batch"));
    }
    match messages.len() {
        0 => invalid("a batch must hold a message".to_owned()),
        1..=MOST => Ok(messages),
        count => invalid(format!("a batch may hold {MOST} messages at most, and this one holds {count}")),
    }
}

fn joined(answers: &[Message]) -> Message {
    let length: usize = answers.iter().map(|answer| answer.len() + 1).sum();
    let mut text = BytesMut::with_capacity(length + 1);
    for (index, answer) in answers.iter().enumerate() {
        text.put_u8(if index == 0 { b'[' } else { b',' });
        answer.pieces().iter().for_each(|piece| text.put_slice(piece));
    }
    text.put_u8(b']');
    Message::whole(text.freeze())
}
