//! Deploying manifests, and taking them down.

use std::time::Duration;

use super::before::Before;
use super::cluster::{Cluster, WRITE};
use super::error::Error;
use super::object::{Key, Object};
use super::rollback::roll_back;
use super::wait::{Outcome, wait};
use crate::output::{Report, note};
use crate::text;

impl Cluster {
    /// Applies the file, waits until everything is ready for `timeout` at most, and rolls back where it does not become
    /// so.
    pub(crate) fn deploy(&self, environment: &str, timeout: Duration) -> Result<Report, Error> {
        let declared = self.declared()?;
        let before = Before::find(self, &declared)?;
        let outcome = match self.apply(&declared) {
            Ok(()) => {
                note(&format!("Waiting until it is ready, {} at most.", text::length(timeout)));
                wait(self, &declared, timeout)
            }
            Err(error) => Err(error),
        };
        // A cluster that fails now must not keep the rollback from being tried.
        let outcome = outcome.unwrap_or_else(|error| Outcome::Failed { reason: error.to_string() });
        Ok(match outcome {
            Outcome::Ready(ready) => Report::done(format!(
                "{environment} is deployed to {}: {}",
                self.namespace,
                summary(&declared, &ready)
            )),
            Outcome::Failed { reason } => {
                let rolled_back = roll_back(self, &declared, &before, timeout);
                Report::failed(format!(
                    "{environment} was not deployed: {reason}\n{rolled_back}. Next: correct the cause, and deploy again"
                ))
            }
        })
    }

    /// Deletes what the file declares. The namespace stays: it may hold more.
    pub(crate) fn undeploy(&self, environment: &str, timeout: Duration) -> Result<Report, Error> {
        let declared = self.declared()?;
        let present = self.present(&declared)?;
        if present.is_empty() {
            return Ok(Report::done(format!("Nothing of {environment} was deployed to {}", self.namespace)));
        }
        self.delete(present.values(), timeout)?;
        Ok(Report::done(format!(
            "{environment} is taken down: {} deleted; the namespace {} was kept",
            text::count(present.len(), "object"),
            self.namespace
        )))
    }

    fn apply(&self, declared: &[Object]) -> Result<(), Error> {
        let (flag, source) = self.source();
        let mut arguments = vec!["apply", flag, &source];
        if declared.iter().any(Object::is_large) {
            arguments.push("--server-side");
        }
        note(&format!("Running `{}`.", self.typed(&arguments)));
        let answer = self.follow(&arguments, None, WRITE)?;
        if answer.success {
            return Ok(());
        }
        // The API server lists each field that it refuses on a line of its own.
        let reason = text::tail(&answer.stderr, 10).join("\n    ");
        Err(Error::Failed { command: self.typed(&arguments), reason })
    }
}

fn summary(declared: &[Object], ready: &[(Key, String)]) -> String {
    let mut parts: Vec<_> = ready.iter().map(|(key, how)| format!("{key} ({how})")).collect();
    let others = declared.len() - ready.len();
    if others > 0 {
        parts.push(text::count(others, if parts.is_empty() { "object" } else { "other object" }));
    }
    parts.join(", ")
}
