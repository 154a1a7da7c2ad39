//! One entry: what is known of a component, and the loop that keeps asking.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt as _;

use crate::human::Human;
use crate::observe::health::{Ask, Policy, State, Told, Verdict};

/// What is known of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub name: Arc<str>,
    /// Who registered it.
    pub group: &'static str,
    pub state: State,
    /// What there is to say of it; empty where all is well and nothing is to be said.
    pub details: String,
    /// When it was last asked; absent where it tells by itself, or was not asked yet.
    pub last_check: Option<SystemTime>,
    /// How long the last check took.
    pub took: Option<Duration>,
    /// Checks in a row that failed.
    pub consecutive_failures: u32,
    /// How often it is asked, and for how long; absent where it tells by itself.
    pub policy: Option<Policy>,
}

/// Where a report comes from.
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    group: &'static str,
    source: Source,
}

enum Source {
    /// It says so whenever somebody looks.
    Tells(Tell),
    Checked(Mutex<Report>),
}

/// Says how something fares, at once.
pub(super) type Tell = Box<dyn Fn() -> Told + Send + Sync>;

impl Entry {
    pub(super) fn telling(name: Arc<str>, group: &'static str, tell: Tell) -> Arc<Self> {
        Arc::new(Self { name, group, source: Source::Tells(tell) })
    }

    pub(super) fn checked(name: Arc<str>, group: &'static str, policy: Policy) -> Arc<Self> {
        let mut unknown = Report::told(name.clone(), group, Told::unknown(""));
        unknown.policy = Some(policy);
        Arc::new(Self { name, group, source: Source::Checked(Mutex::new(unknown)) })
    }

    pub(super) fn report(&self) -> Report {
        match &self.source {
            Source::Tells(tell) => Report::told(self.name.clone(), self.group, tell()),
            Source::Checked(report) => report.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Asks for ever. One check at a time: the next is not begun before the last one ended or was given up.
    pub(super) async fn run(self: Arc<Self>, policy: Policy, ask: Ask) {
        loop {
            let started = Instant::now();
            // What a check does before its first await may panic as well.
            let asked = AssertUnwindSafe(async { ask().await }).catch_unwind();
            let verdict = match tokio::time::timeout(policy.timeout, asked).await {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(_panic)) => Verdict::Error("the check itself broke".to_owned()),
                Err(_elapsed) => Verdict::Error(format!("no answer within {}", Human(policy.timeout))),
            };
            self.note(verdict, started.elapsed());
            tokio::time::sleep(jittered(policy.period)).await;
        }
    }

    fn note(&self, verdict: Verdict, took: Duration) {
        let Source::Checked(report) = &self.source else { return };
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        let before = report.state;
        let (state, details) = match verdict {
            Verdict::Healthy(details) => (State::Healthy, details),
            Verdict::Unhealthy(details) => (State::Unhealthy, details),
            Verdict::Error(details) => (State::Error, details),
        };
        report.consecutive_failures =
            if state == State::Healthy { 0 } else { report.consecutive_failures.saturating_add(1) };
        (report.state, report.details) = (state, details);
        (report.last_check, report.took) = (Some(SystemTime::now()), Some(took));
        let (name, details) = (&self.name, &report.details);
        match (before, state) {
            (before, now) if before == now => {}
            (State::Unknown, State::Healthy) => tracing::debug!(check = %name, details, "healthy"),
            (_, State::Healthy) => tracing::info!(check = %name, details, "healthy again"),
            (_, state) => tracing::warn!(check = %name, state = state.as_str(), details, "a check fails"),
        }
    }
}

impl Report {
    fn told(name: Arc<str>, group: &'static str, Told { state, details }: Told) -> Self {
        let (last_check, took, consecutive_failures, policy) = (None, None, 0, None);
        Self { name, group, state, details, last_check, took, consecutive_failures, policy }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.report()).finish()
    }
}

/// The period give or take a tenth: replicas that were started together do not ask together for ever.
fn jittered(period: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let random = u32::try_from(RandomState::new().hash_one(()) % 2001).unwrap_or(1000);
    period.mul_f64(0.9 + f64::from(random) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_differ_by_at_most_a_tenth() {
        let periods: Vec<_> = (0..200).map(|_| jittered(Duration::from_secs(10))).collect();
        assert!(periods.iter().all(|p| (9.0..=11.0).contains(&p.as_secs_f64())), "{periods:?}");
        assert!(periods.iter().any(|period| *period != periods[0]));
    }
}
