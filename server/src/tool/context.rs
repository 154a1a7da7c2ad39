//! What surrounds a call, for the tool.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::error::ToolError;
use crate::auth::principal::Caller;
use crate::backend::{Cx, LogLevel, Progress, Question, QuestionKind, Questions, Replies};

/// What a tool can know of a call, and say while it works.
#[derive(Clone, Debug)]
pub struct Context {
    cx: Cx,
    /// Answers of the client, of this round and of earlier ones.
    answers: Arc<BTreeMap<String, Value>>,
    memory: Arc<Mutex<Option<Value>>>,
}

/// What travels by way of the client between two rounds.
#[derive(Default, Serialize, Deserialize)]
struct State {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    answers: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<Value>,
}

impl Context {
    pub(crate) fn new(cx: Cx, replies: Option<Box<Replies>>) -> Self {
        let replies = replies.unwrap_or_default();
        // It was sealed by this server; a version that wrote it otherwise asks again.
        let state = replies.state.and_then(|state| serde_json::from_slice(&state).ok());
        let State { mut answers, memory } = state.unwrap_or_default();
        // Answers that are no object answer nothing, and are asked for again.
        let more: Option<BTreeMap<String, Value>> =
            replies.answers.and_then(|raw| serde_json::from_str(raw.as_str()).ok());
        answers.extend(more.unwrap_or_default());
        Self { cx, answers: Arc::new(answers), memory: Arc::new(Mutex::new(memory)) }
    }

    /// Who calls: the id of the key or the subject of the token; none where nobody had to say.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.cx.caller.id()
    }

    /// Who calls, in full, and from where.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.cx.caller
    }

    /// How long the answer is still waited for.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.cx.deadline.saturating_duration_since(Instant::now())
    }

    /// Resolves when nobody waits for the answer any more.
    pub async fn cancelled(&self) {
        self.cx.cancel.cancelled().await;
    }

    /// True when nobody waits for the answer any more, the deadline included.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cx.cancel.is_cancelled() || self.time_left().is_zero()
    }

    /// For loops that compute: gives up when nobody waits for the answer any more.
    ///
    /// # Errors
    /// Then.
    pub fn check(&self) -> Result<(), ToolError> {
        if self.is_cancelled() { Err(ToolError::cancelled()) } else { Ok(()) }
    }

    /// Tells the client how far the work is, if it wants to know. Never waits; what comes too often is left out.
    pub fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        self.cx.events.progress(&Progress { progress, total, message });
    }

    /// Sends the client a log message, if it wants such; the tool must have said that it does so (see
    /// [`crate::server::Builder::log_messages`]). The server's own log is for everything else.
    pub fn log(&self, level: LogLevel, data: &impl Serialize) {
        self.cx.events.log(level, None, data);
    }

    /// Whether the client said that it can answer questions of this kind.
    #[must_use]
    pub fn can_ask(&self, kind: QuestionKind) -> bool {
        self.cx.client.can_be_asked && self.cx.client.declares(kind)
    }

    /// Asks the client, and has its answer once it is there.
    ///
    /// A server that keeps nothing of a call cannot wait inside one. So the first time, this ends the call with the
    /// question; the client calls again with the answer, **the tool runs again from its beginning**, and this time the
    /// answer is here. Code before a question therefore runs more than once: effects belong behind the last question. The
    /// key must be the same each time.
    ///
    /// ```
    /// # use mcp_server::tool::{Context, Question, ToolError};
    /// # use serde_json::json;
    /// fn name(context: &Context) -> Result<String, ToolError> {
    ///     let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    ///     let answer = context.ask("name", Question::form("What is your name?", &schema))?;
    ///     Ok(answer["content"]["name"].as_str().unwrap_or("stranger").to_owned())
    /// }
    /// ```
    ///
    /// # Errors
    /// Where the answer is not there yet. It is meant to be passed on with `?`.
    pub fn ask(&self, key: &str, question: Question) -> Result<Value, ToolError> {
        let mut answers = self.ask_all([(key.to_owned(), question)])?;
        answers.remove(key).ok_or_else(|| ToolError::internal("an answer got lost"))
    }

    /// Asks several questions at once. Those that are not answered are asked again.
    ///
    /// # Errors
    /// Where an answer is not there yet. It is meant to be passed on with `?`.
    pub fn ask_all(
        &self,
        questions: impl IntoIterator<Item = (String, Question)>,
    ) -> Result<BTreeMap<String, Value>, ToolError> {
        let mut answered = BTreeMap::new();
        let mut open = Vec::new();
        for (key, question) in questions {
            match self.answers.get(&key) {
                Some(answer) => drop(answered.insert(key, answer.clone())),
                None => open.push((key, question)),
            }
        }
        if open.is_empty() { Ok(answered) } else { Err(ToolError::asks(self.asking(open))) }
    }

    /// Keeps a value for the next round: it travels by way of the client, sealed, and comes back with the answers.
    ///
    /// # Errors
    /// Where the value is no JSON.
    pub fn remember(&self, value: &impl Serialize) -> Result<(), ToolError> {
        let value = serde_json::to_value(value)?;
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }

    /// What was kept in an earlier round.
    #[must_use]
    pub fn remembered<T: DeserializeOwned>(&self) -> Option<T> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        serde_json::from_value(memory?).ok()
    }

    fn asking(&self, requests: Vec<(String, Question)>) -> Questions {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let nothing = self.answers.is_empty() && memory.is_none();
        let state = State { answers: (*self.answers).clone(), memory };
        let state = (!nothing).then(|| serde_json::to_vec(&state)).and_then(Result::ok);
        Questions { requests, state }
    }
}
