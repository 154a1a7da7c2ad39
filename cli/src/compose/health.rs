//! Whether the services have become healthy, judged from one look after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::container::Container;
use super::project::Project;

/// How long a container without a health check has to run before it counts: one that crashes at its start is seen to
/// restart within this time.
const SETTLE: Duration = Duration::from_secs(3);
/// How long a container may go on restarting: one that waits for another service may well need a few starts.
const RESTARTING: Duration = Duration::from_secs(15);

/// What has been seen so far.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    project: &'a Project,
    wanted: BTreeSet<String>,
    /// Since when each container has been running without a break.
    running: BTreeMap<String, Instant>,
    /// When each container that has not been up since was first seen to restart.
    restarting: BTreeMap<String, Instant>,
}

/// What a look means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Healthy,
    /// Not yet; for each service that is waited for, how it is.
    Waiting(Vec<(String, String)>),
    /// A service failed: which, and how.
    Failed {
        service: String,
        how: String,
    },
}

impl<'a> Watch<'a> {
    pub(super) fn new(project: &'a Project) -> Self {
        Self { project, wanted: project.wanted(), running: BTreeMap::new(), restarting: BTreeMap::new() }
    }

    pub(super) fn look(&mut self, containers: &[Container], now: Instant) -> Verdict {
        self.running.retain(|id, _| containers.iter().any(|one| one.id == *id && one.state == "running"));
        let mut waiting = Vec::new();
        for container in containers {
            if !self.wanted.contains(&container.service) {
                continue;
            }
            match container.state.as_str() {
                "restarting" => {
                    let since = *self.restarting.entry(container.id.clone()).or_insert(now);
                    if now.duration_since(since) >= RESTARTING {
                        let how = format!("ends again and again (exit code {})", container.exit_code);
                        return failed(container, how);
                    }
                }
                "running" if container.health == "unhealthy" => {
                    return failed(container, "is unhealthy".to_owned());
                }
                "exited" if !self.project.is_done(container) => {
                    return failed(container, format!("ended with exit code {}", container.exit_code));
                }
                "dead" => return failed(container, "is dead".to_owned()),
                _ => {}
            }
            if let Some(how) = self.unsettled(container, now) {
                waiting.push((container.service.clone(), how));
            }
        }
        let missing = self.wanted.iter().filter(|name| !containers.iter().any(|one| one.service == **name));
        waiting.extend(missing.map(|name| (name.clone(), "has no container".to_owned())));
        if waiting.is_empty() { Verdict::Healthy } else { Verdict::Waiting(waiting) }
    }

    /// How a container is that is not up and settled.
    fn unsettled(&mut self, container: &Container, now: Instant) -> Option<String> {
        if self.project.is_done(container) {
            return None;
        }
        if !container.is_up() {
            let health = if container.health.is_empty() { &container.state } else { &container.health };
            return Some(format!("is {health}"));
        }
        let since = *self.running.entry(container.id.clone()).or_insert(now);
        // Docker itself vouches for one with a health check.
        let settled = !container.health.is_empty() || now.duration_since(since) >= SETTLE;
        if settled {
            self.restarting.remove(&container.id);
            return None;
        }
        Some("has just started".to_owned())
    }
}

fn failed(container: &Container, how: String) -> Verdict {
    Verdict::Failed { service: container.service.clone(), how }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(service: &str, state: &str, health: &str, exit_code: i64) -> Container {
        let [id, service, state, health] = [service, service, state, health].map(str::to_owned);
        Container { id, service, state, health, exit_code, ..Container::default() }
    }

    /// A project with these services, of which `server` is to run until it is stopped.
    fn project(services: &[&str]) -> Project {
        let policy = |name: &str| if name == "server" { "unless-stopped" } else { "no" };
        let services: serde_json::Map<_, _> = services
            .iter()
            .map(|name| ((*name).to_owned(), serde_json::json!({"restart": policy(name)})))
            .collect();
        Project { name: "p".into(), config: serde_json::json!({"services": services}) }
    }

    fn waiting(verdict: Verdict) -> String {
        match verdict {
            Verdict::Waiting(list) => list.into_iter().map(|(name, how)| format!("{name} {how}. ")).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn failed(verdict: Verdict) -> String {
        match verdict {
            Verdict::Failed { service, how } => format!("{service} {how}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_health_check_decides_at_once() {
        let now = Instant::now();
        let project = project(&["a"]);
        let mut watch = Watch::new(&project);
        assert_eq!(waiting(watch.look(&[container("a", "running", "starting", 0)], now)), "a is starting. ");
        assert_eq!(watch.look(&[container("a", "running", "healthy", 0)], now), Verdict::Healthy);
        assert_eq!(failed(watch.look(&[container("a", "running", "unhealthy", 0)], now)), "a is unhealthy");
    }

    #[test]
    fn without_a_health_check_a_container_has_to_run_for_a_while() {
        let start = Instant::now();
        let project = project(&["a"]);
        let mut watch = Watch::new(&project);
        let up = [container("a", "running", "", 0)];
        assert_eq!(waiting(watch.look(&up, start)), "a has just started. ");
        assert_eq!(
            waiting(watch.look(&[container("a", "restarting", "", 1)], start + SETTLE)),
            "a is restarting. "
        );
        assert_eq!(waiting(watch.look(&up, start + SETTLE)), "a has just started. ");
        assert_eq!(watch.look(&up, start + SETTLE * 2), Verdict::Healthy);
    }

    #[test]
    fn one_that_keeps_restarting_has_failed_and_one_that_got_up_has_not() {
        let (up, again) = ([container("a", "running", "", 0)], [container("a", "restarting", "", 78)]);
        for (between, expected) in
            [(Duration::from_secs(1), "a ends again and again (exit code 78)"), (SETTLE, "")]
        {
            let project = project(&["a"]);
            let (mut watch, start) = (Watch::new(&project), Instant::now());
            assert_eq!(waiting(watch.look(&again, start)), "a is restarting. ");
            waiting(watch.look(&up, start));
            watch.look(&up, start + between);
            let verdict = watch.look(&again, start + RESTARTING);
            if expected.is_empty() {
                assert_eq!(waiting(verdict), "a is restarting. ");
            } else {
                assert_eq!(failed(verdict), expected);
            }
        }
    }

    #[test]
    fn ending_well_is_fine_for_a_job_and_ending_badly_is_not() {
        let ended = |name: &str, code| {
            let project = project(&[name]);
            Watch::new(&project).look(&[container(name, "exited", "", code)], Instant::now())
        };
        assert_eq!(ended("job", 0), Verdict::Healthy);
        assert_eq!(failed(ended("job", 137)), "job ended with exit code 137");
        assert_eq!(failed(ended("server", 0)), "server ended with exit code 0");
    }

    #[test]
    fn every_service_is_waited_for_and_no_other_project_s() {
        let now = Instant::now();
        let project = project(&["a", "b"]);
        let mut watch = Watch::new(&project);
        let seen = [container("a", "running", "healthy", 0), container("orphan", "exited", "", 1)];
        assert_eq!(waiting(watch.look(&seen, now)), "b has no container. ");
    }
}
