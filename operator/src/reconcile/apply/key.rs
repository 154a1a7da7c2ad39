//! The generated API key: written once into a Secret, never read again.
//!
//! The operator may create Secrets and nothing else, so that it cannot see whether one is still there, or whose it is. The ConfigMap
//! remembers instead.
//!
//! - Its end: the ConfigMap names the Secret as a second owner, without a claim on its deletion. When the Secret goes, the garbage
//!   collector takes that reference out of the ConfigMap; our watch shows it; and a new key is written. A settled resource costs no request,
//!   a restarted operator finds the reference in its cache, and deleting the Secret is how a key is rotated.
//! - Its origin: a Secret that was there before is somebody else's, and its keys would open this server. A trial run of the POST says
//!   whether the name is free. Then the ConfigMap is marked as [`State::Pending`], and the Secret is written. Should the answer to that be
//!   lost, or the operator with it, the mark says that a Secret of this name is ours. Its uid is unknown then, and there is nothing to refer
//!   to: only a pod that cannot start for want of it tells of its end.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use mcp_crds::FIELD_MANAGER;
use mcp_desired::{ApiKeySecret, Observed, Taken};
use tracing::info;

use super::Owner;
use super::child::{self, Step};
use crate::context::Context;
use crate::error::Error;
use crate::{random, starting};

/// On the ConfigMap: what is known of the Secret, in the words of [`State`].
pub const STATE: &str = "mcp-operator.dev/api-key";

/// What is known of the Secret.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It is ours, and its end will be seen.
    Generated(Box<OwnerReference>),
    /// It is about to be written, or was, and the answer was lost.
    Pending,
    /// It is ours, and its end will not be seen.
    Found,
    /// The name is in somebody else's hands.
    Taken,
}

impl State {
    /// What the ConfigMap says of the Secret of this name.
    pub fn read(config_map: &ConfigMap, secret: &str) -> Option<Self> {
        let owner =
            config_map.owner_references().iter().find(|owner| owner.kind == "Secret" && owner.name == secret);
        if let Some(owner) = owner {
            return Some(Self::Generated(Box::new(owner.clone())));
        }
        match config_map.annotations().get(STATE)?.as_str() {
            "pending" => Some(Self::Pending),
            "found" => Some(Self::Found),
            "taken" => Some(Self::Taken),
            // Generated, and the reference is gone: so is the Secret.
            _ => None,
        }
    }

    /// Writes it into the ConfigMap that is about to be applied. The annotation is there in every state: a field that is only left out
    /// is no difference to what is live.
    pub fn write(&self, config_map: &mut ConfigMap) {
        let word = match self {
            Self::Generated(owner) => {
                config_map.owner_references_mut().push((**owner).clone());
                "generated"
            }
            Self::Pending => "pending",
            Self::Found => "found",
            Self::Taken => "taken",
        };
        config_map.annotations_mut().insert(STATE.to_owned(), word.to_owned());
    }

    /// Whether the Secret is there and ours, as far as is known.
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Generated(_) | Self::Found)
    }
}

/// What came of the Secret.
#[derive(Debug)]
pub enum Key {
    /// It is there and ours.
    There {
        /// What the ConfigMap shall say of it.
        state: State,
        /// It was written just now.
        created: bool,
        /// What came of the ConfigMap that was marked before.
        marked: Option<Step>,
    },
    /// Its name is in somebody else's hands.
    Taken(Taken),
    /// The name of the ConfigMap is in somebody else's hands, so that nothing could be remembered of a Secret.
    NoRecord(Taken),
}

/// Makes sure that the Secret is there. `config_map` is the one that will be applied next.
///
/// # Errors
/// The API server refused, could not be reached, or is still taking a former Secret away.
pub async fn ensure(
    secret: &ApiKeySecret,
    config_map: &ConfigMap,
    observed: &Observed,
    owner: &Owner<'_>,
    cx: &Context,
) -> Result<Key, Error> {
    let there = |state, created| Ok(Key::There { state, created, marked: None });
    match known(secret, observed.config_map.as_deref(), owner, cx) {
        Some(state @ State::Generated(_)) => {
            cx.keys.insert(owner.uid, state.clone());
            there(state, false)
        }
        Some(State::Found) if !is_wanted(owner, &observed.pods, cx) => there(State::Found, false),
        Some(State::Found | State::Pending) => match create(secret, owner, cx).await? {
            Some(state) => there(state, true),
            None => there(State::Found, false),
        },
        Some(State::Taken) | None => first(secret, config_map, owner, cx).await,
    }
}

/// What is known so far.
fn known(
    secret: &ApiKeySecret,
    config_map: Option<&ConfigMap>,
    owner: &Owner<'_>,
    cx: &Context,
) -> Option<State> {
    match config_map.map(|config_map| State::read(config_map, secret.name())) {
        // The answer arrived, and could not be noted down.
        Some(Some(State::Pending)) => cx.keys.get(owner.uid).or(Some(State::Pending)),
        Some(state) => state,
        // The ConfigMap is gone, and what it said with it. If the Secret is gone too, the collector will take out what is said here.
        None => cx.keys.get(owner.uid).or_else(|| {
            // The status never speaks of a Secret that is not ours.
            (owner.api_key_secret == Some(secret.name())).then_some(State::Found)
        }),
    }
}

/// Writes the Secret where nothing is known of one, if the name is free.
async fn first(
    secret: &ApiKeySecret,
    config_map: &ConfigMap,
    owner: &Owner<'_>,
    cx: &Context,
) -> Result<Key, Error> {
    if let Some(taken) = cx.conflicts.with(owner.uid, |seen| seen.get(owner.generation, KIND)) {
        return Ok(Key::Taken(taken));
    }
    if !is_free(secret, owner, cx).await? {
        return Ok(Key::Taken(taken(secret, owner, cx)));
    }
    cx.keys.forget(owner.uid);
    let mut marked = config_map.clone();
    State::Pending.write(&mut marked);
    let step = match child::apply(marked, &cx.caches.config_maps, owner, cx).await? {
        Step::Taken(taken) => return Ok(Key::NoRecord(taken)),
        step => step,
    };
    Ok(match create(secret, owner, cx).await? {
        Some(state) => Key::There { state, created: true, marked: Some(step) },
        None => Key::Taken(taken(secret, owner, cx)),
    })
}

const KIND: &str = "Secret";

fn taken(secret: &ApiKeySecret, owner: &Owner<'_>, cx: &Context) -> Taken {
    let taken = Taken {
        kind: KIND.to_owned(),
        name: secret.name().to_owned(),
        reason: "the operator did not make it".to_owned(),
    };
    cx.conflicts.with(owner.uid, |seen| seen.insert(owner.generation, &taken));
    taken
}

/// Whether no Secret of this name exists: a POST that changes nothing says so.
async fn is_free(secret: &ApiKeySecret, owner: &Owner<'_>, cx: &Context) -> Result<bool, Error> {
    let api: Api<Secret> = Api::namespaced(cx.client.clone(), owner.namespace);
    let params = PostParams { dry_run: true, ..params() };
    #[expect(clippy::disallowed_methods, reason = "a dry run writes nothing")]
    let answer = api.create(&params, &secret.with_key(&[0; 32])).await;
    match answer.map_err(|error| Error::api(what(secret, owner), error)) {
        Ok(_) => Ok(true),
        Err(error) if is_conflict(&error) => Ok(false),
        // A webhook with side effects lets no dry run through. The POST itself then says it.
        Err(Error::Api { code: 400, message, .. }) if message.contains("dry run") => Ok(true),
        Err(error) => Err(error),
    }
}

/// Writes a new key; none where there is a Secret of this name.
async fn create(secret: &ApiKeySecret, owner: &Owner<'_>, cx: &Context) -> Result<Option<State>, Error> {
    let api: Api<Secret> = Api::namespaced(cx.client.clone(), owner.namespace);
    let object = secret.with_key(&random::key()?);
    #[expect(clippy::disallowed_methods, reason = "this is the one writer of generated keys")]
    let created = api.create(&params(), &object).await;
    match created.map_err(|error| Error::api(what(secret, owner), error)) {
        Ok(created) => {
            cx.metrics.api.writes.with_label_values(&[KIND, "create"]).inc();
            info!(child = secret.name(), "generated an API key");
            let reference = OwnerReference {
                api_version: "v1".to_owned(),
                kind: KIND.to_owned(),
                name: secret.name().to_owned(),
                uid: created.uid().unwrap_or_default(),
                controller: None,
                block_owner_deletion: None,
            };
            let state = State::Generated(Box::new(reference));
            cx.keys.insert(owner.uid, state.clone());
            Ok(Some(state))
        }
        Err(error) if is_conflict(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

fn what(secret: &ApiKeySecret, owner: &Owner<'_>) -> String {
    format!("create Secret {}/{}", owner.namespace, secret.name())
}

/// Whether a Secret of this name exists. One that is on its way out is no answer: what comes after it is to be written.
fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Api { code: 409, message, .. } if !message.contains("is being deleted"))
}

/// How long a pod may take to start before a missing Secret is thought of: pulling an image usually takes longer, and then costs one
/// needless request for each pod.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// Whether some pod cannot start and may be waiting for the Secret. Each pod is a cause once.
fn is_wanted(owner: &Owner<'_>, pods: &[Arc<Pod>], cx: &Context) -> bool {
    let now = jiff::Timestamp::now();
    let stuck =
        |pod: &&Arc<Pod>| starting::since(pod).is_some_and(|since| now.duration_since(since) >= after());
    let stuck: Vec<String> = pods.iter().filter(stuck).filter_map(|pod| pod.uid()).collect();
    !stuck.is_empty()
        && cx.stuck.with(owner.uid, |asked| {
            let before = asked.len();
            asked.extend(stuck);
            asked.len() > before
        })
}

fn after() -> jiff::SignedDuration {
    jiff::SignedDuration::from_secs(i64::try_from(STUCK_AFTER.as_secs()).unwrap_or(i64::MAX))
}

/// When to look again, if the Secret's end cannot be seen and a pod is starting: the earliest moment at which it counts as stuck.
pub fn look_again(state: &State, pods: &[Arc<Pod>]) -> Option<Duration> {
    if *state != State::Found {
        return None;
    }
    let now = jiff::Timestamp::now();
    pods.iter()
        .filter_map(|pod| {
            let left = after() - now.duration_since(starting::since(pod)?);
            // Past moments were looked at just now.
            Duration::try_from(left).ok().filter(|left| !left.is_zero())
        })
        .min()
}
