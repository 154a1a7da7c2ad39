//! How a project is.

use serde_json::json;

use super::container::Container;
use super::engine::Compose;
use super::error::Error;
use crate::output::{List, Report};
use crate::text;

impl Compose {
    /// The services and how each of them is.
    pub(crate) fn status(&self, environment: &str) -> Result<Report, Error> {
        let project = self.project()?;
        let containers = self.containers()?;
        if containers.is_empty() {
            return Ok(Report::failed(format!(
                "Nothing of {environment} is deployed; `deploy {environment}` does it"
            )));
        }
        let mut troubles: Vec<_> = containers
            .iter()
            .filter(|container| !container.is_up() && !project.is_done(container))
            .map(|container| format!("{} is {}", container.service, word(container)))
            .collect();
        let wanted = project.wanted();
        let missing = wanted.iter().filter(|name| !containers.iter().any(|one| one.service == **name));
        troubles.extend(missing.map(|name| format!("{name} has no container")));
        let report = if troubles.is_empty() {
            let done = containers.iter().filter(|container| project.is_done(container)).count();
            let ended = if done == 0 { String::new() } else { format!(" and {done} have ended well") };
            let up = text::count(containers.len() - done, "container");
            Report::done(format!("{environment} is healthy: {up} up{ended}"))
        } else {
            let logs = self.program.typed(&["logs", "SERVICE"]);
            Report::failed(format!(
                "{environment} is not healthy: {}; `{logs}` says why",
                troubles.join(", ")
            ))
        };
        Ok(report.with(list(&containers)))
    }
}

/// The health of a container that has a check, else its state.
fn word(container: &Container) -> &str {
    if container.state == "running" && !container.health.is_empty() {
        &container.health
    } else {
        &container.state
    }
}

fn list(containers: &[Container]) -> List {
    let rows = containers.iter().map(|container| {
        let health = if container.health.is_empty() { "-" } else { &container.health };
        let cells = [&container.service, &container.name, &container.state, health, &container.status];
        let value = json!({
            "service": container.service,
            "container": container.name,
            "state": container.state,
            "health": (!container.health.is_empty()).then_some(&container.health),
            "exit_code": container.exit_code,
            "image": container.image,
            "status": container.status,
        });
        (cells.map(str::to_owned).to_vec(), value)
    });
    List {
        name: "services",
        header: &["SERVICE", "CONTAINER", "STATE", "HEALTH", "STATUS"],
        rows: rows.collect(),
    }
}
