//! Gauges that are counted when somebody asks, from the caches: nothing keeps them current in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::context::Context;
use crate::controller::Servers;
use crate::metrics::Metrics;

/// Counts the McpServers by condition, the unreadable ones, and those that wait for another try.
pub fn update(metrics: &Metrics, controllers: &[(Arc<Context>, Servers)]) {
    let mut by_condition: BTreeMap<(String, String), i64> = BTreeMap::new();
    let (mut unreadable, mut backing_off) = (0, 0_usize);
    for (cx, servers) in controllers {
        backing_off += cx.attempts.len();
        for server in servers.state() {
            let Ok(server) = &server.0 else {
                unreadable += 1;
                continue;
            };
            for condition in server.status.iter().flat_map(|status| &status.conditions) {
                *by_condition.entry((condition.type_.clone(), condition.status.clone())).or_default() += 1;
            }
        }
    }
    metrics.watch.unreadable.set(unreadable);
    metrics.reconcile.backing_off.set(i64::try_from(backing_off).unwrap_or(i64::MAX));
    // Series that have no object any more are dropped, not left at their last value.
    metrics.watch.objects.reset();
    for ((condition, status), count) in by_condition {
        metrics.watch.objects.with_label_values(&[condition.as_str(), status.as_str()]).set(count);
    }
}
