//! Namespaces that are being deleted, as far as a refused write has told.
//!
//! In such a namespace the API server refuses every new object, while what is there goes one by one. Whoever makes children
//! again is refused each time; so after the first refusal the namespace is left alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a namespace is left alone. One that was made anew under the same name is served after that.
pub const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// When a namespace without another refusal is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// The namespaces, with the time of the refusal.
#[derive(Debug, Default)]
pub struct Ending {
    since: Mutex<HashMap<String, Instant>>,
}

impl Ending {
    /// A write in this namespace was refused for its end. Returns whether that is news.
    pub fn begin(&self, namespace: &str) -> bool {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|_, at| at.elapsed() < FORGOTTEN);
        since.insert(namespace.to_owned(), Instant::now()).is_none()
    }

    /// Whether the namespace is to be left alone.
    pub fn holds(&self, namespace: &str) -> bool {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.get(namespace).is_some_and(|at| at.elapsed() < LOOK_AGAIN)
    }
}
