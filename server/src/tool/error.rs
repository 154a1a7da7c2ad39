//! Why a tool did not do what it was asked.

use std::sync::Arc;

use crate::backend::{CallError, QuestionKind, Questions};
use crate::reload::chain;

/// What keeps a tool from a result. Nearly always a sentence for the model, which can read it and call again.
///
/// Not an error of the standard library's kind itself, so that every one of those becomes one by `?`.
#[derive(Debug)]
pub struct ToolError(pub(super) Cause);

#[derive(Debug)]
pub(super) enum Cause {
    /// Told in a result that says `isError`, with what lies behind it, which only the log has.
    Message(String, Option<Arc<str>>),
    /// The client has to answer first.
    Asks(Questions),
    /// Told as an error of the protocol.
    Call(CallError),
}

impl ToolError {
    /// A sentence for the model: what is wrong, and what to do about it.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(Cause::Message(message.into(), None))
    }

    /// Nobody waits for the answer any more.
    #[must_use]
    pub fn cancelled() -> Self {
        Self(Cause::Call(CallError::Cancelled))
    }

    /// The client cannot answer questions of a kind that the tool cannot do without.
    #[must_use]
    pub fn needs(kind: QuestionKind) -> Self {
        Self(Cause::Call(CallError::MissingCapability(kind)))
    }

    /// A failure that is no business of the model's: the message goes to the log.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self(Cause::Call(CallError::Internal(message.into())))
    }

    pub(super) fn asks(questions: Questions) -> Self {
        Self(Cause::Asks(questions))
    }
}

impl<E: std::error::Error> From<E> for ToolError {
    fn from(error: E) -> Self {
        let cause = error.source().map(|cause| chain(cause).into());
        Self(Cause::Message(error.to_string(), cause))
    }
}
