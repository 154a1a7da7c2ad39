//! What runs, in the order in which it was started. It is stopped the other way round.

use std::fmt;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Ends a component. It gets the time until which what is in flight may finish.
type Stop = Box<dyn FnOnce(Instant) -> BoxFuture<'static, ()> + Send>;

/// The components that were started.
#[derive(Default)]
pub struct Components {
    started: Vec<(&'static str, Stop)>,
}

impl Components {
    /// Notes that a component was started, and how it is stopped.
    pub fn started<F, R>(&mut self, name: &'static str, stop: F)
    where
        F: FnOnce(Instant) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        tracing::debug!(component = name, "started");
        self.started.push((name, Box::new(|until| stop(until).boxed())));
    }

    /// Notes a task that runs beside and has nothing to finish: it is ended where it stands.
    pub fn beside(&mut self, name: &'static str, task: JoinHandle<()>) {
        self.started(name, move |_| async move {
            task.abort();
            // Cancelled, or over already: it is gone either way.
            let _gone = task.await;
        });
    }

    /// Stops everything in reverse.
    pub async fn stop(mut self, until: Instant) {
        while let Some((name, stop)) = self.started.pop() {
            let begun = Instant::now();
            stop(until).await;
            tracing::debug!(component = name, elapsed = ?begun.elapsed(), "stopped");
        }
    }

    /// The names, in the order of the start.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.started.iter().map(|(name, _)| *name).collect()
    }
}

impl fmt::Debug for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Components").field(&self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn what_was_started_first_is_stopped_last() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut components = Components::default();
        for name in ["one", "two", "three"] {
            let order = order.clone();
            components.started(name, move |_| async move {
                tokio::task::yield_now().await;
                order.lock().unwrap().push(name);
            });
        }
        let beside = tokio::spawn(std::future::pending());
        components.beside("beside", beside);
        assert_eq!(components.names(), ["one", "two", "three", "beside"]);
        components.stop(Instant::now()).await;
        assert_eq!(*order.lock().unwrap(), ["three", "two", "one"]);
    }
}
