//! Whether the operator works: the first list of every watch has arrived, and none is failing for want of the resource.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What still keeps the operator from being ready, one line a watch. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    waiting: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Readiness {
    /// `subject` keeps the operator from being ready, and why.
    pub fn wait_for(&self, subject: &str, why: impl Into<String>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(subject.to_owned(), why.into());
    }

    /// `subject` no longer does.
    pub fn done(&self, subject: &str) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(subject);
    }

    /// `Ok` when nothing is waited for, else one line for each thing that is.
    ///
    /// # Errors
    /// The lines.
    pub fn check(&self) -> Result<(), String> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = waiting.iter().map(|(subject, why)| format!("{subject}: {why}\n")).collect();
        Err(lines.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_nothing_is_waited_for_and_every_wait_is_named() {
        let readiness = Readiness::default();
        assert_eq!(readiness.check(), Ok(()));
        readiness.wait_for("Pods", "first list under way");
        readiness.wait_for("McpServers", "the resource is not installed");
        assert_eq!(
            readiness.check().unwrap_err(),
            "McpServers: the resource is not installed\nPods: first list under way\n"
        );
        readiness.done("Pods");
        readiness.done("McpServers");
        assert_eq!(readiness.check(), Ok(()));
    }
}
