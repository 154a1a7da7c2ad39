//! The seam between the dispatcher and whatever really does the work.
//!
//! A [`Backend`] knows tools, prompts and resources, and how to come by them. It knows nothing of HTTP, keys or limits:
//! those are settled before a call arrives here, and what it answers is shaped for the client afterwards.

use std::any::Any;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::observe::logs;

mod call;
mod catalogue;
pub mod content;
mod events;
mod outcome;
pub mod program;
pub mod router;
pub mod tools;

pub use call::{Call, Client, Completion, Cx, Reference, Replies, Room, Taken, Target, Trace};
pub use catalogue::{Catalogue, Entry, ResourceEntry, TemplateEntry};
pub use events::{Events, LogLevel, NOTICES, Progress};
pub use outcome::{Answer, CallError, Hints, Outcome, Question, QuestionKind, Questions};

/// Something that offers tools, prompts or resources: those of the configuration, those of the program that this
/// library is part of, or a program behind the server.
pub trait Backend: Send + Sync + 'static {
    /// Answers a call. Never blocks the thread that polls it; ends soon after the deadline or a cancellation.
    ///
    /// An error that a *tool* makes, bad arguments included, is an `Ok` whose result says `isError`: a model can read
    /// it and mend its call. `Err` is for calls that nobody ever saw the end of.
    fn call(self: Arc<Self>, call: Call, cx: Cx) -> BoxFuture<'static, Result<Outcome, CallError>>;

    /// What can be called. A new value means that a list changed (`notifications/tools/list_changed` and its like).
    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>>;

    /// How the backend fares.
    fn health(&self) -> watch::Receiver<Health>;

    /// Resolves when no call is in flight any more, at the latest at `until`. Calls that come meanwhile are served.
    fn drain(&self, until: Instant) -> BoxFuture<'_, ()>;
}

/// Logs what a panic said, and returns it. Callers are told only that something broke.
pub(crate) fn tell_of_panic(panic: &(dyn Any + Send)) -> Arc<str> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let exception = logs::exception(text.unwrap_or("not a text"));
    tracing::error!(exception = &*exception, "a tool panicked");
    exception.into()
}

/// How a backend fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    /// Working, but not as it should; the sentence says what is wrong.
    Degraded(String),
}
