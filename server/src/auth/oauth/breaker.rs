//! When an authorization server is not asked any more. One caller's token must not keep the others from being asked
//! about: an answer that is odd for one token says something of that token, and of the server only where several have it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::fingerprint::Fingerprint;

/// Tokens without an answer, none with one between them, after which it is the server that does not answer.
const MOST_FAILED: usize = 3;

/// Whether an authorization server is asked.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Tokens about which there was no answer since the last one about any token; at most [`MOST_FAILED`].
    failed: Vec<Fingerprint>,
    open_until: Option<Instant>,
}

/// Whose fault it is that there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It may be the token's.
    Token,
    /// It cannot be reached, or refuses to be asked by this server.
    Server,
}

impl Breaker {
    /// Whether nothing is asked just now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.state().open_until.is_some_and(|until| now < until)
    }

    pub(super) fn answered(&self) {
        *self.state() = State::default();
    }

    /// Takes note that there was no answer about a token; true where the server is not asked for a while because of that.
    pub(super) fn failed(&self, token: Fingerprint, fault: Fault, now: Instant, pause: Duration) -> bool {
        let mut state = self.state();
        if state.failed.len() < MOST_FAILED && !state.failed.contains(&token) {
            state.failed.push(token);
        }
        let opens = fault == Fault::Server || state.failed.len() == MOST_FAILED;
        if opens {
            state.open_until = Some(now + pause);
        }
        opens
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    fn token(n: u8) -> Fingerprint {
        Fingerprint::of(&[n])
    }

    #[test]
    fn one_token_does_not_open_it_and_several_do() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..10 {
            assert!(!breaker.failed(token(1), Fault::Token, now, PAUSE) && !breaker.is_open(now));
        }
        assert!(!breaker.failed(token(2), Fault::Token, now, PAUSE));
        breaker.answered();
        assert!(!breaker.failed(token(3), Fault::Token, now, PAUSE), "an answer in between");
        assert!(!breaker.failed(token(1), Fault::Token, now, PAUSE));
        assert!(breaker.failed(token(2), Fault::Token, now, PAUSE) && breaker.is_open(now));
        let later = now + PAUSE;
        assert!(!breaker.is_open(later), "it is tried again");
        assert!(breaker.failed(token(9), Fault::Token, later, PAUSE), "and one failure is enough now");
        breaker.answered();
        assert!(!breaker.is_open(later));
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_left_alone_at_once() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert!(breaker.failed(token(1), Fault::Server, now, PAUSE) && breaker.is_open(now));
    }
}
