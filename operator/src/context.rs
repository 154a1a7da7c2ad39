//! What every reconcile of one controller shares.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use kube::Client;
use kube::core::{DeserializeGuard, ObjectMeta};
use mcp_crds::v1alpha1::McpServer;
use mcp_desired::{LastValid, Reverts, Settings};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::by_uid::ByUid;
use crate::cache::Cache;
use crate::ending::Ending;
use crate::error::Error;
use crate::events::Events;
use crate::holders::Holders;
use crate::labels;
use crate::metrics::Metrics;
use crate::operator::Operator;
use crate::pods::Pods;
use crate::readiness::Readiness;
use crate::reconcile::apply::key::State;
use crate::reconcile::complaints::Complaints;
use crate::reconcile::conflicts::Conflicts;
use crate::reconcile::status::Statuses;
use crate::reports::Reports;
use crate::watch::{Failures, Subject};

/// An McpServer that may be unreadable: one stored by another version of the definition must not end the watch of all.
pub type Guarded = DeserializeGuard<McpServer>;

/// What every reconcile of one controller shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The namespace of this controller, or `None` for the whole cluster.
    pub namespace: Option<String>,
    /// What the children are made of, besides the resource.
    pub settings: Settings,
    /// What the watches have seen.
    pub caches: Caches,
    /// What we wrote to statuses and the watch has not shown yet.
    pub statuses: Statuses,
    /// Names that were taken when we last looked.
    pub conflicts: ByUid<Conflicts>,
    /// What is known of the generated keys beside what the ConfigMaps say.
    pub keys: ByUid<State>,
    /// Uids of pods for whose sake a missing key was already thought of.
    pub stuck: ByUid<HashSet<String>>,
    /// Marks of changed ConfigMaps of which the pods have not been told: a change outlives a pass whose answer was lost.
    pub nudges: ByUid<String>,
    /// What resources that break rules are kept up from.
    pub last_valid: ByUid<Arc<LastValid>>,
    /// What the kubelet complained of when we last looked.
    pub complaints: ByUid<Complaints>,
    /// What others change of our children, and how often we put it right.
    pub reverts: ByUid<Reverts>,
    /// Namespaces that are being deleted.
    pub ending: Ending,
    /// Resources for which this release has published that it is on standby.
    pub standing_by: ByUid<()>,
    /// The name of this release, as namespace/name.
    pub identity: String,
    /// Which other releases run.
    pub holders: Arc<Holders>,
    /// The moment from which [`Context::now`] counts.
    started: Instant,
    /// Failed attempts in a row.
    pub attempts: ByUid<u32>,
    /// Where to tell of changes.
    pub events: Events,
    /// Counters.
    pub metrics: Metrics,
    /// What still keeps the operator from being ready.
    pub readiness: Readiness,
    /// Bounds the reconciles of all controllers together.
    pub permits: Arc<Semaphore>,
    /// What ails the watches.
    pub failures: Failures,
    /// What serving pods say of themselves.
    pub reports: Arc<Reports>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// The children, by kind.
#[derive(Debug)]
pub struct Caches {
    /// ServiceAccounts.
    pub service_accounts: Arc<Cache<ServiceAccount>>,
    /// ConfigMaps.
    pub config_maps: Arc<Cache<ConfigMap>>,
    /// Services.
    pub services: Arc<Cache<Service>>,
    /// Deployments.
    pub deployments: Arc<Cache<Deployment>>,
    /// Pods.
    pub pods: Arc<Pods>,
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            service_accounts: Arc::default(),
            config_maps: Arc::default(),
            services: Arc::default(),
            deployments: Arc::default(),
            pods: Arc::new(Pods::new(labels::INSTANCE)),
        }
    }
}

impl Caches {
    /// Waits until the first lists have arrived, for `limit` at most.
    ///
    /// Without them every child would look missing. Pods are the exception: they only explain, so that a missing right on
    /// them costs explanations, nothing else.
    ///
    /// # Errors
    /// The kind whose list is missing, and what ails its watch.
    pub async fn filled(&self, limit: Duration, failures: &Failures) -> Result<(), Error> {
        if self.are_synced() && self.pods.is_synced() {
            return Ok(());
        }
        let until = Instant::now() + limit;
        let waits: [(&'static str, BoxFuture<'_, ()>); 4] = [
            ("ServiceAccounts", self.service_accounts.synced().boxed()),
            ("ConfigMaps", self.config_maps.synced().boxed()),
            ("Services", self.services.synced().boxed()),
            ("Deployments", self.deployments.synced().boxed()),
        ];
        for (kind, synced) in waits {
            if timeout_at(until, synced).await.is_err() {
                return Err(Error::NotSynced { kind, because: failures.get(kind) });
            }
        }
        if failures.get("Pods").is_none() && timeout_at(until, self.pods.synced()).await.is_err() {
            tracing::debug!("going on without pods: their first list has not arrived");
        }
        Ok(())
    }

    fn are_synced(&self) -> bool {
        self.service_accounts.is_synced()
            && self.config_maps.is_synced()
            && self.services.is_synced()
            && self.deployments.is_synced()
    }
}

impl Context {
    /// The context of one controller of this operator.
    pub fn new(
        operator: &Operator,
        namespace: Option<String>,
        permits: &Arc<Semaphore>,
        held: &Arc<Semaphore>,
    ) -> Self {
        Self {
            client: operator.client.clone(),
            namespace,
            settings: operator.settings.clone(),
            caches: Caches::default(),
            statuses: Statuses::default(),
            conflicts: ByUid::default(),
            keys: ByUid::default(),
            stuck: ByUid::default(),
            nudges: ByUid::default(),
            last_valid: ByUid::default(),
            complaints: ByUid::default(),
            reverts: ByUid::default(),
            ending: Ending::default(),
            standing_by: ByUid::default(),
            identity: operator.identity.clone(),
            holders: Arc::clone(&operator.holders),
            started: Instant::now(),
            attempts: ByUid::default(),
            events: operator.events.clone(),
            metrics: operator.metrics.clone(),
            readiness: operator.readiness.clone(),
            permits: Arc::clone(permits),
            failures: Failures::default(),
            reports: Reports::new(Arc::clone(&operator.ask), Arc::clone(held)),
        }
    }

    /// What tells the watch of this kind apart, and where it reports.
    pub fn subject(&self, kind: &'static str) -> Subject {
        Subject {
            kind,
            namespace: self.namespace.clone(),
            metrics: self.metrics.watch.clone(),
            readiness: self.readiness.clone(),
            failures: self.failures.clone(),
        }
    }

    /// An McpServer is gone: nothing is remembered of it.
    pub fn forget(&self, gone: &ObjectMeta) {
        if let Some(uid) = gone.uid.as_deref() {
            self.attempts.forget(uid);
            self.statuses.forget(uid);
            self.conflicts.forget(uid);
            self.keys.forget(uid);
            self.stuck.forget(uid);
            self.nudges.forget(uid);
            self.last_valid.forget(uid);
            self.complaints.forget(uid);
            self.reverts.forget(uid);
            self.standing_by.forget(uid);
        }
    }

    /// Forgets every McpServer that is not among the living: deletions may have been missed while a watch was down.
    pub fn retain(&self, living: &HashSet<String>) {
        self.attempts.retain(living);
        self.statuses.retain(living);
        self.conflicts.retain(living);
        self.keys.retain(living);
        self.stuck.retain(living);
        self.nudges.retain(living);
        self.last_valid.retain(living);
        self.complaints.retain(living);
        self.reverts.retain(living);
        self.standing_by.retain(living);
    }

    /// The time since this controller was made: it never goes back.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
