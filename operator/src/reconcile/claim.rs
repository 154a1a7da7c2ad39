//! One release of the operator for each McpServer: claim it, or stay on standby.

use std::borrow::Cow;
use std::time::Duration;

use kube::Resource as _;
use mcp_crds::v1alpha1::McpServer;
use mcp_desired::claim::{Claim, Liveness, claim, claimed, sentence};
use mcp_desired::{EventKind, Timestamp, standing_back};
use tracing::{info, warn};

use super::status::{Precondition, patch};
use crate::context::Context;
use crate::error::Error;
use crate::events::Note;

/// How often a release on standby checks whether the holder still runs, and the holder whether the other one does.
pub const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// When to come again after a claim that met another write.
const SOON: Duration = Duration::from_millis(500);

/// What a release may do with a resource.
#[derive(Debug)]
pub enum Stand<'a> {
    /// It manages it.
    Manage(Box<Cow<'a, McpServer>>),
    /// It leaves it alone, and looks again after this time.
    Back(Duration),
}

/// Claims a resource that belongs to no release, or to one that is gone, before anything is written for it.
///
/// # Errors
/// The API server refused the claim, or could not be reached.
pub async fn settle<'a>(server: Cow<'a, McpServer>, cx: &Context) -> Result<Stand<'a>, Error> {
    match claim(&server, &cx.identity) {
        Claim::Ours => {
            if let Some(standby) = server.status.as_ref().and_then(|status| status.standby.as_deref()) {
                cx.holders.liveness(standby).await;
            }
            Ok(Stand::Manage(Box::new(server)))
        }
        Claim::Free => take(&server, cx).await,
        Claim::Held(holder) => {
            let liveness = cx.holders.liveness(holder).await;
            if liveness == Liveness::Gone {
                info!(from = holder, "taking the resource over from a release that does not run any more");
                return take(&server, cx).await;
            }
            stand_back(&server, holder, liveness, cx).await?;
            Ok(Stand::Back(LOOK_AGAIN))
        }
    }
}

async fn take<'a>(server: &McpServer, cx: &Context) -> Result<Stand<'a>, Error> {
    // Two releases may come at once: the version decides, and the one that is too late reads whose it is.
    let taken = patch(server, &claimed(server, &cx.identity), Precondition::SameVersion, cx).await?;
    Ok(taken.map_or(Stand::Back(SOON), |taken| Stand::Manage(Box::new(Cow::Owned(taken)))))
}

/// Says so on the resource, once, and in one event.
async fn stand_back(server: &McpServer, holder: &str, liveness: Liveness, cx: &Context) -> Result<(), Error> {
    let status = server.status.as_ref();
    let uid = server.metadata.uid.as_deref().unwrap_or_default();
    if status.is_some_and(|status| status.standby.is_some()) {
        return Ok(());
    }
    let shown = standing_back(server, &cx.identity, Timestamp::now());
    if patch(server, &shown, Precondition::SameVersion, cx).await?.is_none() {
        return Ok(());
    }
    if cx.standing_by.get(uid).is_some() {
        return Ok(());
    }
    cx.standing_by.insert(uid, ());
    let text = sentence(holder, &cx.identity);
    warn!(holder, ?liveness, "{text}");
    let kind = EventKind::Contended;
    let note = Note {
        warning: kind.is_warning(),
        reason: kind.as_str().to_owned(),
        action: kind.action().to_owned(),
        text,
    };
    cx.events.tell(&server.object_ref(&()), note);
    Ok(())
}

/// The release that stands back from this resource, unless it is known to be gone.
pub fn standby(server: &McpServer, cx: &Context) -> Option<String> {
    let standby = server.status.as_ref()?.standby.as_ref()?;
    (cx.holders.known(standby) != Liveness::Gone).then(|| standby.clone())
}
