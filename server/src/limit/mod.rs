//! Limits on how often one caller may ask: a token bucket for each caller, one for the caller's completions, and one more
//! for each tool that has a limit of its own.
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
    /// The one for completions that a caller asks for.
    Completion,
}

impl Scope {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Tool => "tool",
            Self::Completion => "completion",
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
    /// Whether it completes an argument. Clients ask for that with every key that is pressed, so it is counted apart:
    /// typing must not use up what calls of tools need.
    pub completes: bool,
}

/// How many times as many completions as other requests a caller may make in a minute.
const COMPLETIONS: u32 = 10;

/// A bucket of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part<'a> {
    /// For all requests that have no other one.
    Requests,
    Completions,
    /// For calls of this tool, besides the one for all requests.
    Tool(&'a str),
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
        let who = Who::of(request.caller);
        let tool = request.tool.map(|(name, rate)| (Part::Tool(name), rate));
        let general = (who != Who::Local || policy.limits_local).then(|| general(policy, request));
        // In this order: what the limit of a tool refuses does not count against the general one.
        let buckets = [tool, general];
        let result = match policy.store {
            _ if buckets == [None, None] => Ok(()),
            Store::Memory => self.local(who, buckets, 1),
            Store::Redis => match self.shared(who, buckets).await {
                Ok(result) => result,
                Err(Lost) => self.without_store(policy, who, buckets),
            },
        };
        if result.is_ok() {
            self.metrics.allowed();
        }
        result
    }

    /// Counts in Redis, for all replicas together.
    async fn shared(&self, who: Who<'_>, buckets: Buckets<'_>) -> Result<Result<(), Refused>, Lost> {
        let Some(link) = self.redis.link() else {
            self.redis.unavailable(User::Limit);
            return Err(Lost);
        };
        let shared: Vec<_> =
            buckets.into_iter().flatten().map(|(part, rate)| Shared { who, part, rate }).collect();
        let (index, answer) = shared::take(&self.redis, &link, &shared, None).await?;
        Ok(match answer {
            Answer::Allowed { .. } => Ok(()),
            Answer::Refused { wait } => {
                let refused = shared.get(index).ok_or(Lost)?;
                Err(too_many(refused.part, refused.rate, wait))
            }
        })
    }

    /// What is allowed where the shared store should be asked and cannot be.
    fn without_store(&self, policy: &Policy, who: Who<'_>, buckets: Buckets<'_>) -> Result<(), Refused> {
        self.metrics.without_store.inc();
        match policy.on_store_loss {
            OnStoreLoss::LocalShare => {
                let replicas = self.redis.replicas().unwrap_or(policy.replicas);
                self.local(who, buckets, replicas)
            }
            OnStoreLoss::Full => self.local(who, buckets, 1),
            OnStoreLoss::Deny => Err(Refused::StoreLost),
        }
    }

    /// Counts in this process, where one of so many replicas may let through its share.
    fn local(&self, who: Who<'_>, buckets: Buckets<'_>, replicas: u32) -> Result<(), Refused> {
        let now = self.now();
        let [of_tool, general] = buckets;
        let take = |part, rate: Rate| {
            let slot = match part {
                Part::Requests => self.table.slot(who),
                _ => self.table.slot((who, part)),
            };
            match self.table.take(slot, rate.share(replicas), now) {
                Answer::Allowed { .. } => Ok(slot),
                Answer::Refused { wait } => Err(too_many(part, rate, wait)),
            }
        };
        let taken = match of_tool {
            Some((part, rate)) => Some(take(part, rate)?),
            None => None,
        };
        if let Some((part, rate)) = general {
            take(part, rate).inspect_err(|_refused| {
                if let Some(slot) = taken {
                    self.table.put_back(slot);
                }
            })?;
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
                self.redis.told_of_user(User::Limit, "in Redis, for all replicas together", &without)
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

/// The buckets that a request is taken out of: the one of its tool, and the general one.
type Buckets<'a> = [Option<(Part<'a>, Rate)>; 2];

/// The bucket for requests that have no other one, or for completions: with the caller's own limit, where there is one.
fn general(policy: &Policy, request: Request<'_>) -> (Part<'static>, Rate) {
    let rate = match request.caller.principal.as_deref().and_then(|principal| principal.limit) {
        None => policy.rate,
        Some(own) => policy.rate.with(own.requests_per_minute, own.burst),
    };
    if request.completes { (Part::Completions, rate.times(COMPLETIONS)) } else { (Part::Requests, rate) }
}

fn too_many(part: Part<'_>, rate: Rate, wait: i64) -> Refused {
    let scope = match part {
        Part::Requests => Scope::Caller,
        Part::Completions => Scope::Completion,
        Part::Tool(_) => Scope::Tool,
    };
    Refused::TooMany { scope, rate, wait: Duration::from_micros(wait.unsigned_abs()) }
}

/// Cleans up for as long as the process lives, as often as the configuration says just then.
pub async fn clean_up<L: AsRef<Limiter>>(limiter: L, interval: impl Fn() -> Duration) {
    loop {
        interval::wait(&interval).await;
        limiter.as_ref().clean();
    }
}
