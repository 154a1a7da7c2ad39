//! The wiring: watches in, reconciles out. One controller for the whole cluster, or one for each namespace.
//!
//! A controller for each namespace, because a reflector's store belongs to one watch: a renewed list of one namespace would
//! otherwise throw out what another one brought. All of them share the client, the permits and the events.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{PartialObjectMeta, PartialObjectMetaExt as _};
use kube::core::{DeserializeGuard, ObjectMeta};
use kube::{Resource, ResourceExt as _};
use kube_runtime::controller::{self, Controller};
use kube_runtime::reflector::{self, ObjectRef, Store};
use kube_runtime::watcher::{self, Config, Event};
use kube_runtime::{Predicate as _, PredicateConfig, WatchStreamExt as _, predicates};
use mcp_crds::v1alpha1::McpServer;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::cache::Cache;
use crate::context::{Context, Guarded};
use crate::object::Object;
use crate::{guard, labels, object, trim, watch};

/// What a child's watch yields: only the metadata, for the rest is in the cache.
type Trigger = PartialObjectMeta<McpServer>;

/// The McpServers that one controller knows.
pub type Servers = Store<Guarded>;

/// Makes the controller of one context. The returned future runs until `stop`, and then until the reconciles under way have
/// finished; the store can be read meanwhile.
pub fn run(
    cx: Arc<Context>,
    concurrency: u16,
    stop: CancellationToken,
) -> (Servers, impl Future<Output = ()> + Send) {
    let (servers, writer) = reflector::store();
    let main = events::<McpServer>(&cx, watch::MCP_SERVERS, Config::default())
        .map(|event| {
            let guarded = |object: Object| DeserializeGuard(object.read().map_err(|unreadable| *unreadable));
            Ok::<_, watcher::Error>(watch::map(event, guarded))
        })
        .reflect(writer)
        .inspect({
            let (cx, servers) = (Arc::clone(&cx), servers.clone());
            move |event| match event {
                Ok(Event::Delete(gone)) => cx.forget(gone.meta()),
                Ok(Event::InitDone) => cx.retain(&uids(&servers)),
                _ => {}
            }
        })
        .touched_objects()
        // Our own status write moves none of the three. A re-created object has another uid, which the filter tells apart. The
        // filter swallows deletions, which is right: there is nothing to do for what is gone.
        .predicate_filter(
            predicates::generation.combine(predicates::labels).combine(predicates::annotations),
            PredicateConfig::default(),
        );
    let caches = &cx.caches;
    let controller = Controller::for_stream(main, servers.clone())
        .with_config(controller::Config::default().concurrency(concurrency))
        .watches_stream(child(&cx, "ServiceAccounts", &caches.service_accounts, |_| ()), |child| {
            owners(&child)
        })
        .watches_stream(child(&cx, "ConfigMaps", &caches.config_maps, |_| ()), |child| owners(&child))
        .watches_stream(child(&cx, "Services", &caches.services, |_| ()), |child| owners(&child))
        .watches_stream(child(&cx, "Deployments", &caches.deployments, trim::deployment), |child| {
            owners(&child)
        })
        .watches_stream(pods(&cx), |child| owners(&child))
        .watches_stream(reports(&cx), |child| owners(&child))
        .graceful_shutdown_on(stop.cancelled_owned());
    let running = controller
        .run(guard::reconcile, |object, error, cx| guard::error_policy(&object, error, &cx), cx)
        .for_each(|result| async move {
            // Failures were logged and counted by the guard, with their context; what is left is the end of objects.
            if let Err(error) = result {
                debug!(%error, "reconcile request without an object");
            }
        });
    (servers, running)
}

/// What happens to the objects of a kind in the context's scope.
fn events<K>(
    cx: &Context,
    kind: &'static str,
    config: Config,
) -> impl Stream<Item = Event<Object>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let api = object::api::<K>(cx.client.clone(), cx.namespace.as_deref());
    watch::events(api, config, cx.subject(kind))
}

/// The object as a type. Of one that this version cannot read, no more is known than its metadata.
fn read<K: Resource + DeserializeOwned + Default>(object: Object, kind: &'static str) -> K {
    object.read().unwrap_or_else(|unreadable| {
        let ObjectMeta { namespace, name, .. } = &unreadable.metadata;
        warn!(kind, namespace, name, "an object cannot be read: {unreadable}");
        let mut bare = K::default();
        *bare.meta_mut() = unreadable.metadata;
        bare
    })
}

/// The watch of one kind of child: fills the cache, and yields what somebody should look at.
fn child<K>(
    cx: &Context,
    kind: &'static str,
    cache: &Arc<Cache<K>>,
    trim: fn(&mut K),
) -> impl Stream<Item = Result<Trigger, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Default + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let cache = Arc::clone(cache);
    events::<K>(cx, kind, Config::default().labels(labels::OURS)).filter_map(move |event| {
        let changed = cache.observe(watch::map(event, |object| read(object, kind)).modify(trim));
        std::future::ready(changed.map(|object| Ok(trigger(object.meta()))))
    })
}

/// The watch of the pods.
fn pods(cx: &Context) -> impl Stream<Item = Result<Trigger, watcher::Error>> + Send + 'static {
    let (pods, reports) = (Arc::clone(&cx.caches.pods), Arc::clone(&cx.reports));
    events::<Pod>(cx, "Pods", Config::default().labels(labels::OURS)).filter_map(move |event| {
        let event = watch::map(event, |object| read(object, "Pods"));
        reports.observe(&event);
        let changed = pods.observe(event.modify(|pod| trim::pod(pod, labels::NUDGE)));
        std::future::ready(changed.map(|pod| Ok(trigger(pod.meta()))))
    })
}

/// Pods that say something else of themselves than before.
fn reports(cx: &Context) -> impl Stream<Item = Result<Trigger, watcher::Error>> + Send + 'static {
    let changes = cx.reports.changes();
    futures::stream::iter(changes).flatten().map(|meta| Ok(trigger(&meta)))
}

fn trigger(meta: &ObjectMeta) -> Trigger {
    ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        labels: meta.labels.clone(),
        owner_references: meta.owner_references.clone(),
        ..ObjectMeta::default()
    }
    .into_response_partial()
}

/// The McpServers that a child concerns: the owner it names and the instance it is labelled with. Usually they are one; a child
/// that lost either still finds the other.
fn owners(child: &Trigger) -> Vec<ObjectRef<Guarded>> {
    let namespace = child.metadata.namespace.clone().unwrap_or_default();
    let group_version = McpServer::api_version(&());
    let mut names: Vec<String> = child
        .owner_references()
        .iter()
        .filter(|owner| owner.kind == McpServer::kind(&()) && owner.api_version == group_version)
        .map(|owner| owner.name.clone())
        .collect();
    if let Some(instance) = child.labels().get(labels::INSTANCE)
        && !names.contains(instance)
    {
        names.push(instance.clone());
    }
    names.iter().map(|name| ObjectRef::new(name).within(&namespace)).collect()
}

fn uids(servers: &Servers) -> HashSet<String> {
    servers.state().iter().filter_map(|server| server.uid()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(meta: serde_json::Value) -> Vec<String> {
        let meta: ObjectMeta = serde_json::from_value(meta).unwrap();
        owners(&trigger(&meta))
            .iter()
            .map(|server| format!("{}/{}", server.namespace.clone().unwrap(), server.name))
            .collect()
    }

    #[test]
    fn a_child_finds_its_server_by_owner_by_label_or_by_both() {
        let owner = json!([{"apiVersion": "mcp-operator.dev/v1alpha1", "kind": "McpServer", "name": "a", "uid": "u"}]);
        let label = json!({"app.kubernetes.io/instance": "a"});
        assert_eq!(names(json!({"namespace": "shop", "ownerReferences": owner})), ["shop/a"]);
        assert_eq!(names(json!({"namespace": "shop", "labels": label})), ["shop/a"]);
        assert_eq!(
            names(json!({"namespace": "shop", "labels": label, "ownerReferences": owner})),
            ["shop/a"]
        );
        let stranger = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u"}]);
        assert!(names(json!({"namespace": "shop", "ownerReferences": stranger})).is_empty());
    }
}
