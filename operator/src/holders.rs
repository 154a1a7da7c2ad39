//! Which releases of the operator run: the Lease of this one, and those of others that are met on resources.
//!
//! Every release renews one Lease in its own namespace, which all service accounts may read and only it may write. A release
//! that finds another one's name on a resource asks for that one's Lease. Clocks of different machines are never compared: a
//! Lease counts as abandoned when it was seen not to change for [`LEASE`], as in client-go's leader election.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Patch;
use kube::{Client, ResourceExt as _};
use mcp_desired::claim::Liveness;
use serde_json::json;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::error::Error;
use crate::object;
use crate::reconcile::apply::child::params;

/// How long a Lease counts without being renewed: longer than an upgrade of the chart takes, so that no other release takes
/// the resources over meanwhile.
pub const LEASE: Duration = Duration::from_secs(120);
/// How often it is renewed: one write for the whole operator.
const RENEW: Duration = Duration::from_secs(30);
/// How long an answer about another release counts.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// The longest that one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The releases that this one knows of, itself included.
pub struct Holders {
    client: Client,
    identity: String,
    /// When our own Lease was last renewed.
    renewed: Mutex<Option<Instant>>,
    others: Mutex<HashMap<String, Seen>>,
    /// Held while a Lease is asked for: many resources of one other release cost one request.
    asking: tokio::sync::Mutex<()>,
}

/// What is known of another release.
#[derive(Clone, Debug)]
struct Seen {
    /// Resource version of its Lease; `None` when there was no Lease, or it could not be read.
    version: Option<String>,
    /// Since when the Lease has had this version.
    since: Instant,
    asked: Instant,
    liveness: Liveness,
}

impl std::fmt::Debug for Holders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holders").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Holders {
    /// The releases as seen by the release `identity` (`namespace/name`).
    pub fn new(client: Client, identity: String) -> Self {
        Self {
            client,
            identity,
            renewed: Mutex::default(),
            others: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Renews the Lease of this release for as long as it is awaited.
    pub async fn renew(self: Arc<Self>) {
        let mut failing: Option<String> = None;
        loop {
            let renewed =
                timeout(TIMEOUT, self.renew_once()).await.unwrap_or(Err(Error::Deadline { limit: TIMEOUT }));
            match renewed {
                Ok(()) => {
                    *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                    if failing.take().is_some() {
                        info!(lease = self.identity, "lease renewed again");
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    if failing.as_deref() != Some(&text) {
                        warn!(
                            lease = self.identity,
                            "{text}; another release that watches the same namespaces could take this one for gone: upgrade the \
                             chart mcp-operator, which holds the Lease and the right to renew it"
                        );
                    }
                    failing = Some(text);
                }
            }
            tokio::time::sleep(RENEW).await;
        }
    }

    async fn renew_once(&self) -> Result<(), Error> {
        let (namespace, name) = parts(&self.identity);
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": LEASE.as_secs(),
                "renewTime": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
            },
        });
        let api = object::api::<Lease>(self.client.clone(), Some(namespace));
        #[expect(clippy::disallowed_methods, reason = "this is the one writer of the Lease")]
        let renewed = api.patch(name, &params(), &Patch::Apply(lease)).await;
        renewed.map(|_| ()).map_err(|error| Error::api(format!("renew Lease {}", self.identity), error))
    }

    /// Whether another release runs, as far as an answer of the last [`ASK_AGAIN`] or a request tells.
    pub async fn liveness(&self, release: &str) -> Liveness {
        let _asking = self.asking.lock().await;
        let before = self.others.lock().unwrap_or_else(PoisonError::into_inner).get(release).cloned();
        if let Some(before) = &before
            && before.asked.elapsed() < ASK_AGAIN
        {
            return before.liveness;
        }
        let (namespace, name) = parts(release);
        let api = object::api::<Lease>(self.client.clone(), Some(namespace));
        let lease = match timeout(TIMEOUT, api.get_opt(name)).await {
            Ok(Ok(lease)) => Ok(lease.map(|lease| lease.resource_version().unwrap_or_default())),
            Ok(Err(error)) => Err(Error::api(format!("read Lease {release}"), error)),
            Err(_) => Err(Error::Deadline { limit: TIMEOUT }),
        };
        let seen = self.judge(before.as_ref(), lease.as_ref());
        if before.is_none_or(|before| before.liveness != seen.liveness) {
            match &lease {
                Ok(_) => info!(release, liveness = ?seen.liveness, "another release of the operator"),
                Err(error) => {
                    warn!(release, %error, "it is not known whether another release of the operator runs")
                }
            }
        }
        let liveness = seen.liveness;
        self.others.lock().unwrap_or_else(PoisonError::into_inner).insert(release.to_owned(), seen);
        liveness
    }

    /// The last answer about another release, without a request.
    pub fn known(&self, release: &str) -> Liveness {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.get(release).map_or(Liveness::Unknown, |seen| seen.liveness)
    }

    fn judge(&self, before: Option<&Seen>, lease: Result<&Option<String>, &Error>) -> Seen {
        let now = Instant::now();
        let version = lease.ok().cloned().flatten();
        let since = match before {
            Some(before) if before.version == version => before.since,
            _ => now,
        };
        let liveness = match (&version, lease) {
            (_, Err(_)) => Liveness::Unknown,
            (Some(_), Ok(_)) if now.duration_since(since) <= LEASE => Liveness::Alive,
            // Without a Lease of our own, the other release would take back what we take: both would go on for ever.
            _ if !self.is_renewed() => Liveness::Unknown,
            _ => Liveness::Gone,
        };
        Seen { version, since, asked: now, liveness }
    }

    fn is_renewed(&self) -> bool {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.is_some_and(|at| at.elapsed() < LEASE)
    }
}

/// Namespace and name of a release.
fn parts(release: &str) -> (&str, &str) {
    release.split_once('/').unwrap_or(("default", release))
}
