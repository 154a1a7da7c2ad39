//! What there is: the children of one McpServer, out of the caches. No request is made here.

use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use mcp_crds::v1alpha1::McpServer;
use mcp_desired::observed::is_ours;
use mcp_desired::{Names, Observed, Taken};

use crate::cache::{Cache, Key};
use crate::context::Context;
use crate::error::Error;
use crate::reconcile::{claim, complaints};

/// How long a reconcile waits for the first lists. The others that wait are held by the same cause.
const FIRST_LISTS: Duration = Duration::from_secs(15);

/// The children as last seen, once the watches have delivered.
///
/// # Errors
/// A watch has not delivered in time; its last failure is named.
pub async fn observe(server: &McpServer, cx: &Context) -> Result<Observed, Error> {
    cx.caches.filled(FIRST_LISTS, &cx.failures).await?;
    Ok(cached(server, cx, Vec::new()))
}

/// The children as the caches have them now, whether or not the watches have delivered; `taken` is what an apply found.
pub fn cached(server: &McpServer, cx: &Context, taken: Vec<Taken>) -> Observed {
    let namespace = server.metadata.namespace.as_deref().unwrap_or_default();
    let name = server.metadata.name.as_deref().unwrap_or_default();
    let uid = server.metadata.uid.as_deref().unwrap_or_default();
    let names = Names::of(name);
    let caches = &cx.caches;
    Observed {
        service_account: ours(&caches.service_accounts, namespace, &names.service_account, uid),
        config_map: ours(&caches.config_maps, namespace, &names.config_map, uid),
        deployment: ours(&caches.deployments, namespace, &names.deployment, uid),
        service: ours(&caches.services, namespace, &names.service, uid),
        pods: caches.pods.of(&Key::new(namespace, name)),
        taken,
        warnings: complaints::known(uid, cx),
        reports: cx.reports.of(&Key::new(namespace, name)),
        contentions: cx.reverts.get(uid).map(|reverts| reverts.contentions()).unwrap_or_default(),
        standby: claim::standby(server, cx),
    }
}

/// The object of this name, if it is a child of the owner with this uid. One of a former resource of the same name is not.
fn ours<K: Resource>(cache: &Cache<K>, namespace: &str, name: &str, uid: &str) -> Option<Arc<K>> {
    cache.get(&Key::new(namespace, name)).filter(|object| is_ours(&**object, uid))
}
