//! Limits on how often one caller may ask: a token bucket for each caller, and one more for each tool that has a limit
//! of its own.
//!
//! What is counted outlives a reload; what is allowed comes with each request, from the configuration in force.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_server_config::{OnStoreLoss, RateLimitMode, Store};

use crate::auth::principal::Caller;
use crate::interval;
use crate::observe::health::Told;
use crate::redis::{Lost, Redis, User};

pub mod gcra;
mod metrics;
pub mod policy;
mod shared;
pub mod table;
#[cfg(test)]
mod tests;
pub mod who;

use gcra::{Answer, Rate};
use metrics::LimitMetrics;
use policy::Policy;
use shared::Shared;
use table::Table;
use who::Who;

/// Counts requests and says which are too many.
#[derive(Debug)]
pub struct Limiter {
    started: Instant,
    table: Table,
    redis: Arc<Redis>,
    metrics: LimitMetrics,
}

/// Which of the limits a request hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The one for all requests of a caller.
    Caller,
    /// The one for calls of this tool by the caller.
    Tool,
}

impl Scope {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Tool => "tool",
        }
    }
}

/// Why a request may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many; one more may pass after `wait`.
    TooMany { scope: Scope, rate: Rate, wait: Duration },
    /// Nobody can tell how many there were, and the configuration lets nobody pass then.
    StoreLost,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub caller: &'a Caller,
    /// The tool that is called and its own limit, where it has one.
    pub tool: Option<(&'a str, Rate)>,
}

impl Limiter {
    #[must_use]
    pub fn new(registry: &prometheus::Registry, redis: Arc<Redis>) -> Self {
        Self {
            started: Instant::now(),
            table: Table::new(),
            redis,
            metrics: LimitMetrics::register(registry),
        }
    }

    /// Counts one request against all limits that it is under; one that is refused counts against none.
    ///
    /// # Errors
    /// Where it is one too many.
    pub async fn check(&self, policy: &Policy, request: Request<'_>) -> Result<(), Refused> {
        let rate = rate_of(policy, request.caller);
        let result = match policy.store {
            Store::Memory => self.local(rate, request, 1),
            Store::Redis => match self.shared(rate, request).await {
                Ok(result) => result,
                Err(Lost) => self.without_store(policy, rate, request),
            },
        };
        if result.is_ok() {
            self.metrics.allowed();
        }
        result
    }

    /// Counts in Redis, for all replicas together.
    async fn shared(&self, rate: Rate, request: Request<'_>) -> Result<Result<(), Refused>, Lost> {
        let Some(link) = self.redis.link() else {
            self.redis.unavailable(User::Limit);
            return Err(Lost);
        };
        let who = Who::of(request.caller);
        let general = Shared { who, tool: None, rate };
        let answer = match request.tool {
            None => shared::take(&self.redis, &link, &[general], None).await?,
            Some((name, rate_of_tool)) => {
                let of_tool = Shared { who, tool: Some(name), rate: rate_of_tool };
                shared::take(&self.redis, &link, &[of_tool, general], None).await?
            }
        };
        Ok(match (answer, request.tool) {
            ((_, Answer::Allowed { .. }), _) => Ok(()),
            ((0, Answer::Refused { wait }), Some((_, rate))) => Err(too_many(Scope::Tool, rate, wait)),
            ((_, Answer::Refused { wait }), _) => Err(too_many(Scope::Caller, rate, wait)),
        })
    }

    /// What is allowed where the shared store should be asked and cannot be.
    fn without_store(&self, policy: &Policy, rate: Rate, request: Request<'_>) -> Result<(), Refused> {
        self.metrics.without_store.inc();
        match policy.on_store_loss {
            OnStoreLoss::LocalShare => {
                let replicas = self.redis.replicas().unwrap_or(policy.replicas);
                self.local(rate, request, replicas)
            }
            OnStoreLoss::Full => self.local(rate, request, 1),
            OnStoreLoss::Deny => Err(Refused::StoreLost),
        }
    }

    /// Counts in this process, where one of so many replicas may let through its share.
    fn local(&self, rate: Rate, request: Request<'_>, replicas: u32) -> Result<(), Refused> {
        let now = self.now();
        let who = Who::of(request.caller);
        let mut of_tool = None;
        if let Some((name, rate)) = request.tool {
            let slot = self.table.slot((who, name));
            if let Answer::Refused { wait } = self.table.take(slot, rate.share(replicas), now) {
                return Err(too_many(Scope::Tool, rate, wait));
            }
            of_tool = Some(slot);
        }
        let slot = self.table.slot(who);
        if let Answer::Refused { wait } = self.table.take(slot, rate.share(replicas), now) {
            if let Some(slot) = of_tool {
                self.table.put_back(slot);
            }
            return Err(too_many(Scope::Caller, rate, wait));
        }
        Ok(())
    }

    /// Counts a refusal that was carried out.
    pub fn refused(&self, refused: Refused) {
        self.metrics.refused(refused.scope());
    }

    /// Counts a refusal that was only noted.
    pub fn reported(&self, refused: Refused) {
        self.metrics.reported(refused.scope());
    }

    /// Forgets callers that have not asked for a while. To be called now and then.
    pub fn clean(&self) {
        let left = self.table.clean(self.now());
        self.metrics.callers.set(i64::try_from(left).unwrap_or(i64::MAX));
        let evicted = self.table.evicted();
        self.metrics.evicted.inc_by(evicted.saturating_sub(self.metrics.evicted.get()));
    }

    /// How the limiter fares under this policy.
    #[must_use]
    pub fn told_of(&self, policy: &Policy) -> Told {
        if policy.mode == RateLimitMode::Off {
            return Told::not_used("rateLimit.mode is Off");
        }
        let in_memory = format!("{} of at most {} counters", self.table.in_use(self.now()), table::CAPACITY);
        let mut told = match policy.store {
            Store::Memory => Told::healthy(format!("in memory: {in_memory}")),
            Store::Redis => {
                let without = match policy.on_store_loss {
                    OnStoreLoss::LocalShare => {
                        format!("this replica's share is counted in memory ({in_memory})")
                    }
                    OnStoreLoss::Full => format!("each replica counts in memory ({in_memory})"),
                    OnStoreLoss::Deny => "every call is refused (rateLimit.onStoreLoss)".to_owned(),
                };
                self.redis.told_of_user("in Redis, for all replicas together", &without)
            }
        };
        if policy.mode == RateLimitMode::Report {
            told.details.push_str("; nobody is refused (rateLimit.mode is Report)");
        }
        told
    }

    /// Microseconds since this limiter was made, and a little more, so that no bucket is full in the past.
    fn now(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX / 2).saturating_add(1)
    }
}

impl Refused {
    fn scope(self) -> Scope {
        match self {
            Self::TooMany { scope, .. } => scope,
            Self::StoreLost => Scope::Caller,
        }
    }
}

/// The limit for all requests of a caller: the own one, where there is one.
fn rate_of(policy: &Policy, caller: &Caller) -> Rate {
    match caller.principal.as_deref().and_then(|principal| principal.limit) {
        None => policy.rate,
        Some(own) => policy.rate.with(own.requests_per_minute, own.burst),
    }
}

fn too_many(scope: Scope, rate: Rate, wait: i64) -> Refused {
    Refused::TooMany { scope, rate, wait: Duration::from_micros(wait.unsigned_abs()) }
}

/// Cleans up for as long as the process lives, as often as the configuration says just then.
pub async fn clean_up<L: AsRef<Limiter>>(limiter: L, interval: impl Fn() -> Duration) {
    loop {
        interval::wait(&interval).await;
        limiter.as_ref().clean();
    }
}
