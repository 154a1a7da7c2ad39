//! The status: what a person reads first, and what tools wait for.
//!
//! The same facts always give the same status, and a condition's time moves only when its status does. `Reconciling`,
//! `Stalled`, `Degraded` and `Paused` are there only while they are true, as kstatus has it.

mod degraded;
mod facts;
mod image;
mod in_resource;
mod pods;
mod reference;
mod rollout;
mod sentence;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{RoundMode, Timestamp, TimestampRound, Unit},
};
use kube::Resource;
use mcp_crds::{
    McpServer, McpServerStatus, annotations,
    v1alpha1::{Condition, ServiceType},
};
use mcp_server_config::Violation;

use crate::{
    ContentionReason, Objects, Observed, Reason, Settings, Taken, ValidatedServer, claim, deployment,
    foreign::sidecars,
    labels::selector_text,
    last_valid::record_hash,
    notices::{Notice, TYPES, notices},
    reason::{condition, word},
    service::url,
    validate::external_hosts,
};
use degraded::{Degraded, degraded};
use rollout::Rollout;

/// How the pass ended of which the status speaks.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every child is as wanted. [`Observed`] should hold what the API server answered.
    Applied(Applied),
    /// The resource breaks rules. Where it was valid before, the children were kept as they were then.
    Invalid {
        violations: Vec<Violation>,
        /// The last valid state that was applied; none where there is none, and nothing was written.
        kept: Option<Applied>,
        /// What keeps the last valid state from being applied.
        trouble: Option<String>,
    },
    /// Names of children are somebody else's; the other children were applied.
    Conflict(Vec<Taken>),
    /// Something could not be done; it is tried again. The message says what, where and the next step.
    Failed { reason: Reason, message: String },
    /// `spec.paused`; nothing was written. `waiting`: some child would have been.
    Paused { waiting: bool },
}

impl Verdict {
    /// A resource that breaks rules and has never been valid.
    #[must_use]
    pub const fn invalid(violations: Vec<Violation>) -> Self {
        Self::Invalid { violations, kept: None, trouble: None }
    }

    /// The verdict on an invalid resource whose last valid state `kept` ended so when it was applied.
    #[must_use]
    pub fn of_invalid(self, violations: Vec<Violation>, kept: Applied) -> Self {
        let trouble = match self {
            Self::Conflict(taken) => Some(sentence::taken(&taken)),
            Self::Failed { message, .. } => Some(message),
            Self::Applied(_) | Self::Invalid { .. } | Self::Paused { .. } => None,
        };
        Self::Invalid { violations, kept: Some(kept), trouble }
    }
}

/// What was applied, as far as the status tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub config_hash: String,
    pub image: String,
    pub api_key_secret: Option<String>,
    /// The hash that the Deployment must carry: an observation without it is from before.
    pub deployment_hash: String,
    /// Port of the Service; none for the default.
    pub port: Option<i32>,
    /// Hash of what the `ConfigMap` keeps of the spec; none where it keeps nothing.
    pub last_valid_hash: Option<String>,
    /// What a person should know, though it works.
    pub notices: Vec<Notice>,
}

impl Applied {
    #[must_use]
    pub fn of(server: &ValidatedServer, settings: &Settings, objects: &Objects) -> Self {
        let marks = objects.deployment.metadata.annotations.as_ref();
        let kept = objects.config_map.metadata.annotations.as_ref();
        Self {
            port: server.spec.service.port,
            last_valid_hash: kept
                .and_then(|kept| kept.get(annotations::LAST_VALID))
                .map(|record| record_hash(record)),
            config_hash: server.config_hash.clone(),
            image: deployment::image(server, settings).to_owned(),
            api_key_secret: objects.api_key.as_ref().map(|secret| secret.name().to_owned()),
            deployment_hash: marks
                .and_then(|marks| marks.get(annotations::DESIRED_HASH))
                .cloned()
                .unwrap_or_default(),
            notices: notices(server),
        }
    }
}

/// What is so, given what was found and how the pass ended.
#[must_use]
pub fn status(server: &McpServer, observed: &Observed, verdict: &Verdict, now: Timestamp) -> McpServerStatus {
    let old = server.status.clone().unwrap_or_default();
    let rollout = Rollout::of(server, observed, verdict);
    let found = findings(server, observed, verdict, &rollout, &old);
    let name = server.meta().name.as_deref().unwrap_or_default();
    let namespace = server.meta().namespace.as_deref().unwrap_or("default");
    let applied = match verdict {
        Verdict::Applied(applied) | Verdict::Invalid { kept: Some(applied), trouble: None, .. } => {
            Some(applied)
        }
        Verdict::Invalid { .. } | Verdict::Conflict(_) | Verdict::Failed { .. } | Verdict::Paused { .. } => {
            None
        }
    };
    let degraded = degraded(server, observed);
    let reachable = applied.is_some() || observed.service.is_some();
    McpServerStatus {
        observed_generation: server.meta().generation,
        replicas: Some(rollout.replicas),
        ready_replicas: Some(rollout.ready),
        updated_replicas: Some(rollout.updated),
        selector: Some(selector_text(name)),
        url: reachable
            .then(|| url(name, namespace, applied.map_or(server.spec.service.port, |applied| applied.port))),
        image: applied.map(|applied| applied.image.clone()).or_else(|| old.image.clone()),
        config_hash: applied.map(|applied| applied.config_hash.clone()).or_else(|| old.config_hash.clone()),
        last_valid_hash: match applied {
            Some(applied) => applied.last_valid_hash.clone(),
            None => old.last_valid_hash.clone(),
        },
        api_key_secret: match applied {
            Some(applied) => applied.api_key_secret.clone(),
            None => old.api_key_secret.clone(),
        },
        summary: Some(match &degraded {
            Some(degraded) if found.ready == "True" => {
                sentence::summary(&format!("Degraded: {}", degraded.message))
            }
            _ if found.reason.is_a_problem() && found.ready != "True" => {
                sentence::summary(&format!("{}: {}", found.reason, found.message))
            }
            _ => sentence::summary(&found.message),
        }),
        operator: old.operator.clone(),
        standby: observed.standby.clone(),
        conditions: conditions(
            server,
            &found,
            degraded.as_ref(),
            &rollout,
            notes(server, observed, applied, &old),
            &old,
            now,
        ),
    }
}

/// What is to be said, before it takes the form of conditions.
struct Findings {
    /// True, False or Unknown.
    ready: &'static str,
    reason: Reason,
    message: String,
    /// Word and sentence of `Reconciling`, while work is under way.
    reconciling: Option<(&'static str, String)>,
}

impl Findings {
    fn wrong(reason: Reason, message: String) -> Self {
        Self { ready: "False", reason, message, reconciling: None }
    }
}

fn findings(
    server: &McpServer,
    observed: &Observed,
    verdict: &Verdict,
    rollout: &Rollout,
    old: &McpServerStatus,
) -> Findings {
    match verdict {
        Verdict::Applied(_) | Verdict::Paused { waiting: false } => {
            rolled_out(server, observed, rollout, old)
        }
        Verdict::Paused { waiting: true } => Findings::wrong(
            Reason::Pending,
            sentence::with_serving(
                "Paused: changes wait until spec.paused is false again".to_owned(),
                rollout,
                true,
            ),
        ),
        Verdict::Invalid { violations, kept: Some(_), trouble } => {
            let mut message = sentence::keeping(&sentence::violations(violations), rollout);
            let pods = if rollout.is_complete() {
                Vec::new()
            } else {
                pods::problems(server, observed, rollout, old)
            };
            for trouble in trouble.iter().chain(pods.iter().map(|problem| &problem.text)) {
                message.push_str("; ");
                message.push_str(trouble);
            }
            Findings::wrong(Reason::Invalid, message)
        }
        Verdict::Invalid { violations, kept: None, .. } => Findings::wrong(
            Reason::Invalid,
            sentence::with_serving(sentence::violations(violations), rollout, true),
        ),
        Verdict::Conflict(taken) => {
            // The Deployment waits for what its pods stand on, and is applied without the rest. A resource that was never
            // applied has no previous version.
            let waits = taken.iter().any(|taken| taken.kind != "Service") && old.config_hash.is_some();
            Findings::wrong(
                Reason::NameConflict,
                sentence::with_serving(sentence::taken(taken), rollout, waits),
            )
        }
        Verdict::Failed { reason: Reason::Internal, message } => {
            retrying(server, observed, rollout, old, message)
        }
        Verdict::Failed { reason, message } => {
            Findings::wrong(*reason, sentence::with_serving(message.clone(), rollout, false))
        }
    }
}

/// A hiccup of the API server says nothing of the server that runs: what was ready stays ready.
fn retrying(
    server: &McpServer,
    observed: &Observed,
    rollout: &Rollout,
    old: &McpServerStatus,
    message: &str,
) -> Findings {
    let was_ready = old.observed_generation == server.meta().generation && ready_of(old) == Some("True");
    let mut found = if was_ready {
        rolled_out(server, observed, rollout, old)
    } else {
        Findings::wrong(Reason::Internal, sentence::with_serving(message.to_owned(), rollout, false))
    };
    found.reconciling = Some((word::RETRYING, message.to_owned()));
    found
}

/// How far the pods are.
fn rolled_out(server: &McpServer, observed: &Observed, rollout: &Rollout, old: &McpServerStatus) -> Findings {
    let unsettled: Vec<_> =
        observed.contentions.iter().filter(|contended| contended.unsettles_pods()).collect();
    if !unsettled.is_empty() {
        // Whichever side wrote last: with the numbers alone, Ready would change each time.
        let name = server.meta().name.as_deref().unwrap_or_default();
        let clauses: Vec<_> = unsettled.iter().map(|contended| contended.sentence(name)).collect();
        return Findings::wrong(Reason::Contended, clauses.join("; "));
    }
    let tools = server.spec.config.tools.len();
    if rollout.is_complete() {
        if let Some(message) = waits_for_address(server, observed) {
            let message = format!("{message}; {}", sentence::serving(tools, rollout));
            return Findings {
                ready: "False",
                reason: Reason::Progressing,
                message: message.clone(),
                reconciling: Some((word::WAITING_FOR_ADDRESS, message)),
            };
        }
        let (reason, message) = if rollout.wanted == 0 {
            (Reason::ScaledToZero, "Scaled to zero: spec.replicas is 0, so no pod runs".to_owned())
        } else {
            (Reason::Ready, sentence::serving(tools, rollout))
        };
        return Findings { ready: "True", reason, message, reconciling: None };
    }
    let problems = pods::problems(server, observed, rollout, old);
    if let Some(first) = problems.first() {
        let all: Vec<&str> = problems.iter().map(|problem| problem.text.as_str()).collect();
        return Findings::wrong(first.reason, sentence::with_serving(all.join("; "), rollout, false));
    }
    let message = sentence::progress(rollout, &pods::waiting_for(server, rollout));
    let kind = if rollout.is_first() {
        word::CREATING
    } else if rollout.is_rolling() {
        word::ROLLING_OUT
    } else {
        word::UPDATING
    };
    Findings {
        ready: "False",
        reason: Reason::Progressing,
        message: message.clone(),
        reconciling: Some((kind, message)),
    }
}

/// Why a Service of type LoadBalancer cannot be reached from outside yet.
fn waits_for_address(server: &McpServer, observed: &Observed) -> Option<String> {
    let balanced = server.spec.service.type_ == Some(ServiceType::LoadBalancer);
    let name = server.meta().name.as_deref().unwrap_or_default();
    (balanced && server.spec.replicas > 0 && external_hosts(observed).is_empty()).then(|| {
        format!(
            "Service {name} has no external address yet: the cluster's load balancer gives it; see kubectl describe service {name}"
        )
    })
}

fn conditions(
    server: &McpServer,
    found: &Findings,
    degraded: Option<&Degraded>,
    rollout: &Rollout,
    notes: Vec<Note>,
    old: &McpServerStatus,
    now: Timestamp,
) -> Vec<Condition> {
    let make = |type_: &str, status: &str, reason: &str, message: &str| Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: sentence::cut(message),
        observed_generation: server.meta().generation,
        last_transition_time: since(old, type_, status, now),
    };
    let mut all = vec![make(condition::READY, found.ready, found.reason.as_str(), &found.message)];
    all.push(match (rollout.ready > 0, rollout.wanted) {
        (true, _) => make(condition::AVAILABLE, "True", word::SERVING, "At least one pod answers"),
        (false, 0) => {
            make(condition::AVAILABLE, "False", word::NO_ENDPOINTS, "No pod answers, and none is wanted")
        }
        (false, _) => make(condition::AVAILABLE, "False", word::NO_ENDPOINTS, "No pod answers"),
    });
    if let Some((reason, message)) = &found.reconciling {
        all.push(make(condition::RECONCILING, "True", reason, message));
    }
    if found.ready == "False" && found.reason.needs_a_person() {
        all.push(make(condition::STALLED, "True", found.reason.as_str(), &found.message));
    }
    if let Some(Degraded { reason, message }) = degraded {
        all.push(make(condition::DEGRADED, "True", reason, message));
    }
    all.extend(notes.into_iter().map(|(type_, reason, message)| make(type_, "True", &reason, &message)));
    if server.spec.paused {
        let message = "spec.paused is true: nothing is written until it is false again";
        all.push(make(condition::PAUSED, "True", word::PAUSED, message));
    }
    all
}

/// Type, reason and message of a condition that is there only while it is true.
type Note = (&'static str, String, String);

/// What a person should know beside how far the pods are.
fn notes(
    server: &McpServer,
    observed: &Observed,
    applied: Option<&Applied>,
    old: &McpServerStatus,
) -> Vec<Note> {
    let mut all: Vec<Note> = match applied {
        Some(applied) => {
            let notices = applied.notices.iter();
            notices
                .map(|notice| (notice.condition, notice.reason.to_owned(), notice.message.clone()))
                .collect()
        }
        // What runs is what was applied last.
        None => {
            let kept = |type_: &'static str| {
                let found = old.conditions.iter().find(|condition| condition.type_ == type_)?;
                Some((type_, found.reason.clone(), found.message.clone()))
            };
            TYPES.iter().filter_map(|type_| kept(type_)).collect()
        }
    };
    if let Some(message) = injected(server, observed) {
        all.push((condition::INJECTED, word::SIDECARS.to_owned(), message));
    }
    if let Some((reason, message)) = contended(server, observed, old) {
        all.push((condition::CONTENDED, reason.as_str().to_owned(), message));
    }
    all
}

/// Message of the condition `Injected`, while the Deployment has sidecars.
fn injected(server: &McpServer, observed: &Observed) -> Option<String> {
    let sidecars = observed.deployment.as_deref().map(sidecars).filter(|sidecars| !sidecars.is_empty())?;
    let name = server.meta().name.as_deref().unwrap_or_default();
    Some(format!(
        "Deployment {name} has sidecars that others injected, and they are kept: {}",
        sidecars.join(", ")
    ))
}

/// Reason and message of the condition `Contended`, while a field is contended or another release is on standby.
fn contended(
    server: &McpServer,
    observed: &Observed,
    old: &McpServerStatus,
) -> Option<(ContentionReason, String)> {
    let name = server.meta().name.as_deref().unwrap_or_default();
    let mut clauses: Vec<_> = observed
        .contentions
        .iter()
        .map(|contention| (contention.reason, contention.sentence(name)))
        .collect();
    if let (Some(holder), Some(standby)) = (&old.operator, &observed.standby) {
        clauses.insert(0, (ContentionReason::SecondOperator, claim::sentence(holder, standby)));
    }
    let reason = clauses.first()?.0;
    let clauses: Vec<_> = clauses.into_iter().map(|(_, clause)| clause).collect();
    Some((reason, clauses.join("; ")))
}

/// The status that a release on standby writes: everything but its own condition is the holder's and unchanged.
#[must_use]
pub fn standing_back(server: &McpServer, identity: &str, now: Timestamp) -> McpServerStatus {
    let old = server.status.clone().unwrap_or_default();
    let observed = Observed { standby: Some(identity.to_owned()), ..Observed::default() };
    let mut new = McpServerStatus { standby: observed.standby.clone(), ..old.clone() };
    if let Some((reason, message)) = contended(server, &observed, &old) {
        new.conditions.retain(|condition| condition.type_ != condition::CONTENDED);
        new.conditions.push(Condition {
            type_: condition::CONTENDED.to_owned(),
            status: "True".to_owned(),
            reason: reason.as_str().to_owned(),
            message: sentence::cut(&message),
            observed_generation: server.meta().generation,
            last_transition_time: since(&old, condition::CONTENDED, "True", now),
        });
    }
    new
}

/// When a condition got the status that it has: now, unless it had it before.
fn since(old: &McpServerStatus, type_: &str, status: &str, now: Timestamp) -> Time {
    let before =
        old.conditions.iter().find(|condition| condition.type_ == type_ && condition.status == status);
    match before {
        Some(condition) => condition.last_transition_time.clone(),
        None => Time(whole_seconds(now)),
    }
}

/// Kubernetes keeps whole seconds; what is kept must equal what was said.
fn whole_seconds(time: Timestamp) -> Timestamp {
    time.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc)).unwrap_or(time)
}

/// The status of the condition `Ready`.
pub(crate) fn ready_of(status: &McpServerStatus) -> Option<&str> {
    ready(status).map(|condition| condition.status.as_str())
}

/// The condition `Ready`.
pub(crate) fn ready(status: &McpServerStatus) -> Option<&Condition> {
    condition_of(status, condition::READY)
}

/// The condition of this type.
pub(crate) fn condition_of<'a>(status: &'a McpServerStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests;
