//! What can go wrong while reconciling, and what each failure means: a reason for people and metrics, and when to try again.
//!
//! kube's own errors stop here: their text repeats the server's answer two or three times, so that they are turned into
//! a code, a reason and one sentence where the call is made.

use std::time::Duration;

use kube::core::Status;
use kube::core::error_boundary::InvalidObject;

/// Longest text of the API server that is passed on, in bytes: conditions and events are bounded.
const LONGEST_MESSAGE: usize = 512;

/// A failure of one reconcile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server answered with a failure.
    #[error("failed to {what}: {message} (HTTP {code})")]
    Api {
        /// What was being done, as an infinitive: `apply Deployment shop/hello`.
        what: String,
        /// The HTTP status.
        code: u16,
        /// The server's machine-readable reason, as in `Forbidden`.
        reason: String,
        /// The server's sentence.
        message: String,
        /// How long the server asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The API server could not be reached, or its answer could not be read.
    #[error("failed to {what}: {message}")]
    Transport {
        /// What was being done, as an infinitive.
        what: String,
        /// The cause, all its sources included (kube's errors carry them in their own text).
        message: String,
    },
    /// A watch has not delivered its first list, so that a decision would rest on nothing.
    #[error("waiting for the first list of {kind}{}", because.as_ref().map(|b| format!(": {b}")).unwrap_or_default())]
    NotSynced {
        /// The kind whose list is missing.
        kind: &'static str,
        /// The last error of that watch.
        because: Option<String>,
    },
    /// The whole reconcile took too long.
    #[error("the reconcile did not finish within {} s", limit.as_secs())]
    Deadline {
        /// The limit that passed.
        limit: Duration,
    },
    /// The reconcile panicked: a mistake in the operator.
    #[error("the reconcile panicked: {message}")]
    Panicked {
        /// The text of the panic.
        message: String,
    },
    /// The system has no randomness to make a key of.
    #[error("failed to generate an API key: the system gives no random bytes")]
    Random,
    /// A child could not be turned into the JSON that is sent.
    #[error("failed to encode {what}")]
    Encode {
        /// What was being encoded.
        what: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

/// The class of a failure: the label of the metric and the reason of the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A quota or a limit range refused an object.
    Quota,
    /// The operator's role lacks a right.
    Forbidden,
    /// The API server, or an admission webhook, refused an object.
    Rejected,
    /// A write met a newer version.
    Conflict,
    /// The API server is away, slow or overloaded.
    Unavailable,
    /// The namespace is being deleted.
    Terminating,
    /// A watch has not started yet.
    NotSynced,
    /// The deadline passed.
    Deadline,
    /// A panic.
    Panic,
    /// Anything else that is the operator's own doing.
    Internal,
}

impl Reason {
    /// The word used in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quota => "Quota",
            Self::Forbidden => "Forbidden",
            Self::Rejected => "Rejected",
            Self::Conflict => "Conflict",
            Self::Unavailable => "Unavailable",
            Self::Terminating => "Terminating",
            Self::NotSynced => "NotSynced",
            Self::Deadline => "Deadline",
            Self::Panic => "Panic",
            Self::Internal => "Internal",
        }
    }
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Longer and longer waits, with jitter.
    Backoff,
    /// As [`Retry::Backoff`], but not before this time has passed.
    NotBefore(Duration),
    /// After exactly this time: the cause is known to pass soon.
    Soon(Duration),
}

impl Error {
    /// Turns an error of kube into ours; `what` is an infinitive with the object's kind, namespace and name.
    pub fn api(what: impl Into<String>, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Api {
                what: what.into(),
                code: status.code,
                message: shorten(&status.message),
                retry_after: retry_after(&status),
                reason: status.reason.clone(),
            },
            other => Self::Transport { what: what.into(), message: shorten(&other.to_string()) },
        }
    }

    /// An answer that is not what its kind says; `what` as for [`Error::api`].
    pub fn unreadable(what: impl Into<String>, object: &InvalidObject) -> Self {
        Self::Transport {
            what: what.into(),
            message: shorten(&format!("the answer cannot be read: {object}")),
        }
    }

    /// The class of this failure.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Api { code, message, .. } => match code {
                // The end of a namespace is no missing right: the resource is about to go, too.
                403 if message.contains("is being terminated") => Reason::Terminating,
                403 if message.contains("exceeded quota") || message.contains("LimitRange") => Reason::Quota,
                400 | 403
                    if message.contains("admission webhook") || message.contains("violates PodSecurity") =>
                {
                    Reason::Rejected
                }
                401 | 403 => Reason::Forbidden,
                409 => Reason::Conflict,
                400 | 405 | 406 | 413 | 415 | 422 => Reason::Rejected,
                404 | 408 | 410 | 429 | 500..=599 => Reason::Unavailable,
                _ => Reason::Internal,
            },
            Self::Transport { .. } => Reason::Unavailable,
            Self::NotSynced { .. } => Reason::NotSynced,
            Self::Deadline { .. } => Reason::Deadline,
            Self::Panicked { .. } => Reason::Panic,
            Self::Random | Self::Encode { .. } => Reason::Internal,
        }
    }

    /// When to try again after this failure.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Api { retry_after: Some(wait), .. } => Retry::NotBefore(*wait),
            Self::NotSynced { .. } => Retry::Soon(Duration::from_secs(2)),
            Self::Api { retry_after: None, .. }
            | Self::Transport { .. }
            | Self::Deadline { .. }
            | Self::Panicked { .. }
            | Self::Random
            | Self::Encode { .. } => Retry::Backoff,
        }
    }

    /// The same failure with another sentence of the API server's.
    #[must_use]
    pub fn reworded(self, reword: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Api { what, code, reason, message, retry_after } => {
                Self::Api { message: reword(&message), what, code, reason, retry_after }
            }
            other => other,
        }
    }

    /// The HTTP status, when the server answered.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Api { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the object that was spoken of is not there.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }
}

fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}

/// At most [`LONGEST_MESSAGE`] bytes of a text, cut at a character.
pub fn shorten(text: &str) -> String {
    if text.len() <= LONGEST_MESSAGE {
        return text.to_owned();
    }
    let mut end = LONGEST_MESSAGE;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, message: &str) -> Error {
        let status = Status { code, message: message.to_owned(), ..Status::default() };
        Error::api("apply Deployment shop/hello", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_failure_names_what_was_done_and_says_the_servers_sentence_once() {
        let error = api(422, "spec.replicas: Invalid value: -1");
        assert_eq!(
            error.to_string(),
            "failed to apply Deployment shop/hello: spec.replicas: Invalid value: -1 (HTTP 422)"
        );
    }

    #[test]
    fn every_answer_has_a_reason() {
        for (code, message, reason) in [
            (403, "deployments.apps is forbidden: User \"x\" cannot patch", Reason::Forbidden),
            (403, "pods \"a\" is forbidden: exceeded quota: small", Reason::Quota),
            (400, "admission webhook \"policy.example.com\" denied the request", Reason::Rejected),
            (422, "is invalid", Reason::Rejected),
            (
                403,
                "unable to create new content in namespace x because it is being terminated",
                Reason::Terminating,
            ),
            (409, "the object has been modified", Reason::Conflict),
            (429, "too many requests", Reason::Unavailable),
            (503, "apiserver is shutting down", Reason::Unavailable),
            (418, "teapot", Reason::Internal),
        ] {
            assert_eq!(api(code, message).reason(), reason, "{code} {message}");
        }
    }

    #[test]
    fn the_servers_wish_to_be_left_alone_is_kept() {
        let status: Status =
            serde_json::from_value(serde_json::json!({"code": 429, "details": {"retryAfterSeconds": 5}}))
                .unwrap();
        let error = Error::api("list Pods", kube::Error::Api(Box::new(status)));
        assert_eq!(error.retry(), Retry::NotBefore(Duration::from_secs(5)));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "é".repeat(600);
        let short = shorten(&text);
        assert!(short.len() <= LONGEST_MESSAGE + '…'.len_utf8());
        assert!(short.ends_with('…'));
    }
}
