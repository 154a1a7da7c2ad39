//! What is asked of a backend, and what surrounds it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CallError, Events, QuestionKind};
use crate::auth::principal::Caller;
use crate::protocol::raw::Raw;

/// One call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    pub target: Target,
    /// `params.arguments`, unparsed; absent where the client sent none. Anything but an object is refused by the backend.
    pub arguments: Option<Raw>,
    /// Present where the client repeats a call with answers to the questions that it was asked.
    pub replies: Option<Box<Replies>>,
}

/// What a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// `tools/call`, by name.
    Tool(Arc<str>),
    /// `prompts/get`, by name.
    Prompt(Arc<str>),
    /// `resources/read`, by URI.
    Resource(Arc<str>),
    /// `completion/complete`.
    Completion(Box<Completion>),
}

/// What a person is typing, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub reference: Reference,
    /// Name of the prompt's argument or of the template's variable.
    pub argument: String,
    /// What was typed of it so far.
    pub value: String,
    /// `params.context`, unparsed: arguments that are settled already.
    pub context: Option<Raw>,
}

/// What an argument belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A prompt, by name.
    Prompt(Arc<str>),
    /// A resource template, by its URI template.
    Template(Arc<str>),
}

/// Answers to the questions of an earlier round.
#[derive(Clone, Debug, Default)]
pub struct Replies {
    /// `params.inputResponses`, unparsed: an object with one member for each answered question.
    pub answers: Option<Raw>,
    /// What the backend asked to have back, as it was: whoever altered it was refused.
    pub state: Option<Vec<u8>>,
}

impl Call {
    #[must_use]
    pub fn new(target: Target, arguments: Option<Raw>) -> Self {
        Self { target, arguments, replies: None }
    }

    /// A call of a tool.
    #[must_use]
    pub fn tool(name: impl Into<Arc<str>>, arguments: Option<Raw>) -> Self {
        Self::new(Target::Tool(name.into()), arguments)
    }

    #[must_use]
    pub fn with_replies(mut self, replies: Option<Box<Replies>>) -> Self {
        self.replies = replies;
        self
    }
}

impl Target {
    /// The tool that is called, where it is one.
    #[must_use]
    pub fn as_tool(&self) -> Option<&Arc<str>> {
        match self {
            Self::Tool(name) => Some(name),
            _ => None,
        }
    }

    /// What it is, for people.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tool(_) => "tool",
            Self::Prompt(_) => "prompt",
            Self::Resource(_) => "resource",
            Self::Completion(_) => "completion",
        }
    }

    /// Name or URI.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Tool(name) | Self::Prompt(name) | Self::Resource(name) => name,
            Self::Completion(completion) => match &completion.reference {
                Reference::Prompt(name) | Reference::Template(name) => name,
            },
        }
    }
}

/// What surrounds a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cx {
    /// Who calls, and from where.
    pub caller: Caller,
    /// What the client can do.
    pub client: Client,
    /// When the answer stops being useful.
    pub deadline: Instant,
    /// Cancelled when nobody waits for the answer any more. Whoever heard of it has a second to tidy up.
    pub cancel: CancellationToken,
    /// What can be told of the call while it goes on.
    pub events: Events,
    /// Present where the request is part of a trace.
    pub trace: Option<Arc<Trace>>,
    /// Present where the call itself takes no room: whoever makes one request of several calls takes room for that.
    pub room: Option<Arc<dyn Room>>,
}

/// Room for one request to somebody else, among all that this server does at once.
pub trait Room: fmt::Debug + Send + Sync {
    /// Waits for room, until `until` at most. It is given back when what this returns is dropped.
    ///
    /// # Errors
    /// Where there is none, and will be none in time.
    fn take(self: Arc<Self>, until: Instant) -> BoxFuture<'static, Result<Taken, CallError>>;
}

/// Room that is taken.
pub type Taken = Box<dyn Any + Send>;

impl Cx {
    /// The surroundings of a call whose client can do nothing special and hears of nothing but the answer.
    #[must_use]
    pub fn new(caller: Caller, deadline: Instant, cancel: CancellationToken) -> Self {
        Self {
            caller,
            client: Client::default(),
            deadline,
            cancel,
            events: Events::default(),
            trace: None,
            room: None,
        }
    }
}

/// The program that calls, as it describes itself.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// True where a call can be answered with questions: older revisions would need a session for that.
    pub can_be_asked: bool,
    capabilities: Option<Raw>,
}

impl Client {
    /// A client with these capabilities: a JSON object as the protocol has it.
    #[must_use]
    pub fn new(can_be_asked: bool, capabilities: Option<Raw>) -> Self {
        Self { can_be_asked, capabilities }
    }

    /// Whether the client said that it can answer questions of this kind.
    #[must_use]
    pub fn declares(&self, kind: QuestionKind) -> bool {
        let Some(capabilities) = &self.capabilities else { return false };
        let Ok(capabilities) = serde_json::from_str::<Value>(capabilities.as_str()) else { return false };
        kind.is_in(&capabilities)
    }
}

/// Where a request stands in a trace (W3C Trace Context), as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// `traceparent`.
    pub parent: String,
    /// `tracestate`.
    pub state: Option<String>,
}
