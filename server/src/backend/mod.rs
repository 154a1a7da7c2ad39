//! The seam between the dispatcher and whatever really does the work.
//!
//! A [`Backend`] knows tools and how to call them. It knows nothing of HTTP, eras, keys or limits: those are settled
//! before a call arrives here, and what it answers is shaped for the client afterwards.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::principal::Caller;
use crate::protocol::raw::Raw;

pub mod tools;

/// Something that offers tools: the declared tools of the configuration, or a program behind the server.
pub trait Backend: Send + Sync + 'static {
    /// Calls a tool. Never blocks the thread that polls it; ends soon after the deadline or a cancellation.
    ///
    /// An error that the *tool* makes, bad arguments included, is an `Ok` whose result says `isError`: a model can read
    /// it and mend its call. `Err` is for calls that no tool ever saw the end of.
    fn call(self: Arc<Self>, call: Call, cx: Cx) -> BoxFuture<'static, Result<Outcome, CallError>>;

    /// What can be called. A new value means that the list changed (`notifications/tools/list_changed`).
    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>>;

    /// How the backend fares.
    fn health(&self) -> watch::Receiver<Health>;

    /// Resolves when no call is in flight any more, at the latest at `until`. Calls that come meanwhile are served.
    fn drain(&self, until: Instant) -> BoxFuture<'_, ()>;
}

/// One call of a tool.
#[derive(Clone, Debug)]
pub struct Call {
    /// Name of the tool, as the client wrote it.
    pub tool: String,
    /// `params.arguments`, unparsed; absent where the client sent none. Anything but an object is refused by the backend.
    pub arguments: Option<Raw>,
}

/// What surrounds a call.
#[derive(Clone, Debug)]
pub struct Cx {
    /// Who calls, and from where.
    pub caller: Caller,
    /// When the answer stops being useful.
    pub deadline: Instant,
    /// Cancelled when nobody waits for the answer any more.
    pub cancel: CancellationToken,
}

/// How a call ended that did end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The tool has answered.
    Complete(Answer),
}

/// The answer of a tool, ready to be sent.
#[derive(Clone, Debug)]
pub struct Answer {
    /// A `CallToolResult` object without `resultType` and `_meta`, as a client of the current revision reads it:
    /// `structuredContent` may be any JSON value.
    pub result: Raw,
    /// What a client of 2025-11-25 or before gets instead. Those revisions know only objects as `structuredContent`,
    /// so for any other value this is the same answer without it (its JSON is a text block in both). Absent where
    /// `result` is right for everybody, which is nearly always.
    pub legacy: Option<Raw>,
    /// True where the result says `isError`: for counting and logging without reading the result again.
    pub is_error: bool,
}

impl Answer {
    /// The result as a client reads it that speaks 2025-11-25 or before.
    #[must_use]
    pub fn for_legacy(self) -> Raw {
        self.legacy.unwrap_or(self.result)
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No tool has this name (now; the list may have changed since the client read it).
    #[error("unknown tool {0:?}")]
    UnknownTool(String),
    /// The caller went away.
    #[error("the call was cancelled")]
    Cancelled,
    /// The deadline passed.
    #[error("the call took longer than allowed")]
    Timeout,
    /// There is no room to start the call: trying again later may help.
    #[error("too many calls are waiting")]
    Overloaded,
    /// The backend itself failed; the message is for the log, not for the client.
    #[error("{0}")]
    Internal(String),
}

/// What a backend offers, in the order in which it is listed.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub tools: Vec<ToolEntry>,
}

/// One tool in a list.
#[derive(Clone)]
pub struct ToolEntry {
    pub name: Arc<str>,
    /// The tool's definition as `tools/list` shows it.
    pub definition: Raw,
}

impl fmt::Debug for ToolEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolEntry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a backend fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    /// Working, but not as it should; the sentence says what is wrong.
    Degraded(String),
}
