//! An answer with something before it: a stream of server-sent events. Only requests during which something was told, or
//! that take long, are answered this way; all others get plain JSON.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::poll;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::dispatch::Reply;
use crate::dispatch::record::Record;
use crate::protocol::answer::Message;

/// How often something is sent at least while there is nothing to say: proxies hang up after a minute of silence.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment, which clients skip.
const KEPT_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// The rest of a request: its answer, and what it is recorded in.
pub(super) type Rest = BoxFuture<'static, (Reply, Record)>;

/// Notices, and then the answer.
pub struct EventStream {
    /// Bytes to be sent next.
    ready: VecDeque<Bytes>,
    notices: Option<Receiver<Message>>,
    rest: Option<Rest>,
    /// Present once the answer is there.
    record: Option<Record>,
    answer: Option<Message>,
    keep_alive: Interval,
}

/// How a request went on.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is nearly every answer, and a box is an allocation"
)]
pub(super) enum Begun {
    /// It was answered, and nothing was told before.
    Answered(Reply, Record),
    Stream(Box<EventStream>),
}

/// Waits for the answer, for the first notice of `told`, or for as long as there may be silence; whichever comes first.
/// Where `patience` is absent, there may be silence until the answer.
pub(super) async fn begin(
    mut rest: Rest,
    told: Option<Receiver<Message>>,
    patience: Option<Duration>,
) -> Begun {
    // Mostly it is answered at once, and then no clock is looked at.
    let answered = match poll!(&mut rest) {
        Poll::Ready(answered) => answered,
        Poll::Pending => return begin_slowly(rest, told, patience).await,
    };
    finish(answered, told, patience)
}

async fn begin_slowly(
    mut rest: Rest,
    mut told: Option<Receiver<Message>>,
    patience: Option<Duration>,
) -> Begun {
    let first = async {
        match &mut told {
            Some(told) => told.recv().await,
            None => None,
        }
    };
    let silence = async {
        match patience {
            Some(patience) => tokio::time::sleep(patience).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        Some(first) = first => {
            let mut stream = EventStream::new(told, patience);
            stream.rest = Some(rest);
            stream.event(first);
            Begun::Stream(Box::new(stream))
        }
        answered = &mut rest => finish(answered, told, patience),
        () = silence => {
            let mut stream = EventStream::new(told, patience);
            stream.rest = Some(rest);
            stream.ready.push_back(KEPT_ALIVE);
            Begun::Stream(Box::new(stream))
        }
    }
}

/// The answer, and before it what was told up to now.
fn finish(
    (reply, record): (Reply, Record),
    mut told: Option<Receiver<Message>>,
    patience: Option<Duration>,
) -> Begun {
    match told.as_mut().and_then(|told| told.try_recv().ok()) {
        None => Begun::Answered(reply, record),
        Some(first) => {
            let mut stream = EventStream::new(told, patience);
            stream.event(first);
            stream.answered(reply, record);
            Begun::Stream(Box::new(stream))
        }
    }
}

impl EventStream {
    fn new(notices: Option<Receiver<Message>>, patience: Option<Duration>) -> Self {
        let period = patience.unwrap_or(KEEP_ALIVE).min(KEEP_ALIVE);
        let mut keep_alive = interval_at(Instant::now() + period, period);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ready: VecDeque::new(), notices, rest: None, record: None, answer: None, keep_alive }
    }

    /// A message never has a line break, so it is one line of data.
    fn event(&mut self, message: Message) {
        self.ready.push_back(Bytes::from_static(b"event: message\ndata: "));
        self.ready.extend(message.into_pieces().into_iter().filter(|piece| !piece.is_empty()));
        self.ready.push_back(Bytes::from_static(b"\n\n"));
        self.keep_alive.reset();
    }

    /// What is told from now on is told too late.
    fn answered(&mut self, reply: Reply, record: Record) {
        if let Some(notices) = &mut self.notices {
            notices.close();
        }
        self.rest = None;
        self.answer = reply.message;
        self.record = Some(record);
    }

    /// True where everything was sent.
    pub(super) fn is_end(&self) -> bool {
        self.ready.is_empty()
            && self.rest.is_none()
            && self.answer.is_none()
            && self.notices.as_ref().is_none_or(Receiver::is_empty)
    }

    /// The answer will not reach the client.
    pub(super) fn aborted(&mut self) {
        if let Some(record) = &mut self.record {
            record.aborted();
        }
    }

    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            if let Some(notices) = &mut self.notices
                && let Poll::Ready(Some(notice)) = notices.poll_recv(cx)
            {
                self.event(notice);
                continue;
            }
            if let Some(answer) = self.answer.take() {
                self.event(answer);
                continue;
            }
            let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
            if let Poll::Ready((reply, record)) = Pin::new(rest).poll(cx) {
                self.answered(reply, record);
                continue;
            }
            if self.keep_alive.poll_tick(cx).is_pending() {
                return Poll::Pending;
            }
            self.ready.push_back(KEPT_ALIVE);
        }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("answered", &self.rest.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::metrics::Metrics;
    use http::StatusCode;
    use std::sync::Arc;
    use tokio::sync::{mpsc, oneshot};

    const PERIOD: Duration = Duration::from_millis(200);

    fn message(text: &'static str) -> Message {
        Message::whole(Bytes::from_static(text.as_bytes()))
    }

    fn reply() -> (Reply, Record) {
        let reply = Reply { status: StatusCode::OK, message: Some(message("answer")), retry_after: None };
        (reply, Record::begin(Arc::new(Metrics::new())))
    }

    async fn next(stream: &mut EventStream, bytes: usize) -> String {
        let mut text = String::new();
        while text.len() < bytes {
            let Some(more) = std::future::poll_fn(|cx| stream.poll_bytes(cx)).await else { break };
            text.push_str(std::str::from_utf8(&more).unwrap());
        }
        text
    }

    #[tokio::test]
    async fn plain_where_nothing_was_told() {
        let (_to, notices) = mpsc::channel(4);
        let begun = begin(Box::pin(async { reply() }), Some(notices), None).await;
        assert!(matches!(begun, Begun::Answered(..)));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_after_a_while_and_the_answer_comes_all_the_same() {
        let (end, ended) = oneshot::channel::<()>();
        let rest = Box::pin(async move {
            ended.await.unwrap();
            reply()
        });
        let before = Instant::now();
        let Begun::Stream(mut stream) = begin(rest, None, Some(PERIOD)).await else { panic!("nothing came") };
        assert_eq!(before.elapsed(), PERIOD);
        assert_eq!(next(&mut stream, 1).await, ": keep-alive\n\n", "at once");
        assert_eq!(before.elapsed(), PERIOD);
        assert_eq!(next(&mut stream, 1).await, ": keep-alive\n\n");
        assert_eq!(before.elapsed(), 2 * PERIOD);
        end.send(()).unwrap();
        assert_eq!(next(&mut stream, usize::MAX).await, "event: message\ndata: answer\n\n");
        assert!(stream.is_end());
    }

    #[tokio::test]
    async fn notices_come_before_the_answer_and_silence_is_broken() {
        let (to, notices) = mpsc::channel(4);
        let (end, ended) = oneshot::channel::<()>();
        to.try_send(message("one")).unwrap();
        let rest = Box::pin(async move {
            ended.await.unwrap();
            reply()
        });
        let Begun::Stream(mut stream) = begin(rest, Some(notices), Some(PERIOD)).await else {
            panic!("something was told")
        };
        let one = "event: message\ndata: one\n\n";
        assert_eq!(next(&mut stream, one.len()).await, one);
        let before = Instant::now();
        assert_eq!(next(&mut stream, 5).await, ": keep-alive\n\n");
        assert!(before.elapsed() >= PERIOD / 2);
        to.try_send(message("two")).unwrap();
        end.send(()).unwrap();
        let both = "event: message\ndata: two\n\nevent: message\ndata: answer\n\n";
        assert_eq!(next(&mut stream, usize::MAX).await, both);
        assert!(stream.is_end());
        assert!(to.try_send(message("too late")).is_err());
    }
}
