//! Limits that outlive a reload: what is in use stays counted while the bounds change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of things in use, and how many there may be.
#[derive(Debug)]
pub struct Bound {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl Bound {
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit: AtomicUsize::new(limit) })
    }

    /// Changes the bound. What is in use above a lower one stays, and nothing is added until it went.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// A share that is still empty.
    #[must_use]
    pub fn nothing(self: &Arc<Self>) -> Share {
        Share { bound: self.clone(), amount: 0 }
    }

    /// Takes `amount`, or nothing at all where that would be too much.
    #[must_use]
    pub fn take(self: &Arc<Self>, amount: usize) -> Option<Share> {
        let mut share = self.nothing();
        share.grow(amount).then_some(share)
    }
}

/// What is taken, until it is dropped.
#[derive(Debug)]
pub struct Share {
    bound: Arc<Bound>,
    amount: usize,
}

impl Share {
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Takes `more` on top; false where that would be too much.
    #[must_use]
    pub fn grow(&mut self, more: usize) -> bool {
        self.grow_beyond(more, 0)
    }

    /// The same with a reserve, of which others do not know.
    #[must_use]
    pub fn grow_beyond(&mut self, more: usize, reserve: usize) -> bool {
        let limit = self.bound.limit().saturating_add(reserve);
        let room = |used: usize| used.checked_add(more).filter(|sum| *sum <= limit);
        let taken = self.bound.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok();
        if taken {
            self.amount += more;
        }
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.bound.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_up_to_the_limit_and_gives_back() {
        let bound = Bound::new(10);
        let first = bound.take(6).unwrap();
        let mut second = bound.take(3).unwrap();
        assert!(bound.take(2).is_none());
        assert!(second.grow(1) && !second.grow(1));
        assert_eq!((bound.used(), second.amount()), (10, 4));
        drop(first);
        bound.set_limit(3);
        assert!(bound.take(1).is_none(), "what is in use counts against a lower bound");
        drop(second);
        assert_eq!(bound.take(3).unwrap().amount(), 3);
        assert_eq!(bound.used(), 0);
        assert!(bound.take(usize::MAX).is_none());
        let mut share = bound.nothing();
        assert!(!share.grow(4) && !share.grow_beyond(5, 1) && share.grow_beyond(4, 1));
    }
}
