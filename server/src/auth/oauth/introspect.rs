//! Asking the authorization server about a token (RFC 7662).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch};

use crate::auth::fingerprint::Fingerprint;
use crate::auth::metrics::AuthMetrics;
use crate::auth::oauth::discovery;
use crate::auth::oauth::fetch::{Bounds, Fetch, FetchError, Trust};
use crate::auth::oauth::keys::Keys;
use crate::auth::oauth::settings::{Introspection, Settings, Timing};

/// Questions that are asked at once.
const MAX_QUESTIONS: usize = 32;
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
    started: Instant,
    /// Milliseconds after `started` until which nothing is asked.
    silent_until: AtomicU64,
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
            started: Instant::now(),
            silent_until: AtomicU64::new(0),
            trouble: watch::Sender::new(None),
        }))
    }

    /// Why the last question had no answer.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// What the authorization server says of a token.
    ///
    /// # Errors
    /// Where it cannot be asked, or does not answer in time.
    pub async fn ask(self: &Arc<Self>, token: &str, fingerprint: Fingerprint) -> Answer {
        let question = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(question) = asked.get(&fingerprint) {
                question.clone()
            } else {
                let (this, body) = (self.clone(), body(token));
                // A task of its own: the caller may go away, and others may wait for the same answer.
                let task = tokio::spawn(async move {
                    let answer = this.ask_once(body).await;
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

    async fn ask_once(&self, body: Bytes) -> Answer {
        let answer = match tokio::time::timeout(self.timing.answer, self.room.acquire()).await {
            Ok(Ok(_permit)) if self.now() < self.silent_until.load(Ordering::Relaxed) => {
                Err(Unanswered::Breather)
            }
            Ok(Ok(_permit)) => self.exchange(body).await,
            _ => Err(Unanswered::Breather),
        };
        let word = match &answer {
            Ok(Some(_)) => "active",
            Ok(None) => "inactive",
            Err(_) => "failure",
        };
        self.metrics.introspections.with_label_values(&[word]).inc();
        let trouble = match &answer {
            Ok(_) => None,
            // What failed a moment ago is told already.
            Err(Unanswered::Breather) => return answer,
            Err(error) => {
                let until = self.now() + u64::try_from(self.timing.breather.as_millis()).unwrap_or(u64::MAX);
                self.silent_until.store(until, Ordering::Relaxed);
                Some(error.to_string())
            }
        };
        let changed = self.trouble.send_if_modified(|now| {
            let changed = *now != trouble;
            now.clone_from(&trouble);
            changed
        });
        if let (true, Some(trouble)) = (changed, trouble) {
            tracing::warn!(trouble, issuer = self.issuer, "tokens cannot be introspected");
        }
        answer
    }

    async fn exchange(&self, body: Bytes) -> Answer {
        let (url, trust) = self.endpoint().ok_or(Unanswered::NoEndpoint)?;
        let failed = |_| Unanswered::Fetch(FetchError("the URL cannot be read".to_owned()));
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

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
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
