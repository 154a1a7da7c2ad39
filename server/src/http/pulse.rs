//! Slow and idle connections. One timer a connection watches all of it, and a request costs a few stores: hyper's own
//! header timer is set up anew for every request, and counts the pause between two requests as a slow header.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};

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
    /// Whether everything that has arrived was read.
    is_drained: AtomicBool,
    /// On HTTP/2 bytes arrive between requests, too; heads cannot be told from pings here.
    is_http2: AtomicBool,
    /// On HTTP/2 a client can refuse to take an answer and still take bytes: answers that it could take, and when it last
    /// took a part of one.
    offered: AtomicU32,
    taken: AtomicU64,
    /// Requests whose body is being waited for, and since when there is one.
    receiving: AtomicU32,
    receiving_since: AtomicU64,
    /// Those among them that were answered already.
    discarding: AtomicU32,
}

/// What a connection waits for its client to do, where that is all that happens on it. Those that do least come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waits {
    /// For a request, or for the rest of its head.
    Request,
    /// For the rest of a body.
    Body,
    /// For room to send an answer.
    Reader,
}

/// What arriving bytes are a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arriving {
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
            is_drained: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
            offered: AtomicU32::new(0),
            taken: AtomicU64::new(0),
            receiving: AtomicU32::new(0),
            receiving_since: AtomicU64::new(0),
            discarding: AtomicU32::new(0),
        })
    }

    /// For what the client is being waited for, and since when. None where this server is at work, or where the next bytes
    /// may be on their way: a new client must have the time to send its request.
    #[must_use]
    pub fn waits(&self) -> Option<(Waits, Instant)> {
        let requests = self.requests.load(Relaxed);
        let (waits, since) = if requests == 0 {
            if !self.is_drained.load(Relaxed) {
                return None;
            }
            let heading = self.heading.load(Relaxed);
            (Waits::Request, if heading > 0 { heading } else { self.done.load(Relaxed) })
        } else if self.receiving.load(Relaxed) >= requests {
            (Waits::Body, self.receiving_since.load(Relaxed))
        } else {
            (Waits::Reader, Some(self.blocked.load(Relaxed)).filter(|since| *since > 0)?)
        };
        let since = self.began + Duration::from_millis(since);
        (since.elapsed() >= ON_ITS_WAY).then_some((waits, since))
    }

    /// All bytes that have arrived were read.
    pub(super) fn drained(&self) {
        self.is_drained.store(true, Relaxed);
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

    /// Whether nothing happens on the connection but that bodies of refused requests are thrown away.
    #[must_use]
    pub fn only_discards(&self) -> bool {
        let discarding = self.discarding.load(Relaxed);
        discarding > 0 && discarding >= self.requests.load(Relaxed)
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

    /// Bytes have arrived; what they are a part of.
    pub(super) fn read(&self) -> Arriving {
        self.is_drained.store(false, Relaxed);
        if self.heading.load(Relaxed) > 0 {
            return Arriving::Head;
        }
        if self.requests.load(Relaxed) > 0 || self.is_http2.load(Relaxed) {
            return Arriving::Other;
        }
        self.heading.store(self.now(), Relaxed);
        Arriving::NextHead
    }

    /// Bytes were sent, or have to wait.
    pub(super) fn wrote(&self, poll: &Poll<io::Result<usize>>) {
        match poll {
            Poll::Ready(_) => self.blocked.store(0, Relaxed),
            Poll::Pending if self.blocked.load(Relaxed) == 0 => self.blocked.store(self.now(), Relaxed),
            Poll::Pending => {}
        }
    }
}

/// How long the next bytes of a client may be on their way: a request follows the handshake of its connection at once.
const ON_ITS_WAY: Duration = Duration::from_millis(10);

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
    /// One more reason for which the connection is not idle.
    #[must_use]
    pub fn again(&self) -> Self {
        self.pulse.requests.fetch_add(1, Relaxed);
        Self { pulse: self.pulse.clone(), offers: false }
    }

    /// The rest of a body is being waited for until what this returns is dropped.
    #[must_use]
    pub fn receiving(&self) -> Receiving {
        if self.pulse.receiving.fetch_add(1, Relaxed) == 0 {
            self.pulse.receiving_since.store(self.pulse.now(), Relaxed);
        }
        Receiving { pulse: self.pulse.clone(), discards: false }
    }

    /// The same where the body will be thrown away.
    #[must_use]
    pub fn discarding(&self) -> Receiving {
        self.pulse.discarding.fetch_add(1, Relaxed);
        let mut receiving = self.receiving();
        receiving.discards = true;
        receiving
    }

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

/// A body that is being waited for.
#[derive(Debug)]
pub struct Receiving {
    pulse: Arc<Pulse>,
    discards: bool,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.pulse.receiving.fetch_sub(1, Relaxed);
        if self.discards {
            self.pulse.discarding.fetch_sub(1, Relaxed);
        }
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
