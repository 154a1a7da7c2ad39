//! Observe, validate, build, apply; then the status. The guard around it is in [`crate::guard`].

pub mod apply;
pub mod complaints;
pub mod conflicts;
pub mod observe;
pub mod status;

use std::time::Duration;

use mcp_crds::v1alpha1::McpServer;
use mcp_desired::{Applied, Change, Taken, Verdict, objects, validate};

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
            Verdict::Invalid(_) => "invalid",
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
    let validated = match validate(server, &observed) {
        Ok(validated) => validated,
        Err(violations) => return Ok(Verdict::Invalid(violations).into()),
    };
    let wanted = objects(&validated, &cx.settings);
    if server.spec.paused {
        return Ok(Verdict::Paused { waiting: apply::differs(&wanted, &observed) }.into());
    }
    let applied = Applied::of(&validated, &cx.settings, &wanted);
    let Report { changes, taken, failure, again } =
        apply(wanted, &validated.config_hash, &observed, &Owner::of(server), cx).await;
    let (verdict, look_again) = match (&failure, taken.is_empty()) {
        (Some(failure), _) => (status::failed(failure), None),
        (None, true) => (Verdict::Applied(applied), complaints::look(server, cx).await),
        (None, false) => (Verdict::Conflict(taken.clone()), None),
    };
    let again = [again, look_again].into_iter().flatten().min();
    Ok(Outcome { verdict, changes, taken, failure, again })
}
