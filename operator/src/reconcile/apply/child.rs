//! One child: is its name ours, does it differ, then one server-side apply.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::{Resource, ResourceExt as _};
use mcp_crds::{FIELD_MANAGER, labels};
use mcp_desired::diff::hash;
use mcp_desired::foreign::removal;
use mcp_desired::observed::{is_ours, whose};
use mcp_desired::{Decision, Difference, Taken, contention, difference, fields};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{debug, info, warn};

use super::Owner;
use crate::cache::{Cache, Key};
use crate::context::Context;
use crate::error::Error;
use crate::object;

/// What came of one child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is as it should be; no request was made for it, or one read.
    Unchanged,
    /// It was not there.
    Created,
    /// The resource or the settings of the operator want these fields different from before.
    Updated(Vec<String>),
    /// Another writer had changed these fields.
    Reverted(Vec<String>),
    /// It differs in contended fields: it is left alone for a while.
    Contended,
    /// Its name belongs to somebody else.
    Taken(Taken),
}

/// Forced, because what we own we own: a hand edit of such a field is drift. Strict, so that a misspelt field is an error and not silence.
pub(crate) fn params() -> PatchParams {
    PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply(FIELD_MANAGER).force()
    }
}

/// Makes one child what it should be.
///
/// # Errors
/// The API server refused, or could not be reached.
pub async fn apply<K>(
    mut desired: K,
    cache: &Cache<K>,
    owner: &Owner<'_>,
    cx: &Context,
) -> Result<Step, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + Serialize + DeserializeOwned + Send + Sync,
{
    let kind = K::kind(&());
    let name = desired.name_any();
    let key = Key::new(owner.namespace, &name);
    let api = object::api::<K>(cx.client.clone(), Some(owner.namespace));

    let live = match cache.get(&key) {
        Some(live) => Some(live),
        // A foreign object has not our label, and the watch does not show it. Server-side apply would adopt it without a word, so that
        // one look decides whether the name is free.
        None => {
            if let Some(taken) = cx.conflicts.with(owner.uid, |seen| seen.get(owner.generation, &kind)) {
                return Ok(Step::Taken(taken));
            }
            let what = || format!("look for {kind} {}/{name}", owner.namespace);
            match api.get_opt(&name).await.map_err(|error| Error::api(what(), error))? {
                Some(found) if is_ours(&found, owner.uid) => {
                    let found = found.read().map_err(|unreadable| Error::unreadable(what(), &unreadable))?;
                    Some(cache.remember(found))
                }
                Some(found) => return Ok(Step::Taken(taken(&kind, &found, owner, cx))),
                None => None,
            }
        }
    };
    let wanted_hash = hash(&desired).unwrap_or_default().to_owned();
    let before = difference(&desired, live.as_deref());
    if let Some(live) = &live {
        if !is_ours(&**live, owner.uid) {
            return Ok(Step::Taken(taken(&kind, &**live, owner, cx)));
        }
        let now = cx.now();
        let decision = cx.reverts.with(owner.uid, |reverts| {
            if before == Difference::None {
                reverts.settled(&kind, now);
                return None;
            }
            Some(reverts.decide(&kind, &before, &wanted_hash, now))
        });
        match decision {
            None => return Ok(Step::Unchanged),
            Some(Decision::Write) => {}
            Some(Decision::Wait) => {
                explain::<K>(&kind, &name, owner, cx).await;
                return Ok(Step::Contended);
            }
        }
        // Should the object have been replaced since the cache saw it, this makes the apply fail instead of adopting the new one.
        desired.meta_mut().uid = live.uid();
    }

    let what = || format!("apply {kind} {}/{name}", owner.namespace);
    // What others own stays when we apply. What of it decides what runs is taken out first.
    if let Some(removal) = live.as_deref().and_then(|live| removal(&desired, live)) {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        #[expect(clippy::disallowed_methods, reason = "this is the one writer of children")]
        let cleaned = api.patch(&name, &params, &Patch::Strategic(removal)).await;
        let cleaned = cleaned.map_err(|error| refused(error, cache, &key, what()))?;
        let cleaned: K = cleaned.read().map_err(|unreadable| Error::unreadable(what(), &unreadable))?;
        let stored = cache.remember(cleaned);
        cx.metrics.api.writes.with_label_values(&[&kind, "patch"]).inc();
        if difference(&desired, Some(&*stored)) == Difference::None {
            return Ok(wrote::<K>(&kind, &name, before, Difference::None, &wanted_hash, owner, cx).await);
        }
    }
    let encode = |source| Error::Encode { what: format!("{kind} {}/{name}", owner.namespace), source };
    let body = serde_json::to_value(&desired).map_err(encode)?;
    #[expect(clippy::disallowed_methods, reason = "this is the one writer of children")]
    let applied = api.patch(&name, &params(), &Patch::Apply(body)).await;
    let applied = applied.map_err(|error| {
        let wanted = serde_json::to_value(&desired).unwrap_or_default();
        refused(error, cache, &key, what()).reworded(|said| fields::in_the_resource(&kind, &wanted, said))
    })?;
    let stored = cache.remember(applied.read().map_err(|unreadable| Error::unreadable(what(), &unreadable))?);
    cx.metrics.api.writes.with_label_values(&[&kind, "apply"]).inc();
    let after = difference(&desired, Some(&*stored));
    Ok(wrote::<K>(&kind, &name, before, after, &wanted_hash, owner, cx).await)
}

/// The failure of a write.
fn refused<K: Resource>(error: kube::Error, cache: &Cache<K>, key: &Key, what: String) -> Error {
    let error = Error::api(what, error);
    if error.code() == Some(409) {
        // The cache spoke of an object that is no more: the next pass looks for itself.
        cache.forget(key);
    }
    error
}

/// Remembers a write, for whoever else writes the same, and says what it was.
async fn wrote<K>(
    kind: &str,
    name: &str,
    before: Difference,
    after: Difference,
    wanted_hash: &str,
    owner: &Owner<'_>,
    cx: &Context,
) -> Step
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    // The same difference after the write as before it: an admission webhook had its way again, and nothing was put right.
    let in_vain = matches!(&after, Difference::Drifted(_)) && before == after;
    cx.reverts.with(owner.uid, |reverts| reverts.wrote(kind, &before, &after, wanted_hash, cx.now()));
    explain::<K>(kind, name, owner, cx).await;
    let step = match before {
        _ if in_vain => Step::Contended,
        Difference::None | Difference::Missing => Step::Created,
        Difference::Outdated(fields) => Step::Updated(fields),
        Difference::Drifted(fields) => Step::Reverted(fields),
    };
    info!(kind, child = name, change = ?step, "applied");
    step
}

/// Looks up who writes the contended fields of a child, once for each contention: one read, of the metadata alone.
async fn explain<K>(kind: &str, name: &str, owner: &Owner<'_>, cx: &Context)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let fields = cx.reverts.with(owner.uid, |reverts| reverts.unexplained(kind));
    if fields.is_empty() {
        return;
    }
    let api = object::api::<K>(cx.client.clone(), Some(owner.namespace));
    let managed = match api.get_metadata(name).await {
        Ok(live) => live.metadata.managed_fields.unwrap_or_default(),
        Err(error) => {
            let error = Error::api(format!("read who writes {kind} {}/{name}", owner.namespace), error);
            debug!(%error, "the other writer of a contended field is not known");
            Vec::new()
        }
    };
    for (field, overruled) in fields {
        let found = contention::explain(kind, name, &field, overruled, &managed);
        warn!(
            kind,
            child = name,
            field,
            reason = found.reason.as_str(),
            manager = found.manager,
            "field is contended by another writer; the operator waits longer after each revert"
        );
        cx.reverts.with(owner.uid, |reverts| reverts.explained(found));
    }
}

/// Says whose the name is. What the watch does not show is remembered, for its end will not be noticed; what it shows need not be.
fn taken(kind: &str, found: &impl Resource, owner: &Owner<'_>, cx: &Context) -> Taken {
    let taken = Taken {
        kind: kind.to_owned(),
        name: found.meta().name.clone().unwrap_or_default(),
        reason: whose(found),
    };
    if found.labels().get(labels::MANAGED_BY).is_none_or(|value| value != labels::MANAGED_BY_VALUE) {
        cx.conflicts.with(owner.uid, |seen| seen.insert(owner.generation, &taken));
    }
    taken
}
