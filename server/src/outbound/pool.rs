//! The connections to one upstream: so many at once and no more, kept open for the next request, and counted.
//!
//! A request first takes a permit, then a connection that is open, and only where there is none opens one. A connection
//! goes back before its permit does. So there are never more connections, used and unused together, than permits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::connect::Sender;
use super::error::{Doing, OutboundError, Queue};
use super::stats::{Counted, UpstreamStatus};
use super::target::Target;
use crate::observe::health;

/// How long a connection is kept that nobody uses. Less than the minute after which many servers hang up.
pub(super) const IDLE: Duration = Duration::from_secs(30);
/// How much earlier a request gives up that waits for a connection than the call that it is for.
const MARGIN: Duration = Duration::from_millis(100);
/// After how many failures in a row an upstream counts as failing that did answer before.
const FAILURES: u64 = 3;

/// One upstream.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) target: Target,
    pub(super) counted: Counted,
    permits: Arc<Semaphore>,
    size: Mutex<Size>,
    idle: Mutex<Vec<Idle>>,
    waiting: AtomicUsize,
    open: AtomicUsize,
    in_use: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Size {
    limit: usize,
    /// Permits that are in use and will not come back.
    debt: usize,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

#[derive(Debug, Default)]
struct State {
    failures_in_a_row: u64,
    /// Whether it ever was well.
    answered: bool,
    last_error: Option<String>,
    /// When somebody asked last.
    asked: Option<Instant>,
    /// When the last request ended.
    ended: Option<SystemTime>,
    requests: u64,
    failures: u64,
    waits: u64,
    reused: u64,
}

impl State {
    fn health(&self) -> health::State {
        match self.ended {
            None => health::State::Unknown,
            Some(_) if self.failures_in_a_row >= FAILURES || !self.answered => health::State::Unhealthy,
            Some(_) => health::State::Healthy,
        }
    }
}

impl Upstream {
    pub(super) fn new(target: Target, counted: Counted, limit: usize) -> Self {
        if let Some(healthy) = &counted.healthy {
            healthy.set(1);
        }
        Self {
            target,
            counted,
            permits: Arc::new(Semaphore::new(limit)),
            size: Mutex::new(Size { limit, debt: 0 }),
            idle: Mutex::default(),
            waiting: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            in_use: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// Changes how many connections there may be. Those in use above a lower bound are closed when they come back.
    pub(super) fn set_limit(&self, limit: usize) {
        let mut size = lock(&self.size);
        if limit > size.limit {
            let more = limit - size.limit;
            let forgiven = more.min(size.debt);
            size.debt -= forgiven;
            self.permits.add_permits(more - forgiven);
        } else {
            let fewer = size.limit - limit;
            size.debt += fewer - self.permits.forget_permits(fewer);
            lock(&self.idle).clear();
        }
        size.limit = limit;
    }

    /// Takes a permit, waiting for one where all are taken.
    pub(super) async fn permit(self: &Arc<Self>, deadline: Instant) -> Result<Permit, OutboundError> {
        {
            let mut state = lock(&self.state);
            state.requests += 1;
            state.asked = Some(Instant::now());
        }
        let mut waited = Duration::ZERO;
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                lock(&self.state).waits += 1;
                self.counted.waits.inc();
                let began = Instant::now();
                let _waiting = Waiting::new(self);
                // Given up a little before the call itself is, so that its caller learns what it waited for.
                let by = deadline - (deadline.saturating_duration_since(began) / 10).min(MARGIN);
                let acquired = timeout_at(by, self.permits.clone().acquire_owned()).await;
                let acquired = acquired.map_err(|_| self.timeout(Doing::Waiting, began, Duration::ZERO))?;
                waited = began.elapsed();
                acquired.expect("the semaphore is never closed")
            }
        };
        self.in_use.fetch_add(1, Ordering::Relaxed);
        self.counted.in_use.inc();
        Ok(Permit { upstream: self.clone(), permit: Some(permit), waited })
    }

    /// What took too long, for a request that had to wait so long for its connection.
    pub(super) fn timeout(&self, doing: Doing, began: Instant, waited: Duration) -> OutboundError {
        let queue = Queue { waited, limit: lock(&self.size).limit };
        OutboundError::Timeout { upstream: self.target.name(), doing, after: began.elapsed(), queue }
    }

    /// A connection that is open and unused, the freshest first.
    pub(super) fn take_idle(&self) -> Option<Sender> {
        let mut idle = lock(&self.idle);
        while let Some(Idle { sender, since }) = idle.pop() {
            if !sender.is_closed() && since.elapsed() < IDLE {
                return Some(sender);
            }
        }
        None
    }

    pub(super) fn note_reused(&self) {
        lock(&self.state).reused += 1;
        self.counted.reused.inc();
    }

    /// Closes what is open and unused.
    pub(super) fn close_idle(&self) {
        lock(&self.idle).clear();
    }

    /// Closes what was unused for too long.
    pub(super) fn reap(&self) {
        lock(&self.idle).retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < IDLE);
    }

    /// Whether nothing is open or under way.
    pub(super) fn is_unused(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0 && self.in_use.load(Ordering::Relaxed) == 0
    }

    /// When somebody asked last.
    pub(super) fn asked(&self) -> Option<Instant> {
        lock(&self.state).asked
    }

    /// Notes how a request ended that says something of the upstream.
    pub(super) fn note(&self, failure: Option<String>) {
        let mut state = lock(&self.state);
        if failure.is_some() {
            state.failures += 1;
            state.failures_in_a_row += 1;
        } else {
            state.failures_in_a_row = 0;
            state.answered = true;
        }
        state.last_error = failure;
        state.ended = Some(SystemTime::now());
        if let Some(healthy) = &self.counted.healthy {
            healthy.set(i64::from(state.health() != health::State::Unhealthy));
        }
    }

    pub(super) fn status(&self) -> UpstreamStatus {
        let state = lock(&self.state);
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let reuse_ratio = if state.requests == 0 { 0.0 } else { state.reused as f64 / state.requests as f64 };
        UpstreamStatus {
            upstream: self.target.name(),
            state: state.health(),
            last_error: state.last_error.clone(),
            last_request: state.ended.map(crate::status::at),
            open: self.open.load(Ordering::Relaxed),
            idle: lock(&self.idle).len(),
            in_use: self.in_use.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            limit: lock(&self.size).limit,
            requests: state.requests,
            failures: state.failures,
            consecutive_failures: state.failures_in_a_row,
            waits: state.waits,
            reuse_ratio,
        }
    }
}

/// The right to use one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    upstream: Arc<Upstream>,
    permit: Option<OwnedSemaphorePermit>,
    /// How long it took to have it.
    pub(super) waited: Duration,
}

impl Permit {
    /// Keeps a connection for the next request.
    pub(super) fn give_back(self, sender: Sender) {
        let in_debt = lock(&self.upstream.size).debt > 0;
        if !in_debt && !sender.is_closed() {
            lock(&self.upstream.idle).push(Idle { sender, since: Instant::now() });
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.upstream.in_use.fetch_sub(1, Ordering::Relaxed);
        self.upstream.counted.in_use.dec();
        let mut size = lock(&self.upstream.size);
        if let Some(permit) = self.permit.take()
            && size.debt > 0
        {
            size.debt -= 1;
            permit.forget();
        }
    }
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<Upstream>);

impl Open {
    pub(super) fn new(upstream: &Arc<Upstream>) -> Self {
        upstream.open.fetch_add(1, Ordering::Relaxed);
        upstream.counted.open.inc();
        Self(upstream.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.counted.open.dec();
    }
}

/// A request that waits for a connection, until it is dropped.
struct Waiting<'a>(&'a Upstream);

impl<'a> Waiting<'a> {
    fn new(upstream: &'a Upstream) -> Self {
        upstream.waiting.fetch_add(1, Ordering::Relaxed);
        upstream.counted.waiting.inc();
        Self(upstream)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.counted.waiting.dec();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
