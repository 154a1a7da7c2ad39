//! Telling others: a Prometheus push gateway, and an OpenTelemetry collector. Both may be slow or gone; then what they
//! should have heard is counted as lost, said once in the log, and nothing else happens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::observe::health::Told;
use crate::observe::metrics::Metrics;
use crate::observe::telemetry::send::{Outlook, Sink};
use crate::observe::trace::{Finished, WAITING};
use crate::outbound::Client;

pub use settings::{Otlp, Push, Settings, TelemetryError};

mod encode;
mod send;
mod settings;

/// The most spans in one message, and how long one may wait for others.
const BATCH: usize = 512;
const GATHER: Duration = Duration::from_secs(2);
/// How long the last words may take when the process stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What tells others of this process.
#[derive(Debug)]
pub struct Telemetry {
    settings: watch::Sender<Settings>,
    spans: mpsc::Sender<Finished>,
    metrics: Arc<Metrics>,
    outlook: Outlook,
    stop: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
}

impl Telemetry {
    /// Tells others from now on. Needs a runtime.
    #[must_use]
    pub fn start(settings: Settings, client: &Client, metrics: &Arc<Metrics>) -> Arc<Self> {
        let (spans, waiting) = mpsc::channel(WAITING);
        let (settings, follow) = watch::channel(settings);
        let stop = CancellationToken::new();
        let (sinks, outlook) = send::sinks(client, metrics.registry());
        let started = SystemTime::now();
        let teller = |sink| Teller {
            settings: follow.clone(),
            stop: stop.clone(),
            metrics: metrics.clone(),
            sink,
            started,
        };
        let [push, otlp_metrics, otlp_traces] = sinks;
        let mut tasks = JoinSet::new();
        tasks.spawn(teller(push).push());
        tasks.spawn(teller(otlp_metrics).otlp_metrics());
        tasks.spawn(teller(otlp_traces).otlp_traces(waiting));
        let telemetry =
            Self { settings, spans, metrics: metrics.clone(), outlook, stop, tasks: Mutex::new(tasks) };
        telemetry.trace();
        Arc::new(telemetry)
    }

    /// Goes by other settings from now on.
    pub fn configure(&self, settings: Settings) {
        let changed = self.settings.send_if_modified(|old| {
            let changed = *old != settings;
            *old = settings;
            changed
        });
        if changed {
            self.trace();
        }
    }

    /// What says whether those who are to be told can be told. It holds none of the metrics.
    pub fn told(&self) -> impl Fn() -> Told + Send + Sync + use<> {
        let (settings, outlook) = (self.settings.subscribe(), self.outlook.clone());
        move || match settings.borrow().sinks() {
            sinks if sinks.is_empty() => {
                Told::not_used("neither metrics.pushGateway nor metrics.otlp says where to send")
            }
            sinks => outlook.told(sinks.join(", ")),
        }
    }

    /// Says what is left to say, for at most two seconds.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::warn!("the last metrics and traces could not be sent in time");
        }
        self.metrics.tracer.turn_off();
    }

    fn trace(&self) {
        let ratio = self
            .settings
            .borrow()
            .otlp
            .as_ref()
            .and_then(|otlp| otlp.traces_url.as_ref().map(|_| otlp.sample_ratio));
        match ratio {
            Some(ratio) => self.metrics.tracer.turn_on(self.spans.clone(), ratio),
            None => self.metrics.tracer.turn_off(),
        }
    }
}

/// One who is told, and what of.
struct Teller {
    settings: watch::Receiver<Settings>,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
    sink: Sink,
    started: SystemTime,
}

/// Why a teller goes on.
enum Wake {
    Due,
    Changed,
    Stop,
}

impl Teller {
    async fn push(mut self) {
        loop {
            let push = self.settings.borrow_and_update().push.clone();
            let wake = self.wait(push.as_ref().map(|push| push.interval)).await;
            match (&wake, &push) {
                (Wake::Due | Wake::Stop, Some(push)) => self.push_once(push).await,
                (_, None) => self.sink.idle(),
                (Wake::Changed, _) => {}
            }
            if matches!(wake, Wake::Stop) {
                return;
            }
        }
    }

    async fn push_once(&self, push: &Push) {
        match self.metrics.render() {
            Ok(text) => {
                self.sink.put(&push.url, "text/plain; version=0.0.4; charset=utf-8", text.into()).await;
            }
            Err(error) => tracing::error!(%error, "cannot render the metrics"),
        }
    }

    async fn otlp_metrics(mut self) {
        loop {
            let otlp =
                self.settings.borrow_and_update().otlp.clone().filter(|otlp| otlp.metrics_url.is_some());
            let wake = self.wait(otlp.as_ref().map(|otlp| otlp.interval)).await;
            match (&wake, &otlp) {
                (Wake::Due | Wake::Stop, Some(otlp)) => {
                    let request = encode::metrics(&self.metrics.gather(), &otlp.resource, self.started);
                    let url = otlp.metrics_url.as_deref().unwrap_or_default();
                    self.sink.post(url, &otlp.headers, request.encode_to_vec().into()).await;
                }
                (_, None) => self.sink.idle(),
                (Wake::Changed, _) => {}
            }
            if matches!(wake, Wake::Stop) {
                return;
            }
        }
    }

    async fn otlp_traces(mut self, mut waiting: mpsc::Receiver<Finished>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let otlp =
                self.settings.borrow_and_update().otlp.clone().filter(|otlp| otlp.traces_url.is_some());
            let stopping = tokio::select! {
                _some = waiting.recv_many(&mut batch, BATCH) => {
                    gather(&mut waiting, &mut batch, &self.stop).await;
                    false
                }
                _changed = self.settings.changed() => {
                    if otlp.is_none() {
                        self.sink.idle();
                    }
                    continue;
                }
                () = self.stop.cancelled() => true,
            };
            if stopping {
                while let Ok(span) = waiting.try_recv() {
                    batch.push(span);
                }
            }
            self.send_spans(otlp.as_ref(), &mut batch).await;
            if stopping {
                return;
            }
        }
    }

    async fn send_spans(&self, otlp: Option<&Otlp>, batch: &mut Vec<Finished>) {
        let spans = std::mem::take(batch);
        let Some((otlp, url)) = otlp.and_then(|otlp| Some((otlp, otlp.traces_url.as_deref()?))) else {
            self.metrics.tracer.lost(spans.len());
            return;
        };
        for spans in spans.chunks(BATCH) {
            let body = Bytes::from(encode::spans(spans, &otlp.resource).encode_to_vec());
            if !self.sink.post(url, &otlp.headers, body).await {
                self.metrics.tracer.lost(spans.len());
            }
        }
    }

    /// Waits for the next time; for ever where there is nobody to tell.
    async fn wait(&mut self, interval: Option<Duration>) -> Wake {
        let due = async {
            match interval {
                Some(interval) => tokio::time::sleep(interval).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => Wake::Due,
            // Whoever could change the settings is gone: the process stops.
            changed = self.settings.changed() => if changed.is_ok() { Wake::Changed } else { Wake::Stop },
            () = self.stop.cancelled() => Wake::Stop,
        }
    }
}

/// Waits a while for more spans, so that a message carries many.
async fn gather(waiting: &mut mpsc::Receiver<Finished>, batch: &mut Vec<Finished>, stop: &CancellationToken) {
    let enough = async { while batch.len() < BATCH && waiting.recv_many(batch, BATCH).await > 0 {} };
    tokio::select! {
        () = enough => {}
        () = tokio::time::sleep(GATHER) => {}
        () = stop.cancelled() => {}
    }
}
