//! Threads for work that may take long.
//!
//! An evaluation cannot be stopped from outside. So when nobody waits for one any more, its thread is *abandoned*: it no
//! longer counts, another takes its place, and it ends by itself once the evaluation does. How many may be abandoned at a
//! time is bounded; beyond that new work is refused until some have ended.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;

use tokio::sync::{oneshot, watch};

use super::guarded;
use crate::backend::{CallError, Health};

/// How much a pool may take upon itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolLimits {
    /// Threads that work. They are started when they are needed.
    pub(super) threads: usize,
    /// Work that waits for a thread.
    pub(super) queue: usize,
    /// Threads that still work on what nobody waits for.
    pub(super) abandoned: usize,
    /// Stack of a thread, in bytes. Only what is touched takes memory.
    pub(super) stack: usize,
}

impl PoolLimits {
    /// The limits of a pool of so many threads; without a number, of one for each processor that this process may use.
    pub(super) fn of(threads: Option<usize>) -> Self {
        let threads =
            threads.unwrap_or_else(|| thread::available_parallelism().map_or(2, usize::from).min(8));
        Self { threads, queue: 256, abandoned: 2 * threads, stack: 8 << 20 }
    }
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self::of(None)
    }
}

/// A bounded pool of threads.
pub(in crate::backend) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Notified when there is work, and when threads are to look whether they are still wanted.
    work: Condvar,
    health: watch::Sender<Health>,
}

struct State {
    limits: PoolLimits,
    queue: VecDeque<Job>,
    /// Threads that work or wait for work; without the abandoned ones.
    threads: usize,
    /// Those of them that wait for work.
    idle: usize,
    abandoned: usize,
    closed: bool,
}

/// Sends an answer to whoever waits for it.
type Delivery = Box<dyn FnOnce()>;

struct Job {
    /// Does the work, and hands over what is to be done with its answer when the thread is free again.
    work: Box<dyn FnOnce() -> Delivery + Send>,
    stage: Arc<AtomicU8>,
}

/// Stages of a job; they only change while the state is locked.
const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const ABANDONED: u8 = 2;
const DONE: u8 = 3;

/// Work that was taken on. Dropping it abandons the work.
pub(in crate::backend) struct Pending<T> {
    answer: oneshot::Receiver<Result<T, CallError>>,
    stage: Arc<AtomicU8>,
    shared: Arc<Shared>,
}

impl Pool {
    pub(super) fn new(limits: PoolLimits) -> Self {
        let state =
            State { limits, queue: VecDeque::new(), threads: 0, idle: 0, abandoned: 0, closed: false };
        let shared = Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            health: watch::Sender::new(Health::Healthy),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    /// Changes the limits. Threads that are one too many end when they have done what they are doing.
    pub(super) fn set_limits(&self, limits: PoolLimits) {
        let mut state = self.shared.lock();
        state.limits = limits;
        for _ in 0..state.queue.len() {
            // Where no thread can be started, the waiting work is served by those that there are.
            drop(self.shared.staff(&mut state));
        }
        drop(state);
        self.shared.work.notify_all();
    }

    /// Takes work on.
    ///
    /// # Errors
    /// [`CallError::Overloaded`] where too much waits or too many threads are abandoned, [`CallError::Internal`] where
    /// no thread can be started at all.
    pub(in crate::backend) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Pending<T>, CallError> {
        let (sender, answer) = oneshot::channel();
        let work: Box<dyn FnOnce() -> Delivery + Send> = Box::new(move || {
            let outcome = guarded(work);
            // Nobody may be listening any more, which was dealt with when they left.
            Box::new(move || drop(sender.send(outcome)))
        });
        let stage = Arc::new(AtomicU8::new(QUEUED));
        let mut state = self.shared.lock();
        if state.queue.len() >= state.limits.queue || state.abandoned >= state.limits.abandoned {
            return Err(CallError::Overloaded);
        }
        state.queue.push_back(Job { work, stage: Arc::clone(&stage) });
        if let Err(error) = self.shared.staff(&mut state)
            && state.threads == 0
        {
            state.queue.pop_back();
            return Err(CallError::Internal(format!(
                "no thread could be started for a declared tool: {error}"
            )));
        }
        drop(state);
        self.shared.work.notify_one();
        Ok(Pending { answer, stage, shared: Arc::clone(&self.shared) })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        // What still waits will not be done: dropping it tells whoever waits for it.
        let never = std::mem::take(&mut state.queue);
        drop(state);
        drop(never);
        self.shared.work.notify_all();
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and the counts would be right even so.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread where one is missing.
    fn staff(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        if state.idle < state.queue.len() && state.threads < state.limits.threads {
            let shared = Arc::clone(self);
            let builder = thread::Builder::new().name("tools".to_owned()).stack_size(state.limits.stack);
            builder.spawn(move || shared.serve())?;
            state.threads += 1;
        }
        Ok(())
    }

    /// What a thread does all its life.
    fn serve(&self) {
        while let Some(job) = self.next() {
            let deliver = (job.work)();
            let stays = self.finished(&job.stage);
            deliver();
            if !stays {
                return;
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed || state.threads > state.limits.threads {
                state.threads = state.threads.saturating_sub(1);
                // This thread may have been woken for work, which is for another one then.
                self.work.notify_one();
                return None;
            }
            if let Some(job) = state.queue.pop_front() {
                job.stage.store(RUNNING, Ordering::Relaxed);
                return Some(job);
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Notes that a job is done; says whether its thread goes on.
    fn finished(&self, stage: &AtomicU8) -> bool {
        let mut state = self.lock();
        if stage.swap(DONE, Ordering::Relaxed) != ABANDONED {
            return true;
        }
        state.abandoned -= 1;
        self.report(&state);
        let needed = !state.closed && state.threads < state.limits.threads;
        if needed {
            state.threads += 1;
        }
        needed
    }

    /// Nobody waits for a job any more.
    fn abandon(self: &Arc<Self>, stage: &Arc<AtomicU8>) {
        let mut state = self.lock();
        match stage.load(Ordering::Relaxed) {
            QUEUED => state.queue.retain(|job| !Arc::ptr_eq(&job.stage, stage)),
            RUNNING if state.abandoned < state.limits.abandoned => {
                stage.store(ABANDONED, Ordering::Relaxed);
                state.abandoned += 1;
                state.threads -= 1;
                self.report(&state);
                // Where no thread can be started, the waiting work is served by those that are left, or at the next submission.
                drop(self.staff(&mut state));
            }
            _ => {}
        }
    }

    fn report(&self, state: &State) {
        self.health.send_replace(match state.abandoned {
            0 => Health::Healthy,
            1 => Health::Degraded(
                "an evaluation of a declared tool overran its deadline and still runs".to_owned(),
            ),
            n => Health::Degraded(format!(
                "{n} evaluations of declared tools overran their deadlines and still run"
            )),
        });
    }
}

// === impl Pending ===

impl<T> Future for Pending<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| {
            answer.unwrap_or_else(|_| Err(CallError::Internal("the pool of threads was closed".to_owned())))
        })
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.shared.abandon(&self.stage);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Pool")
            .field("limits", &state.limits)
            .field("threads", &state.threads)
            .field("queued", &state.queue.len())
            .field("abandoned", &state.abandoned)
            .finish()
    }
}
