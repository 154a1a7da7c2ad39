//! What keeps pods from answering, read off their status: no Secret and no log is read.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::Resource;
use mcp_crds::{McpServer, McpServerStatus};
use serde_json::Value;

use super::{
    facts::{condition, containers, has_lost_readiness, is_ready, last_line, waiting_reason},
    image::pull_cause,
    in_resource::in_resource,
    ready,
    reference::{Missing, missing_reference},
    rollout::Rollout,
};
use crate::{Observed, Reason, Warning, fields, names::CONTAINER};

/// One thing that is wrong, in a clause that says what, where and the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: Reason,
    pub(super) text: String,
}

impl Problem {
    fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

/// Everything that is wrong, without repetition, the most telling first.
pub(super) fn problems(
    server: &McpServer,
    observed: &Observed,
    rollout: &Rollout,
    old: &McpServerStatus,
) -> Vec<Problem> {
    let deployment = match &rollout.failure {
        Some(_) => serde_json::to_value(observed.deployment.as_deref()).unwrap_or_default(),
        None => Value::Null,
    };
    let look = Look {
        server,
        deployment: &deployment,
        old,
        namespace: server.meta().namespace.as_deref().unwrap_or("default"),
    };
    let mut all: Vec<Problem> = rollout.failure.iter().filter_map(|text| look.refusal(text)).collect();
    // One pod speaks for all that suffer the same.
    let mut by_reason = BTreeMap::new();
    for pod in rollout.pods.iter().filter(|pod| !is_ready(pod)) {
        let warnings =
            observed.warnings.iter().filter(|warning| Some(&warning.pod) == pod.metadata.name.as_ref());
        if let Some(problem) = look.pod(pod, warnings) {
            by_reason.entry(problem.reason).or_insert(problem);
        }
    }
    all.extend(by_reason.into_values());
    if all.is_empty() && rollout.stuck {
        all.push(look.stuck(rollout));
    }
    if all.is_empty() && !rollout.is_rolling() {
        let lost = rollout.pods.iter().filter(|pod| has_lost_readiness(pod)).collect::<Vec<_>>();
        if let Some(first) = lost.first() {
            all.push(look.not_ready(first, lost.len()));
        }
    }
    all
}

/// What pods that are being made still need and may be missing: a volume that cannot be mounted shows in no status.
pub(super) fn waiting_for(server: &McpServer, rollout: &Rollout) -> String {
    let creating = rollout.pods.iter().any(|pod| waiting_reason(pod) == Some("ContainerCreating"));
    let keys = server.spec.config.auth.api_keys.as_ref().and_then(|keys| keys.secret_key_ref.as_ref());
    match keys.filter(|_| creating) {
        Some(keys) => format!("; it takes Secret {} with key {:?} to start", keys.name, keys.key),
        None => String::new(),
    }
}

struct Look<'a> {
    server: &'a McpServer,
    /// The Deployment, as the API server has it.
    deployment: &'a Value,
    old: &'a McpServerStatus,
    namespace: &'a str,
}

impl Look<'_> {
    /// Why the API server refused to make pods. Its text names a pod with a random suffix; that part moves.
    /// None where it speaks of a ServiceAccount that the operator makes itself: that one is on its way.
    fn refusal(&self, text: &str) -> Option<Problem> {
        let text = text.split_once("\" is forbidden: ").map_or(text, |(_, cause)| cause);
        if let Some(missing) = missing_reference(text) {
            let given = self.server.spec.pod.service_account.name.is_some();
            return given.then(|| self.missing(missing));
        }
        Some(self.refused_for_itself(text))
    }

    fn refused_for_itself(&self, text: &str) -> Problem {
        // A quota of some resource makes every container say how much of it is wanted.
        if let Some((_, missing)) = text.split_once("must specify ") {
            let missing = missing.split(" for: ").next().unwrap_or(missing);
            return Problem::new(
                Reason::Quota,
                format!(
                    "a quota of namespace {} asks every pod for {missing}; set it in spec.runtime.resources",
                    self.namespace
                ),
            );
        }
        if text.contains(" usage per Container is ") || text.contains(" usage per Pod is ") {
            return Problem::new(
                Reason::Quota,
                format!(
                    "a limit range of namespace {} does not allow the pods ({text}); change spec.runtime.resources",
                    self.namespace
                ),
            );
        }
        if text.contains("exceeded quota") {
            return Problem::new(
                Reason::Quota,
                format!(
                    "no more pods fit into namespace {} ({text}); raise the quota, or lower spec.replicas or spec.runtime.resources",
                    self.namespace
                ),
            );
        }
        if text.contains("violates PodSecurity")
            || text.contains("forbidden")
            || text.contains("unable to validate against")
        {
            return Problem::new(
                Reason::Forbidden,
                format!(
                    "namespace {} does not allow the pods ({text}); change spec.pod, spec.volumes or the namespace's policy",
                    self.namespace
                ),
            );
        }
        Problem::new(
            Reason::Rejected,
            format!(
                "the API server refuses the pods ({}); change the field it names",
                fields::of_a_pod(self.deployment, text)
            ),
        )
    }

    fn pod<'w>(&self, pod: &Pod, warnings: impl Iterator<Item = &'w Warning>) -> Option<Problem> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        if let Some(unschedulable) =
            condition(pod, "PodScheduled").filter(|scheduled| scheduled.status == "False")
        {
            let text = unschedulable.message.as_deref().unwrap_or("the scheduler gives no cause");
            if let Some(missing) = missing_reference(text) {
                return Some(self.missing(missing));
            }
            return Some(Problem::new(
                Reason::Unschedulable,
                format!(
                    "no node takes pod {name} ({text}); change spec.pod or spec.runtime.resources, or add nodes"
                ),
            ));
        }
        let own = containers(pod).iter().find_map(|container| self.container(name, container));
        own.or_else(|| self.unmountable(warnings))
    }

    /// What volumes wait for. Of each volume only the newest complaint holds; and the clauses are in an order of their own, for the
    /// kubelet takes turns.
    fn unmountable<'w>(&self, warnings: impl Iterator<Item = &'w Warning>) -> Option<Problem> {
        let mut volumes = BTreeMap::new();
        for Warning { message, .. } in warnings {
            let volume = message.split_once(" : ").map_or(message.as_str(), |(volume, _)| volume);
            volumes.entry(volume).or_insert_with(|| missing_reference(message));
        }
        let missing = volumes.into_values().flatten().filter(|missing| !missing.is_generated(self.server));
        let clauses: BTreeSet<_> = missing.map(|missing| self.missing(missing).text).collect();
        let clauses: Vec<_> = clauses.into_iter().collect();
        (!clauses.is_empty()).then(|| Problem::new(Reason::ReferenceMissing, clauses.join("; ")))
    }

    fn container(&self, pod: &str, container: &ContainerStatus) -> Option<Problem> {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        let message = waiting.and_then(|waiting| waiting.message.as_deref()).unwrap_or_default();
        match waiting.and_then(|waiting| waiting.reason.as_deref()) {
            Some(
                "ImagePullBackOff"
                | "ErrImagePull"
                | "ErrImageNeverPull"
                | "InvalidImageName"
                | "ImageInspectError"
                | "RegistryUnavailable",
            ) => {
                return Some(self.image(container, message));
            }
            Some("CreateContainerConfigError") => {
                return Some(match missing_reference(message) {
                    Some(missing) => self.missing(missing),
                    None => Problem::new(
                        Reason::Rejected,
                        format!(
                            "pod {pod} cannot be set up ({message}); change what it names in spec.runtime or spec.pod"
                        ),
                    ),
                });
            }
            Some("CreateContainerError" | "RunContainerError" | "StartError") => {
                return Some(Problem::new(
                    Reason::CrashLoop,
                    format!(
                        "container {} of pod {pod} cannot be started ({message}); change spec.runtime.image or what it names",
                        container.name
                    ),
                ));
            }
            _ => {}
        }
        self.ended(pod, container)
    }

    /// A container that ended, whether the kubelet waits before it tries again, or tries just now: saying the same in
    /// both cases keeps the status still.
    fn ended(&self, pod: &str, container: &ContainerStatus) -> Option<Problem> {
        let now = container.state.as_ref().and_then(|state| state.terminated.as_ref());
        let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let end = now.or(before)?;
        let name = &container.name;
        if end.reason.as_deref() == Some("OOMKilled") {
            return Some(Problem::new(
                Reason::OutOfMemory,
                format!(
                    "container {name} of pod {pod} used more memory than its limit{}; raise spec.runtime.resources.limits.memory, or lower the load",
                    self.memory_limit()
                ),
            ));
        }
        let said = end.message.as_deref().map(last_line).filter(|line| !line.is_empty());
        let said = said.map_or_else(String::new, |line| format!(": {}", in_resource(line, self.server)));
        Some(Problem::new(
            Reason::CrashLoop,
            format!(
                "container {name} of pod {pod} ends with exit code {}{said}; see kubectl logs -n {} {pod} -c {name} --previous",
                end.exit_code, self.namespace
            ),
        ))
    }

    fn memory_limit(&self) -> String {
        let limits =
            self.server.spec.runtime.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        limits
            .and_then(|limits| limits.get("memory"))
            .map_or_else(String::new, |limit| format!(" of {}", limit.0))
    }

    /// The kubelet tells the cause and, between its tries, often only that it waits; what was told then still holds.
    fn image(&self, container: &ContainerStatus, message: &str) -> Problem {
        let image = &container.image;
        let start = format!("image {image} cannot be pulled");
        let step =
            match pull_cause(message) {
                Some(cause) => cause.to_owned(),
                None => {
                    let before = ready(self.old).filter(|ready| ready.reason == Reason::ImagePull.as_str());
                    let kept =
                        before.and_then(|ready| {
                            ready.message.split("; ").collect::<Vec<_>>().windows(2).find_map(|clauses| {
                                clauses[0].starts_with(&start).then(|| clauses.join("; "))
                            })
                        });
                    if let Some(kept) = kept {
                        return Problem::new(Reason::ImagePull, kept);
                    }
                    "; correct spec.runtime.image, or see kubectl describe pod for the cause".to_owned()
                }
            };
        Problem::new(Reason::ImagePull, format!("{start}{step}"))
    }

    fn missing(&self, missing: Missing) -> Problem {
        let missing = missing.named_by_config(self.server);
        Problem::new(Reason::ReferenceMissing, missing.sentence(self.namespace, &missing.place(self.server)))
    }

    fn stuck(&self, rollout: &Rollout) -> Problem {
        let pod = rollout.pods.iter().find(|pod| !is_ready(pod)).and_then(|pod| pod.metadata.name.clone());
        let missing = waiting_for(self.server, rollout);
        let look = match pod {
            Some(pod) => format!("see kubectl describe pod -n {} {pod}", self.namespace),
            None => format!(
                "see kubectl describe deployment -n {} {}",
                self.namespace,
                self.server.meta().name.as_deref().unwrap_or_default()
            ),
        };
        Problem::new(
            Reason::RolloutStuck,
            format!(
                "the rollout has made no progress for longer than spec.rollout.progressDeadline{missing}; {look}"
            ),
        )
    }

    fn not_ready(&self, pod: &Pod, count: usize) -> Problem {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        Problem::new(
            Reason::NotReady,
            format!(
                "pod {name}{others} was ready and answers no more; see kubectl logs -n {} {name} -c {CONTAINER}",
                self.namespace
            ),
        )
    }
}
