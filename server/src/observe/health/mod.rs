//! How every part of the server fares: checks with a period, a timeout and a state of their own, and components that
//! tell by themselves. `/status` shows it and the metrics count it; neither `/health` nor `/ready` ever depends on it,
//! because an upstream that is gone would then take down every replica at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::backend::Health;
use crate::observe::health::entry::{Entry, Tell};

pub use entry::Report;
pub use shown::Gauges;
pub use told::{State, Told};

mod configured;
mod disk;
mod entry;
mod shown;
mod told;

/// How often something is asked, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// From the end of one check to the begin of the next, give or take a tenth.
    pub period: Duration,
    /// A check that takes longer has failed.
    pub timeout: Duration,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well; what there is to say of it may be empty.
    Healthy(String),
    /// It was seen, and is not as it should be.
    Unhealthy(String),
    /// It could not be seen: no connection, no answer, no file.
    Error(String),
}

/// Asks once how something fares.
pub type Ask = Arc<dyn Fn() -> BoxFuture<'static, Verdict> + Send + Sync>;

/// A check that is to run.
#[derive(Clone)]
pub struct Check {
    pub name: Arc<str>,
    pub policy: Policy,
    /// What is checked, in words that differ where the check differs: while they stay, so does what is known of it.
    pub subject: String,
    pub ask: Ask,
}

impl Check {
    pub fn new<F>(name: impl Into<Arc<str>>, policy: Policy, subject: impl Into<String>, ask: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, Verdict> + Send + Sync + 'static,
    {
        Self { name: name.into(), policy, subject: subject.into(), ask: Arc::new(ask) }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Everything whose health is known. Its checks end with it.
#[derive(Debug, Default)]
pub struct Registry {
    entries: Mutex<Vec<Registered>>,
}

#[derive(Debug)]
struct Registered {
    /// Who registered it: `configure` replaces what it registered before, and nothing else.
    group: &'static str,
    entry: Arc<Entry>,
    /// The check as it runs; none for a component that tells by itself.
    running: Option<Running>,
}

/// A check that runs, until it is dropped.
#[derive(Debug)]
struct Running {
    policy: Policy,
    subject: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The group of the components themselves.
const BUILT_IN: &str = "component";

impl Registry {
    /// Shows a component that says how it fares whenever somebody looks, which must cost next to nothing. Another one
    /// of the same name is replaced.
    ///
    /// What `tell` holds must not hold this registry in turn, by its metrics for example.
    pub fn tells(&self, name: impl Into<Arc<str>>, tell: impl Fn() -> Told + Send + Sync + 'static) {
        self.tells_in(BUILT_IN, name.into(), Box::new(tell));
    }

    /// Shows a component that is told how it fares.
    pub fn watch(&self, name: impl Into<Arc<str>>, health: watch::Receiver<Health>) {
        self.tells(name, move || Told::from(&*health.borrow()));
    }

    fn tells_in(&self, group: &'static str, name: Arc<str>, tell: Tell) {
        self.put(Registered { group, entry: Entry::telling(name, group, tell), running: None });
    }

    /// Checks a component from now on. Needs a runtime. Another one of the same name is replaced.
    pub fn check(&self, check: Check) {
        self.put(run(BUILT_IN, check));
    }

    /// Forgets a component.
    pub fn remove(&self, name: &str) {
        self.lock().retain(|registered| registered.group != BUILT_IN || *registered.entry.name != *name);
    }

    /// Makes `checks` all that there is of a group. What did not change goes on undisturbed, with what is known of it.
    pub fn configure(&self, group: &'static str, checks: Vec<Check>) {
        let mut entries = self.lock();
        let (mut old, mut kept): (Vec<_>, Vec<_>) =
            entries.drain(..).partition(|registered| registered.group == group);
        for check in checks {
            let same = old.iter().position(|registered| {
                let same =
                    |running: &Running| running.policy == check.policy && running.subject == check.subject;
                registered.entry.name == check.name && registered.running.as_ref().is_some_and(same)
            });
            kept.push(same.map_or_else(|| run(group, check), |at| old.swap_remove(at)));
        }
        *entries = kept;
    }

    /// How everything fares, in the order of the names.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        let mut reports: Vec<_> = self.lock().iter().map(|registered| registered.entry.report()).collect();
        reports.sort_by(|a, b| a.name.cmp(&b.name));
        reports
    }

    /// How one of them fares.
    #[must_use]
    pub fn report(&self, name: &str) -> Option<Report> {
        self.lock()
            .iter()
            .find(|registered| *registered.entry.name == *name)
            .map(|found| found.entry.report())
    }

    fn put(&self, new: Registered) {
        let mut entries = self.lock();
        entries.retain(|registered| registered.group != new.group || registered.entry.name != new.entry.name);
        entries.push(new);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Registered>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(group: &'static str, check: Check) -> Registered {
    let entry = Entry::checked(check.name, group, check.policy);
    let task = tokio::spawn(entry.clone().run(check.policy, check.ask));
    Registered { group, entry, running: Some(Running { policy: check.policy, subject: check.subject, task }) }
}

/// A check as an async function, boxed as [`Check::new`] takes it.
pub fn asking<F, R>(ask: F) -> impl Fn() -> BoxFuture<'static, Verdict> + Send + Sync + 'static
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Verdict> + Send + 'static,
{
    move || ask().boxed()
}

#[cfg(test)]
mod tests;
