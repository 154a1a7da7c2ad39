//! The one writer of children.
//!
//! Every child is applied on the server's side, whole, by one field manager; and only when it differs from what is there.

pub mod child;
pub mod key;
pub mod nudge;

use std::time::Duration;

use mcp_crds::v1alpha1::McpServer;
use mcp_desired::{Change, ChangeKind, Objects, Observed, Taken, needs_apply};

use self::child::Step;
use self::key::Key;
use crate::context::Context;
use crate::error::{Error, Reason};

/// Whose children are written.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Namespace of the McpServer and of all its children.
    pub namespace: &'a str,
    /// Its uid: what makes a child ours.
    pub uid: &'a str,
    /// Its generation.
    pub generation: i64,
    /// The Secret with the generated key, as far as its status says.
    pub api_key_secret: Option<&'a str>,
    /// Whether all children of this generation have been there before: a missing one was then deleted by somebody.
    pub complete: bool,
}

impl<'a> Owner<'a> {
    /// The owner that this McpServer is.
    pub fn of(server: &'a McpServer) -> Self {
        Self {
            namespace: server.metadata.namespace.as_deref().unwrap_or_default(),
            uid: server.metadata.uid.as_deref().unwrap_or_default(),
            generation: server.metadata.generation.unwrap_or_default(),
            api_key_secret: server.status.as_ref().and_then(|status| status.api_key_secret.as_deref()),
            complete: server.status.as_ref().is_some_and(|status| {
                status.config_hash.is_some() && status.observed_generation == server.metadata.generation
            }),
        }
    }
}

/// What came of one pass.
#[derive(Debug, Default)]
pub struct Report {
    /// What was written.
    pub changes: Vec<Change>,
    /// Names that are in somebody else's hands.
    pub taken: Vec<Taken>,
    /// The first failure. What does not depend on the failed child was still done.
    pub failure: Option<Error>,
    /// When to come again without any event.
    pub again: Option<Duration>,
}

/// Makes the children what they should be.
///
/// The order is a decision: what a pod uses comes before the pods. The ServiceAccount, for without it no pod is admitted; the Secret
/// before the ConfigMap, because the ConfigMap names it as an owner (and is marked before a Secret is written, see [`key`]); both before
/// the pods that mount them; the Service, so that the name resolves when the first pod answers; the Deployment last.
pub async fn apply(
    wanted: Objects,
    config_hash: &str,
    observed: &Observed,
    owner: &Owner<'_>,
    cx: &Context,
) -> Report {
    // Without `..`: a new child must be given its place in the order here.
    let Objects { service_account, mut config_map, api_key, service, deployment } = wanted;
    let caches = &cx.caches;
    let mut pass = Pass { complete: owner.complete, report: Report::default(), grounds: true };

    if let Some(service_account) = service_account {
        let step = child::apply(service_account.clone(), &caches.service_accounts, owner, cx).await;
        pass.ground(&service_account, step);
        if pass.is_over() {
            return pass.report;
        }
    }

    let mut new_key = false;
    let mut known = true;
    let mut before = None;
    if let Some(api_key) = &api_key {
        match key::ensure(api_key, &config_map, observed, owner, cx).await {
            Ok(Key::There { state, created, marked }) => {
                state.write(&mut config_map);
                new_key = created;
                before = marked;
                if created {
                    pass.wrote("Secret", api_key.name(), pass.missing(), Vec::new());
                }
                pass.report.again = key::look_again(&state, &observed.pods);
            }
            Ok(Key::Taken(taken)) => {
                key::State::Taken.write(&mut config_map);
                pass.grounds = false;
                pass.report.taken.push(taken);
            }
            Ok(Key::NoRecord(taken)) => {
                known = false;
                pass.grounds = false;
                pass.report.taken.push(taken);
            }
            Err(error) => {
                known = false;
                pass.grounds = false;
                pass.failed(error);
            }
        }
        if pass.is_over() {
            return pass.report;
        }
    }

    // Not without knowing of the key: the reference to it would be taken out of a ConfigMap that has it.
    if known {
        if new_key || observed.config_map.as_ref().is_some_and(|live| live.data != config_map.data) {
            cx.nudges.insert(owner.uid, mark(config_hash, new_key));
        }
        let step = child::apply(config_map.clone(), &caches.config_maps, owner, cx).await;
        let done = step.is_ok();
        // Two writes of one pass are one change.
        let step =
            step.map(|step| if matches!(step, Step::Taken(_)) { step } else { before.unwrap_or(step) });
        pass.ground(&config_map, step);
        if done && let Some(mark) = cx.nudges.get(owner.uid) {
            nudge::nudge(&observed.pods, &mark, owner, cx).await;
            cx.nudges.forget(owner.uid);
        }
        if pass.is_over() {
            return pass.report;
        }
    }

    let step = child::apply(service.clone(), &caches.services, owner, cx).await;
    pass.child(&service, step);
    if pass.is_over() {
        return pass.report;
    }

    // Pods on somebody else's configuration, or under somebody else's identity, would be worse than no pods.
    if pass.grounds {
        let step = child::apply(deployment.clone(), &caches.deployments, owner, cx).await;
        pass.child(&deployment, step);
    }

    let mut report = pass.report;
    let contended = cx.reverts.with(owner.uid, |reverts| reverts.again(cx.now()));
    report.again = [report.again, contended].into_iter().flatten().min();
    if report.taken.is_empty() {
        cx.conflicts.forget(owner.uid);
    } else {
        let again = cx.conflicts.with(owner.uid, |seen| seen.again());
        report.again = [report.again, Some(again)].into_iter().flatten().min();
    }
    report
}

/// Whether [`apply`] would write anything: what a paused resource is waiting with.
pub fn differs(wanted: &Objects, observed: &Observed) -> bool {
    let Objects { service_account, config_map, api_key, service, deployment } = wanted;
    let missing_or_other = |live: Option<bool>| live.unwrap_or(true);
    let keyless = api_key.as_ref().is_some_and(|api_key| {
        observed
            .config_map
            .as_deref()
            .is_none_or(|live| !key::State::read(live, api_key.name()).is_some_and(|state| state.is_ours()))
    });
    keyless
        || service_account.as_ref().is_some_and(|wanted| {
            missing_or_other(observed.service_account.as_ref().map(|live| needs_apply(wanted, live)))
        })
        || missing_or_other(observed.config_map.as_ref().map(|live| needs_apply(config_map, live)))
        || missing_or_other(observed.service.as_ref().map(|live| needs_apply(service, live)))
        || missing_or_other(observed.deployment.as_ref().map(|live| needs_apply(deployment, live)))
}

/// What the annotation of a nudged pod says: the hash of the configuration; after a new key, something else than before.
fn mark(config_hash: &str, new_key: bool) -> String {
    if new_key {
        format!("{config_hash}-{}", jiff::Timestamp::now().as_second())
    } else {
        config_hash.to_owned()
    }
}

/// One pass under way.
struct Pass {
    /// See [`Owner::complete`].
    complete: bool,
    report: Report,
    /// Whether everything that pods stand on is in place.
    grounds: bool,
}

impl Pass {
    /// A child that pods stand on.
    fn ground<K: kube::Resource<DynamicType = ()>>(&mut self, desired: &K, step: Result<Step, Error>) {
        if matches!(step, Ok(Step::Taken(_)) | Err(_)) {
            self.grounds = false;
        }
        self.child(desired, step);
    }

    fn child<K: kube::Resource<DynamicType = ()>>(&mut self, desired: &K, step: Result<Step, Error>) {
        let name = desired.meta().name.as_deref().unwrap_or_default();
        match step {
            Ok(Step::Unchanged | Step::Contended) => {}
            Ok(Step::Created) => self.wrote(&K::kind(&()), name, self.missing(), Vec::new()),
            Ok(Step::Updated(fields)) => self.wrote(&K::kind(&()), name, ChangeKind::Updated, fields),
            Ok(Step::Reverted(fields)) => self.wrote(&K::kind(&()), name, ChangeKind::Reverted, fields),
            Ok(Step::Taken(taken)) => self.report.taken.push(taken),
            Err(error) => self.failed(error),
        }
    }

    /// What the making of a missing child is.
    fn missing(&self) -> ChangeKind {
        if self.complete { ChangeKind::Reverted } else { ChangeKind::Created }
    }

    fn wrote(&mut self, kind: &str, name: &str, what: ChangeKind, fields: Vec<String>) {
        self.report.changes.push(Change { kind: kind.to_owned(), name: name.to_owned(), what, fields });
    }

    /// Whether the namespace is being deleted: every further write would be refused too.
    fn is_over(&self) -> bool {
        self.report.failure.as_ref().is_some_and(|failure| failure.reason() == Reason::Terminating)
    }

    fn failed(&mut self, error: Error) {
        if self.report.failure.is_none() {
            self.report.failure = Some(error);
        } else {
            tracing::warn!(reason = error.reason().as_str(), "{error}");
        }
    }
}
