//! Observe, validate, build, apply; then the status. The guard around it is in [`crate::guard`].

pub mod apply;
pub mod claim;
pub mod complaints;
pub mod conflicts;
pub mod observe;
pub mod status;

use std::sync::Arc;
use std::time::Duration;

use mcp_crds::v1alpha1::McpServer;
use mcp_desired::{
    Applied, Change, LastValid, Observed, Taken, ValidatedServer, Verdict, Violation, objects, validate,
};

use self::apply::{Owner, Report, apply};
use self::observe::observe;
use crate::context::Context;
use crate::error::Error;

/// What came of one reconcile.
#[derive(Debug)]
pub struct Outcome {
    /// What the status shall say.
    pub verdict: Verdict,
    /// What was written.
    pub changes: Vec<Change>,
    /// Names that are in somebody else's hands.
    pub taken: Vec<Taken>,
    /// What failed, of a reconcile that did the rest.
    pub failure: Option<Error>,
    /// When to come again without any event.
    pub again: Option<Duration>,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, changes: Vec::new(), taken: Vec::new(), failure: None, again: None }
    }
}

impl Outcome {
    /// The label of the metric.
    pub fn label(&self) -> &'static str {
        match &self.verdict {
            Verdict::Applied(_) if self.changes.is_empty() => "unchanged",
            Verdict::Applied(_) => "applied",
            Verdict::Conflict(_) => "conflict",
            Verdict::Invalid { .. } => "invalid",
            Verdict::Paused { .. } => "paused",
            Verdict::Failed { .. } => "error",
        }
    }
}

/// Makes the children of one McpServer what they should be.
///
/// # Errors
/// A watch has not delivered. An invalid resource and a taken name are no errors; neither is a child that failed, for the status also
/// tells of the others.
pub async fn reconcile(server: &McpServer, cx: &Context) -> Result<Outcome, Error> {
    let observed = observe(server, cx).await?;
    let (validated, violations) = match validate(server, &observed) {
        Ok(validated) => {
            cx.last_valid.forget(uid(server));
            (validated, None)
        }
        Err(violations) => match last_valid(server, &violations, &observed, cx) {
            Some(kept) if !server.spec.paused => (kept, Some(violations)),
            _ => return Ok(Verdict::invalid(violations).into()),
        },
    };
    let wanted = objects(&validated, &cx.settings);
    if server.spec.paused {
        return Ok(Verdict::Paused { waiting: apply::differs(&wanted, &observed) }.into());
    }
    let applied = Applied::of(&validated, &cx.settings, &wanted);
    let Report { changes, taken, failure, again } =
        Box::pin(apply(wanted, &validated.config_hash, &observed, &Owner::of(server), cx)).await;
    let (verdict, look_again) = match (&failure, taken.is_empty()) {
        (Some(failure), _) => (status::failed(failure), None),
        (None, true) => (Verdict::Applied(applied.clone()), complaints::look(server, cx).await),
        (None, false) => (Verdict::Conflict(taken.clone()), None),
    };
    let verdict = match violations {
        None => verdict,
        Some(violations) => verdict.of_invalid(violations, applied),
    };
    let again = [again, look_again].into_iter().flatten().min();
    Ok(Outcome { verdict, changes, taken, failure, again })
}

/// What to keep up in place of a resource that breaks rules. It is remembered for as long as the resource is invalid: a ConfigMap that
/// is deleted meanwhile comes back.
fn last_valid(
    server: &McpServer,
    violations: &[Violation],
    observed: &Observed,
    cx: &Context,
) -> Option<ValidatedServer> {
    let (config_map, status) = (observed.config_map.as_deref(), server.status.as_ref());
    let found = config_map.zip(status).and_then(|(config_map, status)| LastValid::of(config_map, status));
    if let Some(found) = found {
        cx.last_valid.insert(uid(server), Arc::new(found));
    }
    cx.last_valid.get(uid(server))?.restore(server, violations, observed)
}

fn uid(server: &McpServer) -> &str {
    server.metadata.uid.as_deref().unwrap_or_default()
}
