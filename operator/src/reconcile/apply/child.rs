//! One child: is its name ours, does it differ, then one server-side apply.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::{Resource, ResourceExt as _};
use mcp_crds::{FIELD_MANAGER, labels};
use mcp_desired::observed::{is_ours, whose};
use mcp_desired::{Taken, needs_apply};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::info;

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
    /// It differed.
    Updated,
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
    if let Some(live) = &live {
        if !is_ours(&**live, owner.uid) {
            return Ok(Step::Taken(taken(&kind, &**live, owner, cx)));
        }
        if !needs_apply(&desired, &**live) {
            return Ok(Step::Unchanged);
        }
        // Should the object have been replaced since the cache saw it, this makes the apply fail instead of adopting the new one.
        desired.meta_mut().uid = live.uid();
    }

    let what = || format!("apply {kind} {}/{name}", owner.namespace);
    let encode = |source| Error::Encode { what: format!("{kind} {}/{name}", owner.namespace), source };
    let desired = serde_json::to_value(&desired).map_err(encode)?;
    #[expect(clippy::disallowed_methods, reason = "this is the one writer of children")]
    let applied = api.patch(&name, &params(), &Patch::Apply(desired)).await;
    let applied = applied.map_err(|error| {
        let error = Error::api(what(), error);
        if error.code() == Some(409) {
            // The cache spoke of an object that is no more: the next pass looks for itself.
            cache.forget(&key);
        }
        error
    })?;
    cache.remember(applied.read().map_err(|unreadable| Error::unreadable(what(), &unreadable))?);
    cx.metrics.api.writes.with_label_values(&[&kind, "apply"]).inc();
    let step = if live.is_some() { Step::Updated } else { Step::Created };
    info!(kind = %kind, child = name, change = ?step, "applied");
    Ok(step)
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
