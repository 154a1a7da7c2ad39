//! Deploying a project, and taking it down.

use std::time::{Duration, Instant};

use super::container::Container;
use super::engine::Compose;
use super::error::Error;
use super::health::{Verdict, Watch};
use super::previous::Previous;
use super::project::Project;
use super::rollback::roll_back;
use super::state::{self, State};
use crate::deadline::Deadline;
use crate::output::{Report, note};
use crate::text;

/// How often the engine is asked. A look costs it a few milliseconds.
const INTERVAL: Duration = Duration::from_millis(500);

/// How waiting for health ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Healthy(Vec<Container>),
    Failed {
        reason: String,
        /// The service to blame, where there is one.
        service: Option<String>,
    },
}

impl Compose {
    /// Builds, replaces, waits for health for `timeout` at most, and rolls back where it does not come.
    pub(crate) fn deploy(&self, environment: &str, timeout: Duration) -> Result<Report, Error> {
        let project = self.project()?;
        let previous = Previous::find(self, &project.name, &State::of_user())?;
        let up = ["up", "--detach", "--build"];
        note(&format!("Running `{}`.", self.program.typed(&up)));
        let answer = self.program.follow(&up, None, None)?;
        let outcome = if answer.success {
            note(&format!("Waiting for health, {} at most.", text::length(timeout)));
            // An engine that fails now must not keep the rollback from being tried.
            wait(self, &project, timeout)
                .unwrap_or_else(|error| Outcome::Failed { reason: error.to_string(), service: None })
        } else {
            let reason = format!(
                "`{}` failed:{}",
                self.program.typed(&up),
                text::block(&text::tail(&answer.stderr, 10))
            );
            Outcome::Failed { reason, service: None }
        };
        Ok(match outcome {
            Outcome::Healthy(containers) => {
                state::keep(&project, &containers);
                Report::done(format!("{environment} is deployed: {}", summary(&project)))
            }
            Outcome::Failed { reason, service } => {
                let log = service.map(|service| self.explain(&service)).unwrap_or_default();
                let rolled_back = roll_back(self, &project, &previous, timeout);
                Report::failed(format!(
                    "{environment} was not deployed: {reason}{log}\n{rolled_back}. Next: correct the cause, and deploy again"
                ))
            }
        })
    }

    /// Stops and removes the project's containers and networks. Volumes stay.
    pub(crate) fn undeploy(&self, environment: &str, timeout: Duration) -> Result<Report, Error> {
        let project = self.project()?;
        if self.containers()?.is_empty() {
            return Ok(Report::done(format!("Nothing of {environment} was deployed")));
        }
        let down = ["down", "--remove-orphans"];
        let answer = self.program.follow(&down, None, Some(timeout))?;
        if !answer.success {
            let reason = text::last_line(&answer.stderr);
            return Err(Error::Failed { command: self.program.typed(&down), reason });
        }
        if let Err(error) = State::of_user().forget(&project.name) {
            note(&format!("warning: what is remembered of {} cannot be removed: {error}", project.name));
        }
        Ok(Report::done(format!(
            "{environment} is taken down; its volumes were kept (`{}` removes them)",
            self.program.typed(&["down", "--volumes"])
        )))
    }

    /// The end of a service's log, and how to see more.
    fn explain(&self, service: &str) -> String {
        let more = format!("`{}` shows more", self.program.typed(&["logs", service]));
        match self.log(service) {
            lines if lines.is_empty() => format!("; its log is empty ({more})"),
            lines => format!("; the end of its log ({more}):{}", text::block(&lines)),
        }
    }
}

/// Looks at the containers until all are healthy, one has failed, or the time is up.
pub(super) fn wait(compose: &Compose, project: &Project, timeout: Duration) -> Result<Outcome, Error> {
    let deadline = Deadline::after(timeout);
    let mut watch = Watch::new(project);
    loop {
        let containers = compose.containers()?;
        let waiting = match watch.look(&containers, Instant::now()) {
            Verdict::Healthy => return Ok(Outcome::Healthy(containers)),
            Verdict::Failed { service, how } => {
                let reason = format!("the service {service} {how}");
                return Ok(Outcome::Failed { reason, service: Some(service) });
            }
            Verdict::Waiting(waiting) => waiting,
        };
        if !deadline.pause(INTERVAL) {
            let list: Vec<_> = waiting.iter().map(|(service, how)| format!("{service} {how}")).collect();
            let reason = format!(
                "timed out after {}: {} (--timeout sets a longer time)",
                text::length(timeout),
                list.join(", ")
            );
            return Ok(Outcome::Failed { reason, service: waiting.into_iter().next().map(|(name, _)| name) });
        }
    }
}

fn summary(project: &Project) -> String {
    let services = project.wanted();
    let names: Vec<_> = services.iter().map(String::as_str).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb} healthy ({})", text::count(names.len(), "service"), names.join(", "))
}
