//! The step before admission: is there an answer already, or is somebody asking the same just now?
//!
//! Only for tools whose answers the configuration lets be kept, and for resources, whose backends say how long what was
//! read stays true. Tools without an entry never come here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use mcp_server_config::{CacheMode, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backend::{Answer, Call, CallError, Cx, Outcome, Target};
use crate::cache::key::{Audience, Key};
use crate::cache::{Cache, Told};
use crate::dispatch::call::Ended;
use crate::dispatch::snapshot::{Snapshot, Tool};

/// How a call ended that others may have waited for, too.
#[derive(Clone, Debug)]
pub struct Flown {
    ended: Ended,
    /// It was not even made: the shared store had the answer.
    kept: bool,
}

/// A question whose answer may be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    key: Key,
    store: Store,
    /// How long the answer is used; absent where only the answer itself says.
    ttl: Option<Duration>,
    /// When the caller stops waiting.
    deadline: Instant,
}

/// Where the answer came from, as `_meta` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Cache,
    Backend,
}

/// The question that a call asks, where its answer may be kept. Whoever answers the questions of a backend has a call of
/// their own.
pub(super) fn question(snapshot: &Snapshot, tool: Option<&Tool>, call: &Call, cx: &Cx) -> Option<Question> {
    let cache = &snapshot.config.service.cache;
    let (key, ttl) = match (tool, &call.target) {
        (Some(Tool { cache: Some(policy), name, .. }), _) if call.replies.is_none() => {
            let arguments = call.arguments.as_ref().map(|raw| raw.as_str());
            let audience = policy.audience(&cx.caller);
            (Key::new("tools/call", name, &policy.fingerprint, audience, arguments)?, Some(policy.ttl))
        }
        (None, Target::Resource(uri)) if call.replies.is_none() && cache.mode() == CacheMode::On => {
            // What may be public is kept for each caller all the same: nobody reads what somebody else was allowed to.
            (Key::new("resources/read", uri, &[0; 32], Audience::Only(&cx.caller), None)?, None)
        }
        _ => return None,
    };
    Some(Question { key, store: cache.store(), ttl, deadline: cx.deadline })
}

/// Gives the kept answer, waits for the one that somebody else is asking for, or asks. `cancel` takes the caller back, and
/// the call with it only where nobody else waits for it.
pub(super) async fn answer(
    cache: &Arc<Cache<Flown>>,
    question: Question,
    cancel: &CancellationToken,
    ask: impl FnOnce(CancellationToken) -> BoxFuture<'static, Ended>,
) -> (Ended, From) {
    let key = question.key;
    let mut ask = Some(ask);
    loop {
        if let Some(stored) = cache.at_hand(&key) {
            cache.told(Told::Hit);
            return (Ended::Answered(Outcome::Complete(stored.answer())), From::Cache);
        }
        let waiter = cache.flights.join(key, |cancel| {
            let asked = ask.take().map(|ask| ask(cancel));
            fly(cache.clone(), question, asked)
        });
        let flown = tokio::select! {
            flown = waiter.ended() => flown,
            () = tokio::time::sleep_until(question.deadline) => {
                return (Ended::Failed(CallError::Timeout), From::Backend);
            }
            () = cancel.cancelled() => return (Ended::Failed(CallError::Cancelled), From::Backend),
        };
        let Some(Flown { ended, kept }) = flown else {
            return (Ended::Failed(CallError::Cancelled), From::Backend);
        };
        // What was wrong with somebody else's call need not be wrong with this one.
        if !waiter.leads && ended.is_of_its_caller() && ask.is_some() {
            continue;
        }
        cache.told(match (kept, waiter.leads) {
            (true, _) => Told::Hit,
            (false, true) => Told::Miss,
            (false, false) => Told::Joined,
        });
        return (ended, if kept { From::Cache } else { From::Backend });
    }
}

/// The flight: looks into the shared store, asks, and keeps the answer before anybody can ask again.
async fn fly(
    cache: Arc<Cache<Flown>>,
    question: Question,
    asked: Option<BoxFuture<'static, Ended>>,
) -> Flown {
    let Question { key, store, ttl, .. } = question;
    // Somebody may have had it kept since the caller looked.
    let stored = match cache.at_hand(&key) {
        Some(stored) => Some(stored),
        None => cache.fetch(store, &key).await,
    };
    if let Some(stored) = stored {
        return Flown { ended: Ended::Answered(Outcome::Complete(stored.answer())), kept: true };
    }
    let ended = match asked {
        Some(asked) => asked.await,
        None => Ended::Failed(CallError::Cancelled),
    };
    if let Ended::Answered(Outcome::Complete(answer)) = &ended
        && let Some(ttl) = ttl.or_else(|| hinted(answer))
    {
        cache.keep(store, key, answer, ttl).await;
    }
    Flown { ended, kept: false }
}

/// How long an answer stays true, by its own word.
fn hinted(answer: &Answer) -> Option<Duration> {
    answer.hints.map(|hints| Duration::from_millis(hints.ttl_ms)).filter(|ttl| !ttl.is_zero())
}

/// What a result of a tool begins with that tells an older client where it came from.
pub(super) fn legacy_stamp(from: From) -> Bytes {
    Bytes::from_static(match from {
        From::Cache => br#""_meta":{"mcp-operator.dev/cache":"hit"}"#,
        From::Backend => br#""_meta":{"mcp-operator.dev/cache":"miss"}"#,
    })
}

impl From {
    /// In the order of the stamps of a snapshot.
    pub(super) const ALL: [Self; 2] = [Self::Cache, Self::Backend];

    /// As `_meta` says it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "hit",
            Self::Backend => "miss",
        }
    }
}
