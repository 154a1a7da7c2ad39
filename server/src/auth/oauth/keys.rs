//! The keys in force: fetched by one task, whatever callers present, and never more often than allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};

use crate::auth::metrics::AuthMetrics;
use crate::auth::oauth::discovery::{self, Discovered, DiscoveryError};
use crate::auth::oauth::fetch::{Fetch, Trust};
use crate::auth::oauth::jwk::{KeySet, KeySetError};
use crate::auth::oauth::settings::{Settings, Timing};
use crate::reload::chain;

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("the metadata of the authorization server cannot be had")]
    Discovery(#[source] DiscoveryError),
    #[error("the metadata of the authorization server names no keys (jwks_uri); set auth.oauth2.jwksURL")]
    NoKeys,
    #[error("the keys of the authorization server cannot be had")]
    Fetch(#[source] DiscoveryError),
    #[error("the keys of the authorization server cannot be used")]
    Keys(#[source] KeySetError),
}

impl RefreshError {
    /// Whether there are no keys, as opposed to keys that cannot be had.
    fn means_none(&self) -> bool {
        matches!(self, Self::NoKeys | Self::Discovery(DiscoveryError::Status { status: 404, .. }))
    }
}

/// A set of keys and since when it is known to be right.
#[derive(Debug)]
pub struct Current {
    pub keys: KeySet,
    pub fetched: Instant,
    /// Grows whenever a key is taken back: what older keys vouched for has to be looked at again.
    pub generation: u64,
}

/// The keys of one authorization server.
#[derive(Debug)]
pub struct Keys {
    settings: Arc<Settings>,
    timing: Timing,
    fetch: Arc<dyn Fetch>,
    metrics: Arc<AuthMetrics>,
    current: ArcSwapOption<Current>,
    discovered: ArcSwapOption<Discovered>,
    wanted: Notify,
    /// Finished attempts, and when the last one began.
    attempts: watch::Sender<Attempts>,
    running: AtomicBool,
    /// The authorization server has no keys, and makes tokens that only it can read.
    none: AtomicBool,
    /// Why the last attempt failed.
    trouble: watch::Sender<Option<String>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    finished: u64,
    began: Option<Instant>,
}

impl Keys {
    #[must_use]
    pub fn new(
        settings: Arc<Settings>,
        timing: Timing,
        fetch: Arc<dyn Fetch>,
        metrics: Arc<AuthMetrics>,
    ) -> Self {
        Self {
            settings,
            timing,
            fetch,
            metrics,
            current: ArcSwapOption::empty(),
            discovered: ArcSwapOption::empty(),
            wanted: Notify::new(),
            attempts: watch::Sender::new(Attempts::default()),
            running: AtomicBool::new(true),
            none: AtomicBool::new(false),
            trouble: watch::Sender::new(None),
        }
    }

    /// Why keys and metadata are not as they should be.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// What the metadata of the authorization server says, once it was read.
    #[must_use]
    pub fn discovered(&self) -> Option<Arc<Discovered>> {
        self.discovered.load_full()
    }

    /// Whether the authorization server has no keys by design: all its tokens have to be asked about.
    #[must_use]
    pub fn has_none(&self) -> bool {
        self.none.load(Ordering::Relaxed)
    }

    /// The keys in force; none before the first fetch, and none that are too old.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Current>> {
        self.current.load_full().filter(|current| current.fetched.elapsed() < self.timing.max_age)
    }

    /// The generation of the keys in force, without taking hold of them.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        let current = self.current.load();
        let current = current.as_ref().filter(|current| current.fetched.elapsed() < self.timing.max_age)?;
        Some(current.generation)
    }

    /// Waits for a fetch that is under way, or asks for one if that is allowed again. False where there is none to wait
    /// for.
    pub async fn newer(&self) -> bool {
        let mut attempts = self.attempts.subscribe();
        let seen = *attempts.borrow_and_update();
        if !self.running.load(Ordering::Acquire) {
            if seen.began.is_some_and(|began| began.elapsed() < self.timing.floor) {
                return false;
            }
            self.wanted.notify_one();
        }
        // Discovery may ask at three places before the keys are fetched.
        let patience = self.timing.answer * 4;
        let finished = attempts.wait_for(|now| now.finished > seen.finished);
        tokio::time::timeout(patience, finished).await.is_ok_and(|finished| finished.is_ok())
    }

    /// Fetches keys for ever.
    pub async fn run(self: Arc<Self>) {
        let mut pause = self.timing.retry;
        loop {
            let began = Instant::now();
            self.running.store(true, Ordering::Release);
            self.attempts.send_modify(|attempts| attempts.began = Some(began));
            let outcome = self.refresh().await;
            let loaded = outcome.is_ok();
            self.note(outcome);
            let good = loaded || self.has_none();
            self.running.store(false, Ordering::Release);
            self.attempts.send_modify(|attempts| attempts.finished += 1);
            let wait = if good { self.timing.refresh } else { pause };
            pause = if good { self.timing.retry } else { (pause * 2).min(self.timing.floor) };
            let until = tokio::time::Instant::now() + wait;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => break,
                    () = self.wanted.notified() => {
                        // Somebody may have asked while the attempt before was under way.
                        if began.elapsed() >= self.timing.floor {
                            break;
                        }
                    }
                }
            }
        }
    }

    async fn refresh(&self) -> Result<KeySet, RefreshError> {
        let time = self.timing.answer;
        let introspection = self.settings.introspection.as_ref();
        let endpoint_wanted = introspection.is_some_and(|introspection| introspection.url.is_none());
        if self.settings.jwks_url.is_none() || endpoint_wanted {
            match discovery::discover(&self.fetch, &self.settings.issuer, time).await {
                Ok(discovered) => self.discovered.store(Some(Arc::new(discovered))),
                // Where the keys were is where they will be: what has once been discovered is good enough.
                Err(error) if self.discovered.load().is_none() => return Err(RefreshError::Discovery(error)),
                Err(error) => {
                    tracing::debug!(%error, "the metadata of the authorization server is not read again")
                }
            }
        }
        let (url, trust) = match &self.settings.jwks_url {
            Some(url) => (url.clone(), Trust::Configured),
            None => {
                let learned = self.discovered().and_then(|discovered| discovered.jwks_uri.clone());
                let url = learned.ok_or(RefreshError::NoKeys)?;
                let trust = discovery::trust(&url, &self.settings.issuer);
                (url, trust)
            }
        };
        let body = discovery::get(&self.fetch, &url, trust, time).await.map_err(RefreshError::Fetch)?;
        KeySet::parse(&body, &self.settings.algorithms).map_err(RefreshError::Keys)
    }

    fn note(&self, outcome: Result<KeySet, RefreshError>) {
        let word = if outcome.is_ok() { "success" } else { "failure" };
        self.metrics.key_refreshes.with_label_values(&[word]).inc();
        let none =
            self.settings.introspection.is_some() && outcome.as_ref().is_err_and(RefreshError::means_none);
        self.none.store(none, Ordering::Relaxed);
        let trouble = match outcome {
            Err(_) if none => None,
            Ok(keys) => {
                let before = self.current.load_full();
                let generation =
                    before.map_or(0, |before| before.generation + u64::from(!keys.includes(&before.keys)));
                let count = keys.len();
                self.current.store(Some(Arc::new(Current { keys, fetched: Instant::now(), generation })));
                tracing::debug!(
                    keys = count,
                    issuer = self.settings.issuer,
                    "the keys of the authorization server are read"
                );
                None
            }
            Err(error) => Some(chain(&error)),
        };
        // Each change is told once, not each attempt.
        let changed = self.trouble.send_if_modified(|now| {
            let changed = *now != trouble;
            now.clone_from(&trouble);
            changed
        });
        match (changed, trouble) {
            (true, Some(trouble)) => {
                let kept = self.current().is_some();
                tracing::warn!(
                    trouble,
                    issuer = self.settings.issuer,
                    kept,
                    "tokens may soon not be verified; trying again"
                );
            }
            (true, None) => tracing::info!(issuer = self.settings.issuer, "tokens can be verified again"),
            (false, _) => {}
        }
    }
}
