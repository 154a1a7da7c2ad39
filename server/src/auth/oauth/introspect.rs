//! Asking the authorization server about a token (RFC 7662).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use moka::sync::Cache;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch};

use crate::auth::fingerprint::Fingerprint;
use crate::auth::metrics::AuthMetrics;
use crate::auth::oauth::breaker::{Breaker, Fault};
use crate::auth::oauth::discovery;
use crate::auth::oauth::fetch::{Bounds, Fetch, FetchError, Trust};
use crate::auth::oauth::keys::Keys;
use crate::auth::oauth::settings::{Introspection, Settings, Timing};

/// Questions that are asked at once.
const MAX_QUESTIONS: usize = 32;
/// Tokens that are remembered for a moment because there was no answer about them.
const MAX_UNANSWERED: u64 = 1000;
/// How often a token without an answer is worth a line in the log.
const NOTICE: Duration = Duration::from_secs(60);
/// The largest answer.
const MAX_ANSWER: usize = 64 * 1024;

/// Why nothing is known of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    #[error("no introspection endpoint is known; set auth.oauth2.introspection.url")]
    NoEndpoint,
    #[error("the introspection endpoint does not answer: {0}")]
    Fetch(FetchError),
    #[error("the introspection endpoint refuses this server's client id and secret (status {0})")]
    Refused(u16),
    #[error("the introspection endpoint answered with status {0}")]
    Status(u16),
    #[error("the answer of the introspection endpoint is none")]
    Shape,
    #[error("the introspection endpoint did not answer a moment ago")]
    Breather,
}

impl Unanswered {
    const fn fault(&self) -> Fault {
        match self {
            Self::Fetch(error) if error.reached => Fault::Token,
            Self::Status(_) | Self::Shape | Self::Breather => Fault::Token,
            Self::NoEndpoint | Self::Fetch(_) | Self::Refused(_) => Fault::Server,
        }
    }
}

/// The claims of an active token; none of an inactive one.
type Answer = Result<Option<Arc<Map<String, Value>>>, Unanswered>;
type Question = Shared<BoxFuture<'static, Answer>>;

/// Asks, once for each token at a time.
#[derive(Debug)]
pub struct Introspector {
    settings: Introspection,
    issuer: String,
    timing: Timing,
    fetch: Arc<dyn Fetch>,
    metrics: Arc<AuthMetrics>,
    keys: Arc<Keys>,
    room: Semaphore,
    asked: Mutex<HashMap<Fingerprint, Question>>,
    /// Why there was no answer about a token a moment ago: it is not asked about again at once.
    unanswered: Cache<Fingerprint, Unanswered>,
    breaker: Breaker,
    /// When a token without an answer was last logged.
    noticed: Mutex<Option<Instant>>,
    trouble: watch::Sender<Option<String>>,
}

impl Introspector {
    /// None where the settings have no introspection.
    #[must_use]
    pub fn new(
        settings: &Settings,
        timing: Timing,
        fetch: Arc<dyn Fetch>,
        metrics: Arc<AuthMetrics>,
        keys: Arc<Keys>,
    ) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            settings: settings.introspection.clone()?,
            issuer: settings.issuer.clone(),
            timing,
            fetch,
            metrics,
            keys,
            room: Semaphore::new(MAX_QUESTIONS),
            asked: Mutex::default(),
            unanswered: Cache::builder().max_capacity(MAX_UNANSWERED).time_to_live(timing.breather).build(),
            breaker: Breaker::default(),
            noticed: Mutex::default(),
            trouble: watch::Sender::new(None),
        }))
    }

    /// Why questions have no answers, while they have none whatever the token.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// What the authorization server says of a token.
    ///
    /// # Errors
    /// Where it cannot be asked, or does not answer in time.
    pub async fn ask(self: &Arc<Self>, token: &str, fingerprint: Fingerprint) -> Answer {
        if let Some(unanswered) = self.unanswered.get(&fingerprint) {
            return Err(unanswered);
        }
        let question = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(question) = asked.get(&fingerprint) {
                question.clone()
            } else {
                let (this, body) = (self.clone(), body(token));
                // A task of its own: the caller may go away, and others may wait for the same answer.
                let task = tokio::spawn(async move {
                    let answer = this.ask_once(body, fingerprint).await;
                    this.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&fingerprint);
                    answer
                });
                let question = task.map(|answer| answer.unwrap_or(Err(Unanswered::Shape))).boxed().shared();
                asked.insert(fingerprint, question.clone());
                question
            }
        };
        question.await
    }

    async fn ask_once(&self, body: Bytes, fingerprint: Fingerprint) -> Answer {
        let answer = match tokio::time::timeout(self.timing.answer, self.room.acquire()).await {
            Ok(Ok(_permit)) if self.breaker.is_open(Instant::now()) => Err(Unanswered::Breather),
            Ok(Ok(_permit)) => self.exchange(body).await,
            _ => Err(Unanswered::Breather),
        };
        let word = match &answer {
            Ok(Some(_)) => "active",
            Ok(None) => "inactive",
            Err(_) => "failure",
        };
        self.metrics.introspections.with_label_values(&[word]).inc();
        match &answer {
            Ok(_) => {
                self.breaker.answered();
                self.trouble.send_if_modified(|trouble| trouble.take().is_some());
            }
            // What failed a moment ago is told already.
            Err(Unanswered::Breather) => {}
            Err(error) => self.failed(error, fingerprint),
        }
        answer
    }

    /// Draws the conclusions from a question without an answer.
    fn failed(&self, error: &Unanswered, fingerprint: Fingerprint) {
        self.unanswered.insert(fingerprint, error.clone());
        let (now, why) = (Instant::now(), error.to_string());
        if self.breaker.failed(fingerprint, error.fault(), now, self.timing.breather) {
            let changed = self.trouble.send_if_modified(|trouble| {
                let changed = trouble.as_ref() != Some(&why);
                *trouble = Some(why.clone());
                changed
            });
            if changed {
                tracing::warn!(trouble = why, issuer = self.issuer, "tokens cannot be introspected");
            }
            return;
        }
        let mut noticed = self.noticed.lock().unwrap_or_else(PoisonError::into_inner);
        if noticed.is_none_or(|before| now.saturating_duration_since(before) >= NOTICE) {
            *noticed = Some(now);
            tracing::warn!(
                why,
                issuer = self.issuer,
                "a token cannot be introspected; its caller is answered with 503, and others are asked about"
            );
        }
    }

    async fn exchange(&self, body: Bytes) -> Answer {
        let (url, trust) = self.endpoint().ok_or(Unanswered::NoEndpoint)?;
        let failed = |_| {
            let message = "the URL cannot be read".to_owned();
            Unanswered::Fetch(FetchError { message, reached: false })
        };
        let request = Request::post(url)
            .header(AUTHORIZATION, self.credentials())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .body(body)
            .map_err(failed)?;
        let bounds = Bounds { trust, body: MAX_ANSWER, time: self.timing.answer };
        let fetched = self.fetch.fetch(request, bounds).await.map_err(Unanswered::Fetch)?;
        match fetched.status.as_u16() {
            200 => {}
            status @ (401 | 403) => return Err(Unanswered::Refused(status)),
            status => return Err(Unanswered::Status(status)),
        }
        let claims: Map<String, Value> =
            serde_json::from_slice(&fetched.body).map_err(|_| Unanswered::Shape)?;
        match claims.get("active").and_then(Value::as_bool) {
            Some(true) => Ok(Some(Arc::new(claims))),
            Some(false) => Ok(None),
            None => Err(Unanswered::Shape),
        }
    }

    fn endpoint(&self) -> Option<(String, Trust)> {
        if let Some(url) = &self.settings.url {
            return Some((url.clone(), Trust::Configured));
        }
        let url = self.keys.discovered()?.introspection_endpoint.clone()?;
        let trust = discovery::trust(&url, &self.issuer);
        Some((url, trust))
    }

    /// Client id and secret, each encoded as in a form first (RFC 6749, section 2.3.1).
    fn credentials(&self) -> HeaderValue {
        let Introspection { client_id, client_secret, .. } = &self.settings;
        let pair = format!("{}:{}", form(client_id), form(client_secret.expose_secret()));
        let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair)))
            .expect("base64 is visible ASCII");
        value.set_sensitive(true);
        value
    }
}

fn body(token: &str) -> Bytes {
    format!("token={}&token_type_hint=access_token", form(token)).into()
}

/// A text as `application/x-www-form-urlencoded` writes it.
fn form(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_written_as_a_form() {
        assert_eq!(&body("a+b/c=~é")[..], b"token=a%2Bb%2Fc%3D%7E%C3%A9&token_type_hint=access_token");
    }
}
