//! What a backend answers.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::protocol::capabilities::CacheScope;
use crate::protocol::raw::Raw;

/// How a call ended that did end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Everything is said.
    Complete(Answer),
    /// The client has to answer questions first, and to call again with the answers. Code that ran before the questions
    /// runs again then.
    NeedInput(Questions),
}

/// A result, ready to be sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The result object without `resultType` and `_meta`, as a client of the current revision reads it:
    /// `structuredContent` may be any JSON value.
    pub result: Raw,
    /// What a client of 2025-11-25 or before gets instead. Those revisions know only objects as `structuredContent`,
    /// so for any other value this is the same answer without it (its JSON is a text block in both). Absent where
    /// `result` is right for everybody, which is nearly always.
    pub legacy: Option<Raw>,
    /// True where the result says `isError`: for counting and logging without reading the result again.
    pub is_error: bool,
    /// How long the result stays true, and for whom. Looked at where the protocol asks for it: when a resource was read.
    pub hints: Option<Hints>,
    /// What lies behind an error, for the log alone.
    pub cause: Option<Arc<str>>,
}

impl Answer {
    /// A result that is right for everybody.
    #[must_use]
    pub fn new(result: Raw) -> Self {
        Self { result, legacy: None, is_error: false, hints: None, cause: None }
    }

    /// A result that says `isError`.
    #[must_use]
    pub fn failed(result: Raw) -> Self {
        Self { is_error: true, ..Self::new(result) }
    }

    /// Something that the caller should read, and perhaps mend: a result of a tool that says `isError`.
    #[must_use]
    pub fn error(message: &str) -> Self {
        Self::failed(Raw::of(&json!({"content": [{"type": "text", "text": message}], "isError": true})))
    }

    #[must_use]
    pub fn with_legacy(mut self, legacy: Option<Raw>) -> Self {
        self.legacy = legacy;
        self
    }

    /// Says what lies behind an error. The log has it, and the client does not.
    #[must_use]
    pub fn with_cause(mut self, cause: Option<Arc<str>>) -> Self {
        self.cause = cause;
        self
    }

    #[must_use]
    pub fn with_hints(mut self, hints: Hints) -> Self {
        self.hints = Some(hints);
        self
    }

    /// The result as a client reads it that speaks 2025-11-25 or before.
    #[must_use]
    pub fn for_legacy(self) -> Raw {
        self.legacy.unwrap_or(self.result)
    }
}

/// How long a result stays true, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints {
    pub ttl_ms: u64,
    /// Absent where everybody may share it who may share the server's lists.
    pub scope: Option<CacheScope>,
}

/// What a client is asked.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// Under keys of the backend's choice, which are the keys of the answers.
    pub requests: Vec<(String, Question)>,
    /// What the backend wants to have back with the answers. It travels sealed: a client can neither read nor alter it.
    pub state: Option<Vec<u8>>,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    pub kind: QuestionKind,
    /// `params` of the request, as the protocol has them for its kind.
    pub params: Raw,
}

/// The kinds of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuestionKind {
    /// `elicitation/create` in form mode: a person fills in a form.
    Form,
    /// `elicitation/create` in URL mode: a person visits a page.
    Url,
    /// `sampling/createMessage`: the client's model says something.
    Sampling,
    /// `roots/list`.
    Roots,
}

impl QuestionKind {
    /// The method of the question.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Form | Self::Url => "elicitation/create",
            Self::Sampling => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }

    /// The capability that a client must have declared, as an object of capabilities.
    #[must_use]
    pub fn capability(self) -> Value {
        match self {
            Self::Form => json!({"elicitation": {"form": {}}}),
            Self::Url => json!({"elicitation": {"url": {}}}),
            Self::Sampling => json!({"sampling": {}}),
            Self::Roots => json!({"roots": {}}),
        }
    }

    /// Whether an object of capabilities has what this kind needs. An empty `elicitation` means forms.
    pub(super) fn is_in(self, capabilities: &Value) -> bool {
        let has = |name: &str| capabilities.get(name).is_some_and(Value::is_object);
        let elicitation = capabilities.get("elicitation").and_then(Value::as_object);
        match self {
            Self::Form => elicitation.is_some_and(|modes| modes.is_empty() || modes.contains_key("form")),
            Self::Url => elicitation.is_some_and(|modes| modes.contains_key("url")),
            Self::Sampling => has("sampling"),
            Self::Roots => has("roots"),
        }
    }
}

impl Question {
    /// Asks a person to fill in a form: a flat JSON Schema of type object says which fields it has.
    #[must_use]
    pub fn form(message: &str, schema: &Value) -> Self {
        let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
        Self::new(QuestionKind::Form, &params)
    }

    /// Asks a person to visit a page: for what must not pass through the client, such as a password. Whoever answers
    /// there must be found to be who calls here.
    #[must_use]
    pub fn url(message: &str, url: &str, id: &str) -> Self {
        let params = json!({"mode": "url", "message": message, "url": url, "elicitationId": id});
        Self::new(QuestionKind::Url, &params)
    }

    /// Asks for the directories that the client works in.
    #[must_use]
    pub fn roots() -> Self {
        Self::new(QuestionKind::Roots, &json!({}))
    }

    #[must_use]
    pub fn new(kind: QuestionKind, params: &impl Serialize) -> Self {
        Self { kind, params: Raw::of(params) }
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There is no such target (now; the list may have changed since the client read it).
    #[error("there is nothing of this name")]
    Unknown,
    /// The arguments do not fit, and the result has no place to say so: of prompts, resources and completions. The
    /// sentence is for the client.
    #[error("{0}")]
    InvalidParams(String),
    /// The client does not declare what the call cannot do without.
    #[error("the client cannot answer what it would be asked")]
    MissingCapability(QuestionKind),
    /// What answers the call broke. What happened was logged, and is for the log alone.
    #[error("the call broke what answers it")]
    Panicked(Arc<str>),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_declared_or_not() {
        for (capabilities, form, url, sampling) in [
            (json!({}), false, false, false),
            (json!({"elicitation": {}}), true, false, false),
            (json!({"elicitation": {"form": {}}}), true, false, false),
            (json!({"elicitation": {"url": {}}, "sampling": {}}), false, true, true),
            (json!({"elicitation": true, "sampling": null}), false, false, false),
        ] {
            let found = [QuestionKind::Form, QuestionKind::Url, QuestionKind::Sampling]
                .map(|kind| kind.is_in(&capabilities));
            assert_eq!(found, [form, url, sampling], "{capabilities}");
        }
        for kind in [QuestionKind::Form, QuestionKind::Url, QuestionKind::Sampling, QuestionKind::Roots] {
            assert!(kind.is_in(&kind.capability()));
        }
    }
}
