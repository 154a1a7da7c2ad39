//! Slow and idle connections. One timer a connection watches all of it, and a request costs a few stores: hyper's own
//! header timer is set up anew for every request, and counts the pause between two requests as a slow header.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::strict::Head;

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the first byte of a request to the end of its headers; also from the connection to its first byte.
    pub header: Duration,
    /// Between two requests. Longer than load balancers keep idle connections (60 s), so that they close first: a
    /// request must not meet a server that is just hanging up.
    pub idle: Duration,
    /// Without a byte taken by the client while there are bytes to send.
    pub stalled: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stalled: Duration::from_secs(60),
        }
    }
}

/// What a connection is doing, in milliseconds since it began; zero stands for "is not".
#[derive(Debug)]
pub struct Pulse {
    patience: Patience,
    began: Instant,
    /// Since when a head has been arriving.
    heading: AtomicU64,
    /// When the last request was done with.
    done: AtomicU64,
    /// Since when bytes have been waiting to be sent.
    blocked: AtomicU64,
    requests: AtomicU32,
    /// On HTTP/2 bytes arrive between requests, too; heads cannot be told from pings here.
    is_http2: AtomicBool,
    /// On HTTP/2 a client can refuse to take an answer and still take bytes: answers that it could take, and when it last
    /// took a part of one.
    offered: AtomicU32,
    taken: AtomicU64,
}

/// What arriving bytes are a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arriving {
    /// They begin a head.
    NextHead,
    Head,
    Other,
}

/// What is to be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Look again then.
    Keep(Instant),
    /// Between requests for too long: close it politely.
    CloseIdle,
    /// The client takes too long over a request or an answer: drop it.
    Drop(&'static str),
}

impl Pulse {
    #[must_use]
    pub fn new(patience: Patience) -> Arc<Self> {
        Arc::new(Self {
            patience,
            began: Instant::now(),
            heading: AtomicU64::new(1),
            done: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            is_http2: AtomicBool::new(false),
            offered: AtomicU32::new(0),
            taken: AtomicU64::new(0),
        })
    }

    /// The head of a request has arrived. It is worked on until what this returns is dropped.
    #[must_use]
    pub fn request(self: &Arc<Self>, version: http::Version) -> Busy {
        self.heading.store(0, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        if version == http::Version::HTTP_2 {
            self.is_http2.store(true, Relaxed);
        }
        Busy { pulse: self.clone(), offers: false }
    }

    /// What is to be done now.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        let now = self.now();
        let busy = self.requests.load(Relaxed) > 0;
        let heading = self.heading.load(Relaxed);
        let blocked = self.blocked.load(Relaxed);
        let taken = self.taken.load(Relaxed);
        let not_taken = Verdict::Drop("the client does not take its answer");
        let (since, patience, verdict) = if blocked > 0 {
            (blocked, self.patience.stalled, not_taken)
        } else if self.offered.load(Relaxed) > 0 && taken.saturating_add(millis(self.patience.stalled)) <= now
        {
            return not_taken;
        } else if busy {
            return Verdict::Keep(Instant::now() + self.patience.header.min(self.patience.stalled));
        } else if heading > 0 {
            (heading, self.patience.header, Verdict::Drop("the client does not finish its request"))
        } else {
            (self.done.load(Relaxed), self.patience.idle, Verdict::CloseIdle)
        };
        let until = since.saturating_add(millis(patience));
        if until <= now { verdict } else { Verdict::Keep(self.soon(until)) }
    }

    /// The moment to look next: `until`, or earlier, since something else may have begun by then.
    fn soon(&self, until: u64) -> Instant {
        let at = self.began + Duration::from_millis(until);
        at.min(Instant::now() + self.patience.header.min(self.patience.stalled))
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed()).max(1)
    }

    fn read(&self) -> Arriving {
        if self.heading.load(Relaxed) > 0 {
            return Arriving::Head;
        }
        if self.requests.load(Relaxed) > 0 || self.is_http2.load(Relaxed) {
            return Arriving::Other;
        }
        self.heading.store(self.now(), Relaxed);
        Arriving::NextHead
    }

    fn wrote(&self, poll: &Poll<io::Result<usize>>) {
        match poll {
            Poll::Ready(_) => self.blocked.store(0, Relaxed),
            Poll::Pending if self.blocked.load(Relaxed) == 0 => self.blocked.store(self.now(), Relaxed),
            Poll::Pending => {}
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A request that is worked on.
#[derive(Debug)]
pub struct Busy {
    pulse: Arc<Pulse>,
    offers: bool,
}

impl Busy {
    /// There is an answer now, which the client has to take.
    pub fn offers(&mut self) {
        if self.pulse.is_http2.load(Relaxed) && !self.offers {
            self.offers = true;
            self.taken();
            self.pulse.offered.fetch_add(1, Relaxed);
        }
    }

    /// The client took a part of the answer, or can take more than there is.
    pub fn taken(&self) {
        if self.offers {
            self.pulse.taken.store(self.pulse.now(), Relaxed);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.offers {
            self.pulse.offered.fetch_sub(1, Relaxed);
        }
        self.pulse.done.store(self.pulse.now(), Relaxed);
        self.pulse.requests.fetch_sub(1, Relaxed);
    }
}

/// Reads of 4 KiB with which the rest of a refused request is thrown away at most.
const THROW_AWAY_READS: usize = 1024;

/// A stream that tells a [`Pulse`] what passes.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
    head: Head,
}

impl<S> Watched<S> {
    #[must_use]
    pub fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse, head: Head::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            let arriving = self.pulse.read();
            if arriving == Arriving::NextHead {
                self.head = Head::default();
            }
            let arrived = &mut buf.filled_mut()[before..];
            if arriving != Arriving::Other && !self.head.is_clear(arrived) {
                // No parser takes this for a part of a head: it answers 400, and closes.
                arrived[0] = 0;
            }
        }
        poll
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.pulse.wrote(&poll);
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.pulse.wrote(&poll);
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        // What has arrived and was not read is thrown away: the kernel answers a close over unread bytes with a reset,
        // and a client that gets one may never see the refusal that was just sent.
        let mut scratch = [MaybeUninit::uninit(); 4096];
        for _ in 0..THROW_AWAY_READS {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Patience = Patience { header: Duration::ZERO, idle: Duration::ZERO, stalled: Duration::ZERO };

    #[test]
    fn a_connection_is_judged_by_what_it_does() {
        let pulse = Pulse::new(Patience::default());
        assert!(matches!(pulse.judge(), Verdict::Keep(_)), "new");
        let pulse = Pulse::new(NOW);
        assert!(matches!(pulse.judge(), Verdict::Drop(_)), "nothing came in time");
        let busy = pulse.request(http::Version::HTTP_11);
        assert!(matches!(pulse.judge(), Verdict::Keep(_)), "an answer may take its time");
        drop(busy);
        assert_eq!(pulse.judge(), Verdict::CloseIdle);
        assert_eq!(pulse.read(), Arriving::NextHead);
        assert!(matches!(pulse.judge(), Verdict::Drop(_)), "half a head");
        let _busy = pulse.request(http::Version::HTTP_2);
        pulse.wrote(&Poll::Pending);
        assert!(matches!(pulse.judge(), Verdict::Drop(_)), "the client does not read");
        pulse.wrote(&Poll::Ready(Ok(1)));
        assert!(matches!(pulse.judge(), Verdict::Keep(_)));
        let mut offering = pulse.request(http::Version::HTTP_2);
        offering.offers();
        assert!(matches!(pulse.judge(), Verdict::Drop(_)), "the client opens no window");
        drop(offering);
        assert!(matches!(pulse.judge(), Verdict::Keep(_)));
    }
}
