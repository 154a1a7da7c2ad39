//! Tokens of an authorization server: an OAuth 2.1 resource server.
//!
//! A token that was found good is remembered by its digest until it expires: after that a request costs one digest and
//! one look. What cannot be decided, because the authorization server cannot be asked, lets nobody in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use moka::sync::Cache;
use tokio::task::JoinHandle;

use crate::auth::fingerprint::Fingerprint;
use crate::auth::metrics::AuthMetrics;
use crate::auth::principal::Principal;
use crate::observe::health::Told;

mod breaker;
pub mod claims;
pub mod discovery;
pub mod fetch;
pub mod introspect;
pub mod jwk;
pub mod keys;
pub mod metadata;
mod outbound;

pub mod settings;
pub mod token;

use fetch::Fetch;
use introspect::Introspector;
use keys::Keys;
use settings::{Settings, Timing};
use token::{Jwt, Source, Vouched};

/// Bytes of tokens and their claims that are remembered.
const MEMORY: u64 = 16 << 20;
/// Answers that a token is not active.
const MAX_INACTIVE: u64 = 10_000;
/// How long a token is remembered that nobody shows.
const IDLE: Duration = Duration::from_secs(900);
/// Tokens that are known to have been good within the last hour, and for how long that is known.
const MAX_PROVEN: u64 = 16_384;
const PROVEN: Duration = Duration::from_secs(3600);

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// No token, or one with extensions that are not understood.
    Shape,
    /// Signed with an algorithm that is not accepted, or not at all.
    Algorithm,
    /// Signed with a key that the authorization server does not have.
    UnknownKey,
    Signature,
    Issuer,
    Audience,
    /// Made for a client that logs a user in (OpenID Connect), and not for calling a server.
    IdToken,
    /// Does not say that it is an access token, where only that tells it from an ID token.
    Untyped,
    Expired,
    NotYet,
    /// Without what every token has to say.
    Claims,
    /// The authorization server took it back, or never made it.
    Inactive,
}

impl Invalid {
    /// How metrics call it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Shape => "shape",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::IdToken => "id_token",
            Self::Untyped => "untyped",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Claims => "claims",
            Self::Inactive => "inactive",
        }
    }
}

/// What came of a token.
#[derive(Clone, Debug)]
pub enum Verdict {
    Good(Arc<Principal>),
    /// Good, but not for enough.
    Insufficient,
    Invalid(Invalid),
    /// The authorization server has to be asked, and does not answer.
    Unavailable,
}

#[derive(Clone, Debug)]
struct Remembered {
    /// [`Verdict::Good`] or [`Verdict::Insufficient`].
    verdict: Verdict,
    /// Seconds since the epoch.
    until: u64,
    basis: Basis,
    weight: u32,
}

/// On what it rests that a token is good.
#[derive(Clone, Copy, Debug)]
enum Basis {
    /// On keys that are in force.
    Keys { generation: u64 },
    /// On an answer that is good for a while.
    Answer { until: Instant },
}

/// Accepts the tokens of one authorization server.
#[derive(Debug)]
pub struct ResourceServer {
    settings: Arc<Settings>,
    timing: Timing,
    keys: Arc<Keys>,
    introspector: Option<Arc<Introspector>>,
    remembered: Cache<Fingerprint, Remembered>,
    inactive: Cache<Fingerprint, Instant>,
    proven: Cache<Fingerprint, ()>,
    metrics: Arc<AuthMetrics>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl ResourceServer {
    /// Begins to fetch keys. Needs a runtime; ends its tasks when it is dropped.
    #[must_use]
    pub fn start(
        settings: Settings,
        timing: Timing,
        fetch: Arc<dyn Fetch>,
        metrics: Arc<AuthMetrics>,
    ) -> Arc<Self> {
        let settings = Arc::new(settings);
        let keys = Arc::new(Keys::new(settings.clone(), timing, fetch.clone(), metrics.clone()));
        let introspector = Introspector::new(&settings, timing, fetch, metrics.clone(), keys.clone());
        let fetching = tokio::spawn(keys.clone().run());
        Arc::new(Self {
            remembered: Cache::builder()
                .max_capacity(MEMORY)
                .weigher(|_, remembered: &Remembered| remembered.weight)
                .time_to_idle(IDLE)
                .build(),
            inactive: Cache::builder().max_capacity(MAX_INACTIVE).time_to_live(timing.inactive).build(),
            proven: Cache::builder().max_capacity(MAX_PROVEN).time_to_live(PROVEN).build(),
            settings,
            timing,
            keys,
            introspector,
            metrics,
            tasks: Mutex::new(vec![fetching]),
        })
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How the authorization server fares.
    #[must_use]
    pub fn told(&self) -> Told {
        let of_introspection = self.introspector.as_ref().map(|introspector| introspector.trouble());
        let troubles = [Some(self.keys.trouble()), of_introspection];
        let troubles: Vec<_> =
            troubles.into_iter().flatten().filter_map(|trouble| trouble.borrow().clone()).collect();
        let issuer = &self.settings.issuer;
        if !troubles.is_empty() {
            return Told::unhealthy(troubles.join("; "));
        }
        match self.keys.current() {
            Some(current) => {
                let (count, age) = (current.keys.len(), current.fetched.elapsed().as_secs());
                Told::healthy(format!("{count} keys of {issuer}, read {age}s ago"))
            }
            None if self.keys.has_none() => {
                Told::healthy(format!("{issuer} has no keys and is asked about each token"))
            }
            None => Told::unknown(format!("the keys of {issuer} were not read yet")),
        }
    }

    /// What was settled of a token before, and still holds.
    #[must_use]
    pub fn recall(&self, fingerprint: &Fingerprint) -> Option<Verdict> {
        let remembered = self.remembered.get(fingerprint)?;
        let good = now() < remembered.until
            && match remembered.basis {
                Basis::Keys { generation } => self.keys.generation() == Some(generation),
                Basis::Answer { until } => Instant::now() < until,
            };
        if good {
            self.metrics.cache_hits.inc();
            return Some(remembered.verdict);
        }
        self.remembered.invalidate(fingerprint);
        None
    }

    /// Whether a token was found good within the last hour.
    #[must_use]
    pub fn is_proven(&self, fingerprint: &Fingerprint) -> bool {
        self.proven.contains_key(fingerprint)
    }

    /// Settles whether a token is good with what is at hand; none where the authorization server would have to be asked.
    /// A signature cannot be guessed, so it does not matter where such a token comes from.
    #[must_use]
    pub fn verify_at_hand(&self, token: &[u8], fingerprint: Fingerprint) -> Option<Verdict> {
        let token = std::str::from_utf8(token).ok().filter(|token| token.len() <= token::MAX_TOKEN)?;
        let jwt = Jwt::parse(token, &self.settings.algorithms).ok()?;
        self.verify_with_keys(&jwt, token, fingerprint)
    }

    /// Settles whether a token is good.
    pub async fn verify(&self, token: &[u8], fingerprint: Fingerprint) -> Verdict {
        let Ok(token) = std::str::from_utf8(token) else { return Verdict::Invalid(Invalid::Shape) };
        if token.len() > token::MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Verdict::Invalid(Invalid::Shape);
        }
        self.metrics.cache_misses.inc();
        match &self.introspector {
            Some(introspector) if self.keys.has_none() || !token::looks_like_jwt(token) => {
                self.introspect(introspector, token, fingerprint).await
            }
            _ => self.verify_jwt(token, fingerprint).await,
        }
    }

    async fn verify_jwt(&self, token: &str, fingerprint: Fingerprint) -> Verdict {
        let jwt = match Jwt::parse(token, &self.settings.algorithms) {
            Ok(jwt) => jwt,
            Err(invalid) => return Verdict::Invalid(invalid),
        };
        let mut waited = false;
        loop {
            if let Some(verdict) = self.verify_with_keys(&jwt, token, fingerprint) {
                return verdict;
            }
            // A key that is not known may be new.
            if waited || !self.keys.newer().await {
                return if self.keys.current().is_some() {
                    Verdict::Invalid(Invalid::UnknownKey)
                } else {
                    Verdict::Unavailable
                };
            }
            waited = true;
        }
    }

    /// None where no key in force is called as the token says.
    fn verify_with_keys(&self, jwt: &Jwt<'_>, token: &str, fingerprint: Fingerprint) -> Option<Verdict> {
        let current = self.keys.current()?;
        let verified = jwt.verify(&current.keys)?;
        let vouched = verified.and_then(|claims| token::check(claims, &self.settings, now(), jwt.source));
        let basis = Basis::Keys { generation: current.generation };
        Some(self.settle(vouched, basis, token, fingerprint))
    }

    async fn introspect(
        &self,
        introspector: &Arc<Introspector>,
        token: &str,
        fingerprint: Fingerprint,
    ) -> Verdict {
        if self.inactive.get(&fingerprint).is_some_and(|until| Instant::now() < until) {
            return Verdict::Invalid(Invalid::Inactive);
        }
        match introspector.ask(token, fingerprint).await {
            Err(_) => Verdict::Unavailable,
            Ok(None) => {
                self.inactive.insert(fingerprint, Instant::now() + self.timing.inactive);
                Verdict::Invalid(Invalid::Inactive)
            }
            Ok(Some(claims)) => {
                let vouched = token::check((*claims).clone(), &self.settings, now(), Source::Introspection);
                let until = Instant::now() + self.timing.active;
                self.settle(vouched, Basis::Answer { until }, token, fingerprint)
            }
        }
    }

    fn settle(
        &self,
        vouched: Result<Vouched, Invalid>,
        basis: Basis,
        token: &str,
        fingerprint: Fingerprint,
    ) -> Verdict {
        let Vouched { principal, until } = match vouched {
            Ok(vouched) => vouched,
            Err(invalid) => return Verdict::Invalid(invalid),
        };
        let sufficient = self.settings.required_scopes.iter().all(|scope| principal.has_scope(scope));
        let verdict = if sufficient { Verdict::Good(Arc::new(principal)) } else { Verdict::Insufficient };
        // The claims of a token take several times its own length.
        let weight = u32::try_from(token.len() * 4 + 1024).unwrap_or(u32::MAX);
        if sufficient {
            self.proven.insert(fingerprint, ());
        }
        self.remembered.insert(fingerprint, Remembered { verdict: verdict.clone(), until, basis, weight });
        verdict
    }
}

impl Drop for ResourceServer {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Seconds since the epoch. A clock before it makes every token one of the future.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
