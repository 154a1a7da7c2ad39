//! The other door: MCP over standard input and output, one message a line (specification, "stdio"). Whoever holds the
//! other end started this process, so nobody has to say who they are.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::principal::Caller;
use crate::backend::NOTICES;
use crate::dispatch::in_flight::InFlight;
use crate::dispatch::record::Record;
use crate::dispatch::{Arrival, Dispatcher, Reply, tells};
use crate::protocol::answer::Message;
use crate::protocol::errors::{Code, Fault};

/// Answers that may wait for a client that reads slowly.
const WAITING: usize = 64;

/// Serves until the input ends or `stop` is cancelled; then calls in flight are finished and answered.
///
/// # Errors
/// Where input or output break. A client that stops reading is the end, not an error of this kind.
pub async fn serve<R, W>(
    mut input: R,
    output: W,
    dispatcher: Arc<Dispatcher>,
    stop: CancellationToken,
) -> io::Result<()>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (answers, waiting) = mpsc::channel(WAITING);
    let writer = tokio::spawn(write(output, waiting));
    let calls = TaskTracker::new();
    let in_flight = InFlight::default();
    let read = loop {
        let limit = dispatcher.snapshot().max_body;
        let line = tokio::select! {
            line = read_line(&mut input, limit) => line,
            () = stop.cancelled() => break Ok(()),
            () = answers.closed() => break Ok(()),
        };
        let body = match line {
            Ok(Some(Line::Whole(body))) if body.trim_ascii().is_empty() => continue,
            Ok(Some(Line::Whole(body))) => Ok(body),
            Ok(Some(Line::TooLong)) => Err(limit),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let (dispatcher, answers, in_flight) = (dispatcher.clone(), answers.clone(), in_flight.clone());
        calls.spawn(async move {
            let reply = answer(&dispatcher, body, &in_flight, &answers).await;
            if let Some(message) = reply.message {
                // Nobody reads any more: the answer is of no use.
                let _unread = answers.send(message).await;
            }
        });
    };
    drop(answers);
    calls.close();
    calls.wait().await;
    let written = writer.await.map_err(io::Error::other)?;
    read.and(written)
}

/// Answers one message. What is told meanwhile goes to `answers`, and all of it before the answer.
async fn answer(
    dispatcher: &Arc<Dispatcher>,
    body: Result<Bytes, usize>,
    in_flight: &InFlight,
    answers: &mpsc::Sender<Message>,
) -> Reply {
    let mut record = Record::begin(dispatcher.metrics.clone()).noted(dispatcher.requests.begin(None));
    match body {
        Ok(body) => {
            let snapshot = dispatcher.snapshot();
            let (notices, told) = tells::may_tell(&snapshot, &body).then(|| mpsc::channel(NOTICES)).unzip();
            let arrival = Arrival {
                body,
                share: None,
                headers: None,
                caller: Caller::default(),
                notices,
                in_flight: Some(in_flight),
            };
            let mut handled = pin!(dispatcher.handle(&snapshot, arrival, &mut record));
            let Some(mut told) = told else { return handled.await };
            let reply = loop {
                tokio::select! {
                    biased;
                    Some(notice) = told.recv() => drop(answers.send(notice).await),
                    reply = &mut handled => break reply,
                }
            };
            // What is told from now on is told too late.
            told.close();
            while let Ok(notice) = told.try_recv() {
                drop(answers.send(notice).await);
            }
            reply
        }
        Err(limit) => {
            let message = format!("the message is longer than {limit} bytes; http.maxBody sets the limit");
            Reply::refused(None, &Fault::new(Code::TooLarge, message), None, &mut record)
        }
    }
}

/// One line of input.
enum Line {
    Whole(Bytes),
    /// Longer than allowed; it was read to its end and forgotten.
    TooLong,
}

/// Reads a line without holding more than `limit` bytes of it. The last one may lack its line break.
async fn read_line<R: AsyncBufRead + Unpin>(input: &mut R, limit: usize) -> io::Result<Option<Line>> {
    let mut line = BytesMut::new();
    let mut too_long = false;
    loop {
        let buffer = input.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(match (too_long, line.is_empty()) {
                (true, _) => Some(Line::TooLong),
                (false, true) => None,
                (false, false) => Some(Line::Whole(line.freeze())),
            });
        }
        let end = memchr::memchr(b'\n', buffer);
        let piece = &buffer[..end.unwrap_or(buffer.len())];
        too_long |= line.len() + piece.len() > limit;
        if too_long {
            line.clear();
        } else {
            line.extend_from_slice(piece);
        }
        let consumed = end.map_or(buffer.len(), |end| end + 1);
        input.consume(consumed);
        if end.is_some() {
            return Ok(Some(if too_long { Line::TooLong } else { Line::Whole(line.freeze()) }));
        }
    }
}

/// Writes answers, each as a line of its own, and flushes when none is waiting.
async fn write<W: AsyncWrite + Unpin>(mut output: W, mut waiting: mpsc::Receiver<Message>) -> io::Result<()> {
    while let Some(message) = waiting.recv().await {
        let mut line = message.to_vec();
        line.push(b'\n');
        output.write_all(&line).await?;
        if waiting.is_empty() {
            output.flush().await?;
        }
    }
    output.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_of_any_length_are_told_apart() {
        let mut input = tokio::io::BufReader::with_capacity(4, &b"ab\n\nabcdefghij\nabcdefghijk\r\nxyz"[..]);
        let mut read = Vec::new();
        while let Some(line) = read_line(&mut input, 10).await.unwrap() {
            read.push(match line {
                Line::Whole(line) => String::from_utf8(line.to_vec()).unwrap(),
                Line::TooLong => "too long".to_owned(),
            });
        }
        assert_eq!(read, ["ab", "", "abcdefghij", "too long", "xyz"]);
    }
}
