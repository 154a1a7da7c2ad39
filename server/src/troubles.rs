//! `/troubles`: what of the server fails, and nothing else.
//!
//! `/status` says everything, and something in it moves all the time. An observer of many servers wants to know when a person has
//! something to do, within seconds and without asking again and again: it says what it knows already, and is answered when that has
//! changed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Response, StatusCode};
use mcp_server_config::sha256;
use serde::Serialize;
use tokio::time::Instant;

use crate::http::body::Payload;
use crate::http::json;
use crate::lifecycle::Lifecycle;
use crate::observe::health::{Registry, Report};

/// How often is looked while somebody waits. Parts tell at the moment of looking, so that nothing could wake a waiter.
const PERIOD: Duration = Duration::from_secs(2);
/// The longest wait; a longer one is answered after that.
const MOST: Duration = Duration::from_secs(600);
/// The most waiters: the port has few connections, and probes need some. One more is answered at once.
const WAITERS: usize = 8;
/// The longest message, in characters.
const MESSAGE: usize = 1024;

/// Parts whose message is about one cause and stays while that stays. Others have figures in it, or speak of the last of many
/// failures: of those a new message alone is no news.
const STEADY: [&str; 3] = ["auth", "config", "tools"];
/// Parts that fail with Redis, and tell that with figures.
const BEHIND_REDIS: [&str; 2] = ["cache", "rate-limit"];

/// Answers those who ask, and knows how many of them wait.
#[derive(Debug, Default)]
pub struct Troubles {
    waiters: AtomicUsize,
}

/// The answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Document {
    /// Another one where there is news.
    version: String,
    troubles: Vec<Trouble>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Trouble {
    part: String,
    message: String,
}

/// What a query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// The version that is known already.
    since: String,
    /// How long to wait for another one.
    wait: Duration,
}

impl Troubles {
    /// Answers a request: at once where there is news, else when there is, or after the wait that the query allows.
    pub async fn answer(
        &self,
        query: Option<&str>,
        health: &Registry,
        lifecycle: &Lifecycle,
    ) -> Response<Payload> {
        let asked = match Asked::parse(query.unwrap_or_default()) {
            Ok(asked) => asked,
            Err(problem) => return crate::http::plain(StatusCode::BAD_REQUEST, format!("{problem}\n")),
        };
        let waiter = Waiter::begin(&self.waiters);
        let until = Instant::now() + if waiter.is_some() { asked.wait } else { Duration::ZERO };
        loop {
            let document = document(&health.reports());
            let left = until.saturating_duration_since(Instant::now());
            if document.version != asked.since || left.is_zero() || lifecycle.is_draining() {
                let text = serde_json::to_string(&document).unwrap_or_default();
                return json(StatusCode::OK, format!("{text}\n"));
            }
            tokio::time::sleep(left.min(PERIOD)).await;
        }
    }
}

impl Asked {
    fn parse(query: &str) -> Result<Self, String> {
        let mut asked = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "since" => value.clone_into(&mut asked.since),
                "wait" => {
                    let seconds = value.parse().map_err(|_| {
                        format!("wait is a whole number of seconds, at most {}", MOST.as_secs())
                    })?;
                    asked.wait = Duration::from_secs(seconds).min(MOST);
                }
                _ => {}
            }
        }
        Ok(asked)
    }
}

/// One who waits, while this lives.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn begin(waiters: &'a AtomicUsize) -> Option<Self> {
        let more = |count: usize| (count < WAITERS).then_some(count + 1);
        waiters.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(waiters))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn document(reports: &[Report]) -> Document {
    let failing: Vec<_> = reports.iter().filter(|report| report.is_failing()).collect();
    let redis_fails = failing.iter().any(|report| &*report.name == "redis");
    let mut seen = String::new();
    let mut troubles = Vec::new();
    for report in failing {
        let part = &*report.name;
        if redis_fails && BEHIND_REDIS.contains(&part) {
            continue;
        }
        let message: String =
            report.details.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MESSAGE).collect();
        seen.push_str(part);
        seen.push('\n');
        if STEADY.contains(&part) {
            seen.push_str(&message);
        }
        seen.push('\n');
        troubles.push(Trouble { part: part.to_owned(), message });
    }
    Document { version: sha256(&seen)[..16].to_owned(), troubles }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::health::Told;

    fn registry(parts: &[(&'static str, &'static str)]) -> Registry {
        let registry = Registry::default();
        registry.tells("fine", || Told::healthy("very"));
        for (part, message) in parts.iter().copied() {
            registry.tells(part, move || Told::unhealthy(message));
        }
        registry
    }

    fn version(parts: &[(&'static str, &'static str)]) -> String {
        document(&registry(parts).reports()).version
    }

    #[test]
    fn figures_are_no_news_and_causes_are() {
        assert_eq!(version(&[("upstreams", "a: 3 failures")]), version(&[("upstreams", "a: 4 failures")]));
        assert_ne!(version(&[("upstreams", "a")]), version(&[]));
        assert_ne!(version(&[("auth", "no JSON")]), version(&[("auth", "no keys")]));
        assert_ne!(version(&[("auth", "a")]), version(&[("config", "a")]));
        assert_eq!(version(&[("redis", "lost"), ("cache", "hit 3")]), version(&[("redis", "lost")]));
        let shown = document(&registry(&[("cache", "odd\n  twice"), ("auth", "no keys")]).reports()).troubles;
        let shown: Vec<_> =
            shown.iter().map(|trouble| (trouble.part.as_str(), trouble.message.as_str())).collect();
        assert_eq!(shown, [("auth", "no keys"), ("cache", "odd twice")]);
    }

    #[test]
    fn what_is_asked_for() {
        let asked = |since: &str, seconds| Asked { since: since.into(), wait: Duration::from_secs(seconds) };
        assert_eq!(Asked::parse(""), Ok(asked("", 0)));
        assert_eq!(Asked::parse("since=ab&wait=30&x=1"), Ok(asked("ab", 30)));
        assert_eq!(Asked::parse("wait=99999"), Ok(asked("", 600)));
        assert!(Asked::parse("wait=soon").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_is_answered_within_seconds_of_a_change_and_one_too_many_at_once() {
        let (troubles, lifecycle) = (Troubles::default(), Lifecycle::new());
        let registry = registry(&[]);
        let query = format!("since={}&wait=300", version(&[]));
        let since = Instant::now();
        let answer = troubles.answer(Some(&query), &registry, &lifecycle).await;
        assert_eq!((answer.status(), since.elapsed()), (StatusCode::OK, Duration::from_secs(300)));

        let since = Instant::now();
        let change = async {
            tokio::time::sleep(Duration::from_secs(31)).await;
            registry.tells("auth", || Told::unhealthy("no keys"));
        };
        tokio::join!(troubles.answer(Some(&query), &registry, &lifecycle), change);
        assert!(since.elapsed() <= Duration::from_secs(33), "{:?}", since.elapsed());
        registry.remove("auth");

        let waiters: Vec<_> = std::iter::from_fn(|| Waiter::begin(&troubles.waiters)).collect();
        assert_eq!(waiters.len(), WAITERS);
        let since = Instant::now();
        troubles.answer(Some(&query), &registry, &lifecycle).await;
        assert_eq!(since.elapsed(), Duration::ZERO);
        drop(waiters);
        assert_eq!(troubles.waiters.load(Ordering::Relaxed), 0);
    }
}
