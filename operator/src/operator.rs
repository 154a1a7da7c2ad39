//! The operator as a value: everything but the process around it, so that tests can run it against an API server of theirs.

use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use kube::Client;
use mcp_desired::Settings;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::controller::{self, Servers};
use crate::events::Events;
use crate::holders::Holders;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::reports::{self, Ask};

/// What an operator is made of.
pub struct Operator {
    /// The API server.
    pub client: Client,
    /// What the children are made of, besides the resource.
    pub settings: Settings,
    /// Counters.
    pub metrics: Metrics,
    /// Where the watches say whether they have delivered.
    pub readiness: Readiness,
    /// Where to tell of changes.
    pub events: Events,
    /// The name of this release, as namespace/name: what it writes on the resources that it manages.
    pub identity: String,
    /// Which other releases run.
    pub holders: Arc<Holders>,
    /// The namespaces to watch; empty means the whole cluster.
    pub namespaces: Vec<String>,
    /// How many objects are reconciled at the same time, at most.
    pub concurrency: u16,
    /// How pods are asked what fails in them.
    pub ask: Arc<dyn Ask>,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("namespaces", &self.namespaces).finish_non_exhaustive()
    }
}

/// An operator at work.
pub struct Running {
    /// One for each namespace, or one for the cluster, with the McpServers it knows.
    pub controllers: Vec<(Arc<Context>, Servers)>,
    /// Ends after the stop, when the reconciles under way have finished. Nothing happens unless it is awaited.
    pub work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("controllers", &self.controllers.len()).finish_non_exhaustive()
    }
}

impl Operator {
    /// Wires everything up. No request is made before [`Running::work`] is awaited.
    pub fn start(self, stop: &CancellationToken) -> Running {
        let held = reports::held();
        let permits = Arc::new(Semaphore::new(usize::from(self.concurrency)));
        let scopes: Vec<Option<String>> = if self.namespaces.is_empty() {
            vec![None]
        } else {
            self.namespaces.iter().cloned().map(Some).collect()
        };
        let mut controllers = Vec::new();
        let work = FuturesUnordered::new();
        for namespace in scopes {
            let cx = Arc::new(Context::new(&self, namespace, &permits, &held));
            let (servers, running) = controller::run(Arc::clone(&cx), self.concurrency, stop.clone());
            controllers.push((cx, servers));
            work.push(running);
        }
        let controlling = work.collect::<()>();
        let work = async move {
            // The Lease is renewed for as long as reconciles may be under way.
            tokio::select! {
                () = controlling => {}
                () = self.holders.renew() => {}
            }
        };
        Running { controllers, work: Box::pin(work) }
    }
}
