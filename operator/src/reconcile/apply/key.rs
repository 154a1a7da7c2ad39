//! The generated API key: written once into a Secret, never read again.
//!
//! The operator may create Secrets and nothing else, so that it cannot see whether one is still there. The garbage collector can: the
//! ConfigMap names the Secret as a second owner, without a claim on its deletion. When the Secret goes, the collector takes that
//! reference out of the ConfigMap; our watch shows it; and a new key is written. A settled resource costs no request, a restarted operator
//! finds the reference in its cache, and deleting the Secret is how a key is rotated.
//!
//! Where the Secret was there before us (an answer that was lost, or a person who brought a key), its uid is unknown and there is nothing
//! to refer to. An annotation on the ConfigMap says so; then only a pod that cannot start for want of the Secret tells of its end.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use mcp_crds::FIELD_MANAGER;
use mcp_desired::ApiKeySecret;
use tracing::info;

use super::Owner;
use crate::context::Context;
use crate::error::Error;
use crate::{random, starting};

/// On the ConfigMap: the Secret was there when a key was to be written, so that its end will not be noticed by itself.
pub const FOUND: &str = "mcp-operator.dev/api-key-found";

/// What is known of the Secret.
#[derive(Clone, Debug, PartialEq)]
pub enum Witness {
    /// It is there, and its end will be seen.
    Owner(Box<OwnerReference>),
    /// It was there before us.
    Found,
}

impl Witness {
    /// What the ConfigMap says of the Secret of this name.
    pub fn read(config_map: &ConfigMap, secret: &str) -> Option<Self> {
        let owner =
            config_map.owner_references().iter().find(|owner| owner.kind == "Secret" && owner.name == secret);
        match owner {
            Some(owner) => Some(Self::Owner(Box::new(owner.clone()))),
            None => config_map.annotations().contains_key(FOUND).then_some(Self::Found),
        }
    }

    /// Writes it into the ConfigMap that is about to be applied.
    pub fn write(&self, config_map: &mut ConfigMap) {
        match self {
            Self::Owner(owner) => config_map.owner_references_mut().push((**owner).clone()),
            Self::Found => {
                config_map.annotations_mut().insert(FOUND.to_owned(), "true".to_owned());
            }
        }
    }
}

/// Makes sure that the Secret is there, and returns what the ConfigMap shall say of it.
///
/// # Errors
/// The API server refused, could not be reached, or is still taking a former Secret away.
pub async fn ensure(
    secret: &ApiKeySecret,
    config_map: Option<&ConfigMap>,
    pods: &[Arc<Pod>],
    owner: &Owner<'_>,
    cx: &Context,
) -> Result<(Witness, bool), Error> {
    let known = match config_map {
        Some(config_map) => Witness::read(config_map, secret.name()),
        // The ConfigMap is gone, and what it said with it. If the Secret is gone too, the collector will take out what is said here.
        None => cx.keys.get(owner.uid),
    };
    match known {
        Some(witness @ Witness::Owner(_)) => {
            cx.keys.insert(owner.uid, witness.clone());
            return Ok((witness, false));
        }
        Some(Witness::Found) if !is_wanted(owner, pods, cx) => return Ok((Witness::Found, false)),
        Some(Witness::Found) | None => {}
    }
    let what = || format!("create Secret {}/{}", owner.namespace, secret.name());
    let api: Api<Secret> = Api::namespaced(cx.client.clone(), owner.namespace);
    let object = secret.with_key(&random::key()?);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    #[expect(clippy::disallowed_methods, reason = "this is the one writer of generated keys")]
    let created = api.create(&params, &object).await;
    match created.map_err(|error| Error::api(what(), error)) {
        Ok(created) => {
            cx.metrics.api.writes.with_label_values(&["Secret", "create"]).inc();
            info!(child = secret.name(), "generated an API key");
            let reference = OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Secret".to_owned(),
                name: secret.name().to_owned(),
                uid: created.uid().unwrap_or_default(),
                controller: None,
                block_owner_deletion: None,
            };
            let witness = Witness::Owner(Box::new(reference));
            cx.keys.insert(owner.uid, witness.clone());
            Ok((witness, true))
        }
        // One that is on its way out is no answer: what comes after it is to be written.
        Err(Error::Api { code: 409, message, .. }) if !message.contains("is being deleted") => {
            Ok((Witness::Found, false))
        }
        Err(error) => Err(error),
    }
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
pub fn look_again(witness: &Witness, pods: &[Arc<Pod>]) -> Option<Duration> {
    if *witness != Witness::Found {
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
