//! What can be told of a call while it goes on: progress, where the client asked for it, and log messages.
//!
//! Telling never waits. What a client takes too slowly, or is told too often, is left out: the next progress says the
//! same and more. Changes of lists are not told here but by [`super::Backend::catalogue`], since they concern everybody.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use crate::protocol::answer::Message;
use crate::protocol::raw::Raw;

/// Notices that may wait for the client of one call.
pub const NOTICES: usize = 64;

/// Notices of one kind that a call may send at once, and how long it takes until there may be one more.
const BURST: u32 = 20;
const PACE: Duration = Duration::from_millis(50);

/// Tells the client of one call what happens. Cheap to clone; does nothing where nobody wants to know.
#[derive(Clone, Debug, Default)]
pub struct Events(Option<Arc<Listener>>);

#[derive(Debug)]
struct Listener {
    /// JSON text: what the client calls this call's progress.
    token: Option<Raw>,
    /// Log messages from here on upwards.
    level: Option<LogLevel>,
    to: Sender<Message>,
    sent: Mutex<Sent>,
}

/// What was sent already.
#[derive(Debug)]
struct Sent {
    progress: f64,
    progress_pace: Pace,
    log_pace: Pace,
}

/// How much of something was done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Progress<'a> {
    /// Larger each time; what is not is left out.
    pub progress: f64,
    /// What `progress` comes to at the end, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}

/// Levels of log messages, from RFC 5424.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl LogLevel {
    /// The level of this name in the protocol.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Some(match name {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "notice" => Self::Notice,
            "warning" => Self::Warning,
            "error" => Self::Error,
            "critical" => Self::Critical,
            "alert" => Self::Alert,
            "emergency" => Self::Emergency,
            _ => return None,
        })
    }
}

impl Events {
    /// Tells of progress under this token (JSON text), and of log messages from this level on, where there are such.
    #[must_use]
    pub fn new(to: Sender<Message>, token: Option<Raw>, level: Option<LogLevel>) -> Self {
        if token.is_none() && level.is_none() {
            return Self::default();
        }
        let sent = Sent { progress: f64::NEG_INFINITY, progress_pace: Pace::new(), log_pace: Pace::new() };
        Self(Some(Arc::new(Listener { token, level, to, sent: Mutex::new(sent) })))
    }

    /// Whether anybody wants to know of progress: what is costly to find out need not be found out otherwise.
    #[must_use]
    pub fn wants_progress(&self) -> bool {
        self.0.as_ref().is_some_and(|listener| listener.token.is_some())
    }

    /// Tells how much was done.
    pub fn progress(&self, progress: &Progress<'_>) {
        let Some(listener) = self.0.as_deref() else { return };
        let Some(token) = &listener.token else { return };
        let finished = progress.total.is_some_and(|total| progress.progress >= total);
        let mut sent = listener.sent.lock().unwrap_or_else(PoisonError::into_inner);
        // NaN is not larger than anything.
        if !progress.progress.is_finite() || progress.progress <= sent.progress {
            return;
        }
        // The last word is worth saying, however soon it comes.
        if !sent.progress_pace.permits() && !finished {
            return;
        }
        let body = Raw::of(progress);
        let params = &body.as_str()[1..];
        let token = token.as_str();
        let notice = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},{params}}}"#
        );
        // While it is locked, so that what is larger is not overtaken.
        if listener.to.try_send(Message::whole(notice.into())).is_ok() {
            sent.progress = progress.progress;
        }
    }

    /// Sends a log message, where the client wants such.
    pub fn log(&self, level: LogLevel, logger: Option<&str>, data: &impl Serialize) {
        #[derive(Serialize)]
        struct Params<'a, T> {
            level: LogLevel,
            #[serde(skip_serializing_if = "Option::is_none")]
            logger: Option<&'a str>,
            data: &'a T,
        }
        let Some(listener) = self.0.as_deref() else { return };
        if listener.level.is_none_or(|least| level < least) {
            return;
        }
        // Data of a type that is no JSON says nothing to a client.
        let Ok(params) = serde_json::to_string(&Params { level, logger, data }) else { return };
        let mut sent = listener.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if !sent.log_pace.permits() {
            return;
        }
        let notice = format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{params}}}"#);
        // A client that does not take them in time misses some.
        let _full = listener.to.try_send(Message::whole(notice.into()));
    }
}

/// How often something may happen.
#[derive(Debug)]
struct Pace {
    left: u32,
    since: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { left: BURST, since: Instant::now() }
    }

    fn permits(&mut self) -> bool {
        let elapsed = self.since.elapsed();
        let more = u32::try_from(elapsed.as_millis() / PACE.as_millis()).unwrap_or(BURST);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.since += PACE * more;
        }
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    fn read(message: &Message) -> Value {
        serde_json::from_slice(&message.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn progress_only_grows_and_is_not_told_too_often() {
        let (to, mut told) = mpsc::channel(NOTICES);
        let events = Events::new(to, Some(Raw::of(&"t")), None);
        let say = |progress| events.progress(&Progress { progress, total: Some(100.0), message: None });
        for progress in [1.0, 1.0, 0.5, f64::NAN, 2.0] {
            say(progress);
        }
        let first = read(&told.recv().await.unwrap());
        assert_eq!(first["params"], json!({"progressToken": "t", "progress": 1.0, "total": 100.0}));
        assert_eq!(read(&told.recv().await.unwrap())["params"]["progress"], 2.0);
        (0..1000).for_each(|n| say(3.0 + f64::from(n) / 100.0));
        say(100.0);
        let mut last = 2.0;
        let mut count = 0;
        while let Ok(message) = told.try_recv() {
            let progress = read(&message)["params"]["progress"].as_f64().unwrap();
            assert!(progress > last);
            (last, count) = (progress, count + 1);
        }
        assert!((last - 100.0).abs() < 1e-9 && count < 60, "{count} up to {last}");
        events.log(LogLevel::Emergency, None, &"nobody asked for messages");
        assert!(told.try_recv().is_err());
    }

    #[tokio::test]
    async fn messages_below_the_level_and_to_nobody_are_left_out() {
        let (to, mut told) = mpsc::channel(NOTICES);
        let events = Events::new(to, None, Some(LogLevel::Warning));
        events.log(LogLevel::Notice, None, &1);
        events.log(LogLevel::Error, Some("x"), &json!({"a": 1}));
        events.progress(&Progress { progress: 1.0, ..Progress::default() });
        let message = read(&told.recv().await.unwrap());
        assert_eq!(message["method"], "notifications/message");
        assert_eq!(message["params"], json!({"level": "error", "logger": "x", "data": {"a": 1}}));
        assert!(told.try_recv().is_err());
        assert!(!Events::default().wants_progress());
        Events::default().log(LogLevel::Error, None, &1);
    }
}
