//! Around every reconcile: a span, a permit, a deadline, a net for panics, metrics; and the status, on success and on error alike.
//!
//! kube-runtime unwraps the task of a reconcile: a panic that got out would end the whole controller, and one bad object would take
//! all the others down with it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use kube::{Resource as _, ResourceExt as _};
use kube_runtime::controller::Action;
use mcp_crds::v1alpha1::McpServer;
use prometheus::IntGauge;
use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, debug, error, info, info_span, warn};

use crate::backoff;
use crate::context::{Context, Guarded};
use crate::ending;
use crate::error::{Error, Reason, Retry};
use crate::events::Note;
use crate::reconcile::claim::{self, Stand};
use crate::reconcile::{self, Outcome, status};

/// The longest that one reconcile may take, all its requests together.
const DEADLINE: Duration = Duration::from_secs(30);
/// The longest that writing the status may take after that.
const STATUS_DEADLINE: Duration = Duration::from_secs(10);

/// Reconciles one object, whatever happens.
///
/// # Errors
/// What failed; [`error_policy`] says when to come again.
pub async fn reconcile(object: Arc<Guarded>, cx: Arc<Context>) -> Result<Action, Error> {
    let server = match &object.0 {
        Ok(server) => server,
        Err(unreadable) => {
            report_unreadable(&object, &unreadable.error, &cx);
            return Ok(Action::await_change());
        }
    };
    if server.meta().deletion_timestamp.is_some() {
        // Its children are being collected. Making one again now would hold up a foreground deletion for ever.
        return Ok(Action::await_change());
    }
    let span = info_span!(
        "reconcile",
        namespace = server.namespace(),
        resource = server.name_any(),
        uid = server.uid(),
        generation = server.metadata.generation
    );
    Box::pin(guarded(server, &cx)).instrument(span).await
}

async fn guarded(server: &McpServer, cx: &Context) -> Result<Action, Error> {
    let Ok(_permit) = cx.permits.acquire().await else {
        // The semaphore is never closed; were it, the process would be stopping.
        return Ok(Action::await_change());
    };
    let metrics = &cx.metrics.reconcile;
    let _in_flight = InFlight::begin(&metrics.in_flight);
    let started = Instant::now();
    let server = cx.statuses.newest(server);
    let uid = server.metadata.uid.clone().unwrap_or_default();
    let namespace = server.metadata.namespace.clone().unwrap_or_default();
    if cx.ending.holds(&namespace) {
        return Ok(Action::requeue(ending::LOOK_AGAIN));
    }
    let (label, done) = match bounded(DEADLINE, Box::pin(claim::settle(server, cx))).await {
        Ok(Stand::Manage(server)) => managed(&server, cx).await,
        Ok(Stand::Back(wait)) => ("standby", Ok(Some(wait))),
        Err(error) => ("error", Err(error)),
    };
    metrics.total.with_label_values(&[label]).inc();
    metrics.seconds.with_label_values(&[label]).observe(started.elapsed().as_secs_f64());
    match &done {
        Ok(_) => {
            debug!(outcome = label, "reconciled");
            cx.attempts.forget(&uid);
        }
        Err(error) => {
            metrics.errors.with_label_values(&[error.reason().as_str()]).inc();
            log(error);
        }
    }
    done.map(|again| again.map_or_else(Action::await_change, Action::requeue))
}

/// One pass over a resource that this release manages: the children, then the status. With the label of the outcome, and when
/// to come again.
async fn managed(server: &McpServer, cx: &Context) -> (&'static str, Result<Option<Duration>, Error>) {
    let result = bounded(DEADLINE, Box::pin(reconcile::reconcile(server, cx))).await;
    let failure = match &result {
        Ok(outcome) => outcome.failure.as_ref(),
        Err(error) => Some(error),
    };
    if failure.is_some_and(|failure| failure.reason() == Reason::Terminating) {
        let namespace = server.metadata.namespace.as_deref().unwrap_or_default();
        if cx.ending.begin(namespace) {
            info!("the namespace is being deleted; nothing is written for its McpServers any more");
        }
        return ("terminating", Ok(Some(ending::LOOK_AGAIN)));
    }
    let written = bounded(STATUS_DEADLINE, status::write(server, &result, cx)).await;
    let watched = claim::standby(server, cx).map(|_| claim::LOOK_AGAIN);
    match (result, written) {
        (Ok(Outcome { failure: Some(error), .. }) | Err(error), _) | (Ok(_), Err(error)) => {
            ("error", Err(error))
        }
        (Ok(outcome), Ok(deferred)) => {
            (outcome.label(), Ok([outcome.again, deferred, watched].into_iter().flatten().min()))
        }
    }
}

/// Runs `work` to its end, to its panic, or to the deadline.
async fn bounded<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    // Nothing that the work shares with others can be left half-changed by a panic: its locks guard single map operations.
    match timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Error::Panicked { message: panic_text(&*panic) }),
        Err(_) => Err(Error::Deadline { limit }),
    }
}

/// When a failed object is tried again.
pub fn error_policy(object: &Guarded, error: &Error, cx: &Context) -> Action {
    let backoff = || cx.attempts.with(object.meta().uid.as_deref().unwrap_or_default(), backoff::failed);
    let wait = match error.retry() {
        Retry::Soon(wait) => wait,
        Retry::Backoff => backoff(),
        Retry::NotBefore(least) => backoff().max(least),
    };
    Action::requeue(wait)
}

fn log(error: &Error) {
    match error.reason() {
        // Ours to mend.
        Reason::Panic | Reason::Internal => error!(reason = error.reason().as_str(), "{error}"),
        // Passes by itself.
        Reason::NotSynced | Reason::Conflict => info!(reason = error.reason().as_str(), "{error}"),
        _ => warn!(reason = error.reason().as_str(), "{error}"),
    }
}

/// An object that this version of the operator cannot read. It was stored by an older or a newer definition of the resource; its
/// children stay as they are, and it is looked at again when it changes.
fn report_unreadable(object: &Guarded, error: &str, cx: &Context) {
    let (namespace, resource) = (object.namespace().unwrap_or_default(), object.name_any());
    cx.metrics.reconcile.total.with_label_values(&["unreadable"]).inc();
    warn!(namespace, resource, error, "this McpServer cannot be read; its children are left as they are");
    let text = format!(
        "this version of the operator cannot read the resource, its children are left as they are: {error}; write it anew with the \
         fields of the installed version"
    );
    let note = Note { warning: true, reason: "Invalid".to_owned(), action: "Read".to_owned(), text };
    cx.events.tell(&object.object_ref(&()), note);
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Counts one reconcile while it lasts, however it ends.
struct InFlight<'a>(&'a IntGauge);

impl<'a> InFlight<'a> {
    fn begin(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_its_text() {
        let result: Result<(), Error> =
            bounded(DEADLINE, async { panic!("a mistake in {}", "step 3") }).await;
        assert_eq!(result.unwrap_err().to_string(), "the reconcile panicked: a mistake in step 3");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_reconcile_ends_at_the_deadline() {
        let result: Result<(), Error> = bounded(DEADLINE, std::future::pending()).await;
        assert_eq!(result.unwrap_err().reason(), Reason::Deadline);
    }
}
