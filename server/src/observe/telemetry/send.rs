//! Sending, and keeping account of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::backend::Health;
use crate::observe::health::Told;
use crate::outbound::{Client, Guard, Terms};
use crate::reload::chain;

/// How long one message may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Nobody has much to say in return.
const MOST_ANSWER: usize = 64 << 10;

const NAMES: &str = "metric names and labels are constants, and distinct";
const SINKS: [&str; 3] = ["push_gateway", "otlp_metrics", "otlp_traces"];

/// One who is told.
#[derive(Debug)]
pub(super) struct Sink {
    name: &'static str,
    client: Client,
    sent: IntCounter,
    failed: IntCounter,
    /// What is wrong with each sink just now.
    troubles: Arc<Troubles>,
}

#[derive(Debug)]
struct Troubles {
    now: Mutex<Vec<(&'static str, String)>>,
    health: watch::Sender<Health>,
}

/// How all sinks fare together.
#[derive(Clone, Debug)]
pub(super) struct Outlook {
    health: watch::Receiver<Health>,
    sent: [IntCounter; 3],
}

impl Outlook {
    /// As `to` says while nothing is wrong and something was sent.
    pub(super) fn told(&self, to: String) -> Told {
        match &*self.health.borrow() {
            Health::Degraded(why) => Told::unhealthy(why.as_str()),
            Health::Healthy if self.sent.iter().all(|sent| sent.get() == 0) => {
                Told::unknown(format!("{to}; nothing was sent yet"))
            }
            Health::Healthy => Told::healthy(to),
        }
    }
}

/// All sinks, and how they fare together.
pub(super) fn sinks(client: &Client, registry: &Registry) -> ([Sink; 3], Outlook) {
    let messages = IntCounterVec::new(
        Opts::new(
            "mcp_server_telemetry_exports_total",
            "Messages to a push gateway or an OpenTelemetry collector, by sink and outcome",
        ),
        &["sink", "outcome"],
    )
    .expect(NAMES);
    registry.register(Box::new(messages.clone())).expect(NAMES);
    let (tell, health) = watch::channel(Health::Healthy);
    let troubles = Arc::new(Troubles { now: Mutex::default(), health: tell });
    let sink = |name| Sink {
        name,
        client: client.clone(),
        sent: messages.with_label_values(&[name, "success"]),
        failed: messages.with_label_values(&[name, "failure"]),
        troubles: troubles.clone(),
    };
    let sinks = SINKS.map(sink);
    let sent = [0, 1, 2].map(|index: usize| sinks[index].sent.clone());
    (sinks, Outlook { health, sent })
}

impl Sink {
    /// Replaces what a push gateway holds of this process. True where it took it.
    pub(super) async fn put(&self, url: &str, media_type: &'static str, body: Bytes) -> bool {
        self.send(Method::PUT, url, media_type, &HeaderMap::new(), body).await
    }

    /// Sends a message in protobuf. True where it was taken.
    pub(super) async fn post(&self, url: &str, headers: &HeaderMap, body: Bytes) -> bool {
        self.send(Method::POST, url, "application/x-protobuf", headers, body).await
    }

    /// Nobody is to be told any more: nothing is wrong with that.
    pub(super) fn idle(&self) {
        self.troubles.change(self.name, None);
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        media_type: &'static str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> bool {
        let outcome = self.exchange(method, url, media_type, headers, body).await;
        let was_failing = self.troubles.change(self.name, outcome.as_ref().err().cloned());
        match outcome {
            Ok(()) => {
                self.sent.inc();
                if was_failing {
                    tracing::info!(sink = self.name, "takes what is sent again");
                }
                true
            }
            Err(error) => {
                self.failed.inc();
                if !was_failing {
                    tracing::warn!(sink = self.name, error, "cannot send; further failures are only counted");
                }
                false
            }
        }
    }

    async fn exchange(
        &self,
        method: Method,
        url: &str,
        media_type: &'static str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(), String> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = url.parse().map_err(|_| "the URL cannot be read".to_owned())?;
        *request.headers_mut() = headers.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let terms = Terms::new(Guard::Configured, MOST_ANSWER, Instant::now() + TIMEOUT);
        let response = self.client.send(request, terms).await.map_err(|error| chain(&error))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("the answer was {status}")) }
    }
}

impl Troubles {
    /// Notes what is wrong with a sink now; true where something was before.
    fn change(&self, sink: &'static str, trouble: Option<String>) -> bool {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let before = now.len();
        now.retain(|(name, _)| *name != sink);
        let was_failing = now.len() < before;
        now.extend(trouble.map(|trouble| (sink, trouble)));
        let all: Vec<_> = now.iter().map(|(sink, trouble)| format!("{sink}: {trouble}")).collect();
        self.health.send_if_modified(|health| {
            let new = if all.is_empty() { Health::Healthy } else { Health::Degraded(all.join("; ")) };
            let changed = *health != new;
            *health = new;
            changed
        });
        was_failing
    }
}
