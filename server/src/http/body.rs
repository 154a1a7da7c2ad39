//! Bodies: requests within their limits, and answers that know when they were sent.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::poll;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::dispatch::limits::{Bound, Share};
use crate::dispatch::record::Record;
use crate::http::pulse::Busy;
use crate::http::sse::EventStream;
use crate::protocol::answer::Message;
use crate::protocol::errors::{Code, Fault};

/// How long a body may take to arrive: what a slow connection needs for a large one, and not what an attacker wants.
pub const ARRIVAL: Duration = Duration::from_secs(30);

/// Bodies up to this size find room where larger ones do not: a ping must get through whoever uploads what.
const SMALL: usize = 16 << 10;

/// Bytes for small bodies on top of the budget.
const RESERVE: usize = 4 << 20;

/// Reads a whole body of at most `limit` bytes within a time, and takes its size from the budget. What is not read after
/// an error is left to the caller, as is the connection, of which `busy` is a part.
///
/// # Errors
/// Where it is too large, too slow, breaks off, or there is no room for it just now.
pub async fn read<B>(
    body: &mut B,
    limit: usize,
    within: Duration,
    budget: &Arc<Bound>,
    busy: &Busy,
) -> Result<(Bytes, Share), Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut reading = pin!(collect(body, limit, budget));
    // Nearly always it came with its head, and then no clock is looked at.
    if let Poll::Ready(read) = poll!(reading.as_mut()) {
        return read;
    }
    let _receiving = busy.receiving();
    tokio::time::timeout(within, reading)
        .await
        .unwrap_or_else(|_elapsed| Err(Fault::new(Code::SlowRequest, "the body took too long to arrive")))
}

async fn collect<B>(body: &mut B, limit: usize, budget: &Arc<Bound>) -> Result<(Bytes, Share), Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large(limit));
    }
    // Taken as it arrives: what is only announced holds no memory, and must not keep others out.
    let mut share = budget.nothing();
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Fault::new(Code::InvalidRequest, format!("the body could not be read to its end: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let length = whole.len() + pieces.len() + data.len();
        if length > limit {
            return Err(too_large(limit));
        }
        let reserve = if length <= SMALL { RESERVE } else { 0 };
        if length > share.amount() && !share.grow_beyond(length - share.amount(), reserve) {
            return Err(no_room());
        }
        if length == data.len() {
            // Nearly always the first piece is the whole body: it is not copied.
            whole = data;
            continue;
        }
        if pieces.is_empty() {
            pieces.reserve(announced.max(length));
            pieces.extend_from_slice(&std::mem::take(&mut whole));
        }
        pieces.extend_from_slice(&data);
    }
    Ok((if pieces.is_empty() { whole } else { pieces.freeze() }, share))
}

fn too_large(limit: usize) -> Fault {
    let message = format!("the body is larger than {limit} bytes; http.maxBody sets the limit");
    Fault::new(Code::TooLarge, message)
}

fn no_room() -> Fault {
    Fault::new(Code::Overloaded, "too many large requests at once; try again in 1 s")
}

/// The body of an answer. It carries what ends when the answer has been sent, or when it cannot be sent any more.
#[derive(Debug, Default)]
pub struct Payload {
    pieces: [Bytes; 3],
    /// In place of the pieces, where something is told before the answer.
    stream: Option<Box<EventStream>>,
    record: Option<Record>,
    busy: Option<Busy>,
}

impl Payload {
    #[must_use]
    pub fn new(message: Option<Message>) -> Self {
        Self::of(message.unwrap_or_default().into_pieces(), None)
    }

    #[must_use]
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::of([text.into(), Bytes::new(), Bytes::new()], None)
    }

    /// An answer with something before it. The stream has a record of its own.
    #[must_use]
    pub fn events(stream: Box<EventStream>) -> Self {
        Self::of(<[Bytes; 3]>::default(), Some(stream))
    }

    fn of(pieces: [Bytes; 3], stream: Option<Box<EventStream>>) -> Self {
        Self { pieces, stream, record: None, busy: None }
    }

    /// Hands over what is to end with this body.
    #[must_use]
    pub fn carrying(mut self, record: Option<Record>, mut busy: Busy) -> Self {
        // A stream has nothing to offer most of the time; the request's own deadline bounds it.
        if self.stream.is_none() && !self.is_end_stream() {
            busy.offers();
        }
        (self.record, self.busy) = (record, Some(busy));
        self
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(busy) = &self.busy {
            busy.taken();
        }
        if let Some(stream) = &mut self.stream {
            return stream.poll_bytes(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))));
        }
        let piece = self.pieces.iter_mut().find(|piece| !piece.is_empty());
        Poll::Ready(piece.map(|piece| Ok(Frame::data(std::mem::take(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.stream {
            Some(stream) => stream.is_end(),
            None => self.pieces.iter().all(Bytes::is_empty),
        }
    }

    fn size_hint(&self) -> SizeHint {
        if self.stream.is_some() {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        if self.is_end_stream() {
            return;
        }
        if let Some(stream) = &mut self.stream {
            stream.aborted();
        } else if let Some(record) = &mut self.record {
            record.aborted();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::pulse::{Patience, Pulse};
    use http_body_util::{Full, StreamBody};

    fn busy() -> Busy {
        Pulse::new(Patience::default()).request(http::Version::HTTP_11)
    }

    fn pieces(sizes: &[usize]) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let frames: Vec<_> =
            sizes.iter().map(|size| Ok(Frame::data(Bytes::from(vec![b'x'; *size])))).collect();
        StreamBody::new(futures::stream::iter(frames))
    }

    #[tokio::test]
    async fn the_limit_counts_whether_announced_or_not() {
        let budget = Bound::new(100);
        for (sizes, length) in
            [(&[][..], Some(0)), (&[10], Some(10)), (&[5, 5], Some(10)), (&[5, 5, 1], None), (&[11], None)]
        {
            let read = read(&mut pieces(sizes), 10, ARRIVAL, &budget, &busy()).await;
            assert_eq!(read.as_ref().ok().map(|(body, _)| body.len()), length, "{sizes:?}");
            assert_eq!(
                read.map(|_| ()).err().map(|fault| fault.code),
                length.map_or(Some(Code::TooLarge), |_| None)
            );
        }
        let announced = read(&mut Full::new(Bytes::from(vec![0; 11])), 10, ARRIVAL, &budget, &busy()).await;
        assert!(announced.is_err_and(|fault| fault.code == Code::TooLarge));
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn the_budget_bounds_all_bodies_together() {
        let budget = Bound::new(30_000);
        let (_first, share) =
            read(&mut pieces(&[10_000, 10_000]), 1 << 20, ARRIVAL, &budget, &busy()).await.unwrap();
        assert_eq!(budget.used(), 20_000);
        for body in [&[20_000][..], &[9000, 9000]] {
            let read = read(&mut pieces(body), 1 << 20, ARRIVAL, &budget, &busy()).await;
            assert!(read.is_err_and(|fault| fault.code == Code::Overloaded));
        }
        let (_small, _share) =
            read(&mut pieces(&[12_000]), 1 << 20, ARRIVAL, &budget, &busy()).await.unwrap();
        assert_eq!(budget.used(), 32_000, "a small one finds room all the same");
        drop(share);
        assert!(read(&mut pieces(&[17_000]), 1 << 20, ARRIVAL, &budget, &busy()).await.is_ok());
    }
}
