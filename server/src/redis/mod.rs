//! One connection to Redis for everything that replicas share, and a breaker in front of it.
//!
//! Nobody waits for a Redis that is away: the first failures open the breaker, and from then on every question is
//! answered with [`Lost`] at once, until [`keeper`] has a connection again on which a write came back in time. What to do
//! without Redis is the business of whoever asks.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::backend::Health;
use crate::environment::Environment;
use crate::human::Human;
use crate::observe::health::{State, Told};

mod foreign;
mod keeper;
mod metrics;
pub mod script;
pub mod settings;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use foreign::Foreign;
use metrics::RedisMetrics;
pub use metrics::User;
use settings::Settings;

/// Failures to answer in time, one after the other, after which nobody asks any more. Whatever cannot be a hiccup opens
/// the breaker at once.
const PATIENCE: u32 = 3;

/// How often a failed question is logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Redis, as far as it is there.
#[derive(Debug)]
pub struct Redis {
    link: ArcSwapOption<Link>,
    settings: watch::Sender<Option<Settings>>,
    health: watch::Sender<Health>,
    /// Rouses the keeper when the link broke.
    broke: Notify,
    /// How many replicas were seen last; 0 where none ever was.
    replicas: AtomicU32,
    /// Keys that hold what another program wrote.
    foreign: Foreign,
    /// When a failed question was last logged.
    warned: Mutex<Option<Instant>>,
    metrics: RedisMetrics,
}

/// A connection on which Redis answered in time, until it does not any more.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    settings: Settings,
    /// Questions in a row that were not answered in time.
    late: AtomicU32,
}

/// Redis did not answer, and will not soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis cannot be asked")]
pub struct Lost;

/// Why one question was not answered.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("Redis did not answer within {}", Human(*.0))]
    Late(std::time::Duration),
    #[error("Redis refused: {0}")]
    Refused(RedisError),
}

impl Redis {
    /// Knows no server yet; see [`Redis::configure`] and [`Redis::keep`].
    #[must_use]
    pub fn new(registry: &prometheus::Registry) -> Arc<Self> {
        Arc::new(Self {
            link: ArcSwapOption::empty(),
            settings: watch::Sender::new(None),
            health: watch::Sender::new(Health::Healthy),
            broke: Notify::new(),
            replicas: AtomicU32::new(0),
            foreign: Foreign::default(),
            warned: Mutex::default(),
            metrics: RedisMetrics::register(registry),
        })
    }

    /// Uses this server from now on; none where nothing is shared. The same again is no change.
    pub fn configure(&self, settings: Option<Settings>) {
        self.settings.send_if_modified(|current| {
            let changed = *current != settings;
            if changed {
                *current = settings;
            }
            changed
        });
    }

    /// Connects, and connects again, until it is told to stop; then the other replicas are told that one less is there.
    pub async fn keep(self: Arc<Self>, environment: Environment, stop: CancellationToken) {
        keeper::run(&self, &environment, &stop).await;
    }

    /// How Redis fares, where it is used.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// How Redis fares, for whoever looks.
    #[must_use]
    pub fn told(&self) -> Told {
        if self.settings.borrow().is_none() {
            return Told::not_used("nothing is kept in Redis (rateLimit.store, cache.store)");
        }
        if self.link.load().is_some() {
            if let Some(trouble) = self.foreign.trouble(None) {
                return Told::unhealthy(trouble);
            }
            return Told::healthy(match self.replicas() {
                Some(1) | None => "connected; no other replica uses it".to_owned(),
                Some(count) => format!("connected; {count} replicas use it"),
            });
        }
        match &*self.health.borrow() {
            Health::Healthy => Told::unknown("it is being connected to"),
            Health::Degraded(why) => Told::unhealthy(why.as_str()),
        }
    }

    /// How something fares that is kept in Redis for a user: as `with` says while it is there, as `without` says while it is
    /// not.
    #[must_use]
    pub(crate) fn told_of_user(&self, user: User, with: &str, without: &str) -> Told {
        if self.link.load().is_some() {
            return match self.foreign.trouble(Some(user)) {
                Some(trouble) => Told::unhealthy(format!("{with}, but {trouble}")),
                None => Told::healthy(with),
            };
        }
        let Told { state, details } = self.told();
        match state {
            State::Unknown => Told::unknown(format!("{without} until Redis is connected to")),
            _ => Told { state, details: format!("{without}, for Redis is lost: {details}") },
        }
    }

    /// How many replicas were seen last, this one included.
    #[must_use]
    pub fn replicas(&self) -> Option<u32> {
        Some(self.replicas.load(Ordering::Relaxed)).filter(|count| *count > 0)
    }

    /// The connection, while there is one that works.
    #[must_use]
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.link.load_full()
    }

    /// Asks one question.
    ///
    /// # Errors
    /// Where Redis does not answer, or not in time, or refuses.
    pub(crate) async fn ask<T: FromRedisValue>(
        &self,
        link: &Arc<Link>,
        user: User,
        command: &Cmd,
    ) -> Result<T, Lost> {
        let answer = self.ask_once(link, user, command).await;
        self.settled(link, answer)
    }

    /// Draws the conclusions from an answer, or from its absence.
    fn settled<T>(&self, link: &Arc<Link>, answer: Result<T, Failure>) -> Result<T, Lost> {
        match answer {
            Ok(answer) => {
                link.late.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Err(failure) => {
                self.failed(link, &failure);
                Err(Lost)
            }
        }
    }

    /// Counts a question that nobody was there to be asked.
    pub(crate) fn unavailable(&self, user: User) {
        self.metrics.unavailable(user);
    }

    async fn ask_once<T: FromRedisValue>(
        &self,
        link: &Link,
        user: User,
        command: &Cmd,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let limit = link.settings.response_timeout;
        let mut connection = link.connection.clone();
        let answer = tokio::time::timeout(limit, command.query_async::<T>(&mut connection)).await;
        let answer = match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Failure::Refused(error)),
            Err(_) => Err(Failure::Late(limit)),
        };
        let outcome = match &answer {
            Ok(_) => metrics::OK,
            Err(Failure::Late(_)) => metrics::LATE,
            Err(Failure::Refused(_)) => metrics::ERROR,
        };
        self.metrics.asked(user, outcome, started.elapsed());
        if let Err(Failure::Refused(error)) = &answer
            && foreign::is_wrong_type(error)
            && self.foreign.suspect(user, command)
        {
            // The keeper looks at it.
            self.broke.notify_one();
        }
        answer
    }

    /// Opens the breaker where the failure was no hiccup.
    fn failed(&self, link: &Arc<Link>, failure: &Failure) {
        let late = match failure {
            Failure::Late(_) => link.late.fetch_add(1, Ordering::Relaxed) + 1,
            // The keeper says which key it is, once.
            Failure::Refused(error) if foreign::is_wrong_type(error) => return,
            Failure::Refused(error) if is_about_the_question(error) => {
                self.warn_of(failure);
                return;
            }
            Failure::Refused(_) => PATIENCE,
        };
        if late >= PATIENCE {
            self.break_off(link, &failure.to_string());
        }
    }

    /// Logs a failure that may come back with each request.
    fn warn_of(&self, failure: &Failure) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|before| before.elapsed() >= WARN_EVERY) {
            *warned = Some(Instant::now());
            tracing::warn!(%failure, "a question to Redis failed; more of them are only counted for a while");
        }
    }

    /// Gives a link up, unless that was done already.
    fn break_off(&self, link: &Arc<Link>, why: &str) {
        let current = self.link.compare_and_swap(Arc::as_ptr(link), None);
        if !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            return;
        }
        tracing::warn!(why, "Redis is lost; going on without it until it answers again");
        self.metrics.up.set(0);
        self.health.send_replace(Health::Degraded(why.to_owned()));
        self.broke.notify_one();
    }

    /// Takes a link into use.
    fn connected(&self, link: Arc<Link>) {
        self.link.store(Some(link));
        self.metrics.up.set(1);
        self.health.send_replace(Health::Healthy);
        tracing::info!("Redis is there");
    }
}

impl Link {
    pub(crate) fn prefix(&self) -> &str {
        &self.settings.key_prefix
    }
}

/// Whether Redis had something against this one question, and another one may do.
fn is_about_the_question(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::NoScript | ServerErrorKind::ResponseError)
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Client
    )
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("settings", &self.settings).finish_non_exhaustive()
    }
}
