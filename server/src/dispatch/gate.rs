//! Permits, and a bounded queue before them in which whoever came first goes first.
//!
//! While there is room, a permit costs one atomic exchange. Only a call that has to wait takes a lock, allocates or
//! looks at the clock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::dispatch::pace::Pace;

/// A number of permits, and those who wait for one.
#[derive(Debug)]
pub struct Gate {
    /// Permits in use in the lower half, waiting calls in the upper: one word, so that no permit is given back unseen by
    /// a call that is just beginning to wait. The upper half changes under the lock of the queue only.
    state: AtomicU64,
    limit: AtomicUsize,
    max_queued: AtomicUsize,
    pace: Pace,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    next: u64,
    /// How many have left the queue at its head.
    served: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    grant: oneshot::Sender<Pass>,
}

/// Why there is no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// As many wait as may.
    #[error("too many calls are waiting already")]
    Full,
    /// Those who wait would take longer than the newcomer may.
    #[error("the wait would be too long")]
    Hopeless,
    /// It waited for as long as it may.
    #[error("the wait was too long")]
    Expired,
}

/// One waiting call.
const WAITING: u64 = 1 << 32;

fn used(state: u64) -> usize {
    usize::try_from(state & (WAITING - 1)).unwrap_or(usize::MAX)
}

fn waiting(state: u64) -> usize {
    usize::try_from(state >> 32).unwrap_or(usize::MAX)
}

impl Gate {
    #[must_use]
    pub fn new(limit: usize, max_queued: usize) -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU64::new(0),
            limit: AtomicUsize::new(limit),
            max_queued: AtomicUsize::new(max_queued),
            pace: Pace::default(),
            queue: Mutex::default(),
        })
    }

    /// Changes the bounds. Permits in use above a lower limit stay in use, and nobody who waits is sent away.
    pub fn set(self: &Arc<Self>, limit: usize, max_queued: usize) {
        self.max_queued.store(max_queued, Ordering::Relaxed);
        self.limit.store(limit, Ordering::Relaxed);
        let mut queue = self.lock();
        let mut grants = Vec::new();
        while used(self.state.load(Ordering::Relaxed)) < limit
            && let Some(waiting) = queue.waiting.pop_front()
        {
            queue.served += 1;
            self.state.fetch_sub(WAITING - 1, Ordering::Relaxed);
            grants.push(waiting.grant);
        }
        drop(queue);
        for grant in grants {
            // Whoever left meanwhile gives it back by dropping it.
            drop(grant.send(Pass(self.clone())));
        }
    }

    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn used(&self) -> usize {
        used(self.state.load(Ordering::Relaxed))
    }

    #[must_use]
    pub fn waiting(&self) -> usize {
        waiting(self.state.load(Ordering::Relaxed))
    }

    /// A permit, where there is one and nobody waits for it.
    #[must_use]
    pub fn try_pass(self: &Arc<Self>) -> Option<Pass> {
        let limit = self.limit();
        let mut state = self.state.load(Ordering::Relaxed);
        while waiting(state) == 0 && used(state) < limit {
            match self.state.compare_exchange_weak(state, state + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Pass(self.clone())),
                Err(now) => state = now,
            }
        }
        None
    }

    /// What a call would find that came now and may wait for `patience`.
    ///
    /// # Errors
    /// Where it would wait in vain. Where nobody waits it never would: somebody has to find out how long it takes.
    pub fn forecast(&self, patience: Duration) -> Result<(), NoRoom> {
        let state = self.state.load(Ordering::Relaxed);
        let ahead = waiting(state);
        if ahead == 0 && used(state) < self.limit() {
            return Ok(());
        }
        if ahead >= self.max_queued.load(Ordering::Relaxed) {
            return Err(NoRoom::Full);
        }
        if ahead > 0 && self.pace.wait(ahead + 1) > patience { Err(NoRoom::Hopeless) } else { Ok(()) }
    }

    /// How long a call would wait that came now, going by those who came before it.
    #[must_use]
    pub fn expected_wait(&self) -> Duration {
        self.pace.wait(self.waiting() + 1)
    }

    /// Waits for a permit, behind all who wait already.
    ///
    /// # Errors
    /// Where too many wait, or until `until` none became free.
    pub async fn wait(self: &Arc<Self>, until: Instant) -> Result<Pass, NoRoom> {
        let mut place = match self.queue_up()? {
            Entered::Passed(pass) => return Ok(pass),
            Entered::Waits(place) => place,
        };
        match timeout_at(until, &mut place.grant).await {
            Ok(Ok(pass)) => Ok(pass),
            // A place is given up by its owner only.
            Ok(Err(_)) => Err(NoRoom::Expired),
            Err(_elapsed) => {
                place.expired();
                Err(NoRoom::Expired)
            }
        }
    }

    fn queue_up(self: &Arc<Self>) -> Result<Entered, NoRoom> {
        let mut queue = self.lock();
        let (limit, max_queued) = (self.limit(), self.max_queued.load(Ordering::Relaxed));
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let room = waiting(state) == 0 && used(state) < limit;
            if !room && waiting(state) >= max_queued {
                return Err(NoRoom::Full);
            }
            let then = if room { state + 1 } else { state + WAITING };
            match self.state.compare_exchange_weak(state, then, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) if room => return Ok(Entered::Passed(Pass(self.clone()))),
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        let number = queue.next;
        queue.next += 1;
        let (sender, grant) = oneshot::channel();
        queue.waiting.push_back(Waiting { number, grant: sender });
        let served = queue.served;
        Ok(Entered::Waits(Place { gate: self.clone(), grant, number, served, since: Instant::now() }))
    }

    /// Gives a permit back, or on to whoever waits longest.
    fn release(self: &Arc<Self>) {
        let mut state = self.state.load(Ordering::Relaxed);
        while waiting(state) == 0 {
            match self.state.compare_exchange_weak(state, state - 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
        let mut queue = self.lock();
        let over = used(self.state.load(Ordering::Relaxed)) > self.limit();
        let next = if over { None } else { queue.waiting.pop_front() };
        let Some(next) = next else {
            self.state.fetch_sub(1, Ordering::Release);
            return;
        };
        queue.served += 1;
        self.state.fetch_sub(WAITING, Ordering::Relaxed);
        drop(queue);
        // Whoever left meanwhile gives it on by dropping it.
        drop(next.grant.send(Pass(self.clone())));
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Entered {
    Passed(Pass),
    Waits(Place),
}

/// A place in the queue, given up when it is dropped.
#[derive(Debug)]
struct Place {
    gate: Arc<Gate>,
    grant: oneshot::Receiver<Pass>,
    number: u64,
    /// How many had been served when this place was taken.
    served: u64,
    since: Instant,
}

impl Place {
    /// Nobody came for so long: that says something about the queue, too.
    fn expired(&self) {
        let passed = self.gate.lock().served - self.served;
        self.gate.pace.note(self.since.elapsed(), passed + 1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queue = self.gate.lock();
        match queue.waiting.binary_search_by_key(&self.number, |waiting| waiting.number) {
            Ok(index) => {
                queue.waiting.remove(index);
                self.gate.state.fetch_sub(WAITING, Ordering::Relaxed);
            }
            Err(_served) => {
                // Those who were ahead are the first of all who have been served since.
                let passed = queue.served - self.served;
                drop(queue);
                self.gate.pace.note(self.since.elapsed(), passed);
            }
        }
    }
}

/// A permit, until it is dropped.
#[derive(Debug)]
pub struct Pass(Arc<Gate>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test]
    async fn who_came_first_goes_first() {
        let gate = Gate::new(2, 10);
        let first = gate.try_pass().unwrap();
        let second = gate.try_pass().unwrap();
        assert!(gate.try_pass().is_none());
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waits = Vec::new();
        for number in 0..5 {
            let (gate, order) = (gate.clone(), order.clone());
            let mut wait = Box::pin(async move {
                let pass = gate.wait(soon()).await.unwrap();
                order.lock().unwrap().push(number);
                drop(pass);
            });
            assert!(wait.as_mut().now_or_never().is_none());
            waits.push(tokio::spawn(wait));
        }
        assert_eq!((gate.used(), gate.waiting()), (2, 5));
        drop(first);
        assert!(gate.try_pass().is_none(), "nobody overtakes those who wait");
        for wait in waits {
            wait.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        drop(second);
        assert_eq!((gate.used(), gate.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_so_is_the_wait() {
        let gate = Gate::new(1, 1);
        let pass = gate.try_pass().unwrap();
        let mut waits = Box::pin(gate.wait(soon()));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(gate.wait(soon()).await.unwrap_err(), NoRoom::Full);
        assert_eq!(gate.forecast(Duration::MAX), Err(NoRoom::Full));
        drop(waits);
        assert_eq!((gate.used(), gate.waiting()), (1, 0), "who leaves the queue makes room in it");
        let until = Instant::now() + Duration::from_millis(20);
        assert_eq!(gate.wait(until).await.unwrap_err(), NoRoom::Expired);
        assert!(gate.expected_wait() >= Duration::from_millis(20));
        assert_eq!(gate.forecast(Duration::ZERO), Ok(()), "the first in a queue may always try");
        drop(pass);
        assert_eq!(gate.wait(soon()).await.map(drop), Ok(()));
    }

    #[tokio::test]
    async fn a_hopeless_wait_is_foreseen() {
        let gate = Gate::new(1, 10);
        let pass = gate.try_pass().unwrap();
        let until = Instant::now() + Duration::from_millis(20);
        assert_eq!(gate.wait(until).await.unwrap_err(), NoRoom::Expired);
        let mut waits = Box::pin(gate.wait(soon()));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(gate.forecast(Duration::from_millis(10)), Err(NoRoom::Hopeless));
        assert_eq!(gate.forecast(Duration::from_secs(60)), Ok(()));
        drop((waits, pass));
    }

    #[tokio::test]
    async fn other_bounds_send_nobody_away() {
        let gate = Gate::new(1, 4);
        let pass = gate.try_pass().unwrap();
        let mut waits: Vec<_> = (0..4).map(|_| Box::pin(gate.wait(soon()))).collect();
        for wait in &mut waits {
            assert!(wait.as_mut().now_or_never().is_none());
        }
        gate.set(3, 0);
        assert_eq!((gate.used(), gate.waiting()), (3, 2));
        let passes: Vec<_> = waits.iter_mut().take(2).map(|wait| wait.as_mut().now_or_never()).collect();
        assert!(passes.iter().all(Option::is_some));
        gate.set(1, 0);
        drop(pass);
        drop(passes);
        assert_eq!((gate.used(), gate.waiting()), (1, 1), "a lower limit is reached before anybody follows");
        for wait in waits.into_iter().skip(2) {
            drop(wait.await.unwrap());
        }
        assert_eq!((gate.used(), gate.waiting()), (0, 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_permit_is_lost_or_made_whatever_happens() {
        let gate = Gate::new(3, 50);
        let inside = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..64_u64)
            .map(|task| {
                let (gate, inside) = (gate.clone(), inside.clone());
                tokio::spawn(async move {
                    for round in 0..200_u64 {
                        let pass = match gate.try_pass() {
                            Some(pass) => pass,
                            None => {
                                let until = Instant::now() + Duration::from_micros((task * round) % 300);
                                let Ok(pass) = gate.wait(until).await else { continue };
                                pass
                            }
                        };
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                        if round % 3 == 0 {
                            tokio::task::yield_now().await;
                        }
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(pass);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((gate.used(), gate.waiting()), (0, 0));
    }
}
