//! What is counted of authentication. Labels come from closed lists, never from what callers say.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// The counters.
#[derive(Clone, Debug)]
pub struct AuthMetrics {
    attempts: IntCounterVec,
    key_ok: IntCounter,
    token_ok: IntCounter,
    nobody_ok: IntCounter,
    /// Fetches of an authorization server's keys, by outcome.
    pub key_refreshes: IntCounterVec,
    /// Questions to an authorization server about a token, by outcome.
    pub introspections: IntCounterVec,
    /// Tokens that were known already, or not.
    pub cache_hits: IntCounter,
    pub cache_misses: IntCounter,
    /// Calls that a rule forbade.
    pub denied: IntCounter,
}

/// What a caller came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    ApiKey,
    Token,
    Nothing,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Token => "token",
            Self::Nothing => "none",
        }
    }
}

const NAMES: &str = "metric names and labels are constants, and distinct";

impl AuthMetrics {
    #[must_use]
    pub fn register(registry: &Registry) -> Self {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels).expect(NAMES);
            registry.register(Box::new(counters.clone())).expect(NAMES);
            counters
        };
        let attempts = counters(
            "mcp_server_auth_attempts_total",
            "Callers by what they came with and what became of it",
            &["kind", "outcome"],
        );
        let cache = counters(
            "mcp_server_auth_token_cache_total",
            "Tokens that were looked up among those known to be good",
            &["outcome"],
        );
        let denied =
            IntCounter::new("mcp_server_auth_denied_calls_total", "Calls that a rule forbade").expect(NAMES);
        registry.register(Box::new(denied.clone())).expect(NAMES);
        let ok = |kind: Kind| attempts.with_label_values(&[kind.label(), "ok"]);
        Self {
            key_ok: ok(Kind::ApiKey),
            token_ok: ok(Kind::Token),
            nobody_ok: ok(Kind::Nothing),
            key_refreshes: counters(
                "mcp_server_auth_jwks_refreshes_total",
                "Fetches of the authorization server's keys",
                &["outcome"],
            ),
            introspections: counters(
                "mcp_server_auth_introspections_total",
                "Questions to the authorization server about a token",
                &["outcome"],
            ),
            cache_hits: cache.with_label_values(&["hit"]),
            cache_misses: cache.with_label_values(&["miss"]),
            denied,
            attempts,
        }
    }

    /// Somebody was let in.
    pub fn ok(&self, kind: Kind) {
        match kind {
            Kind::ApiKey => self.key_ok.inc(),
            Kind::Token => self.token_ok.inc(),
            Kind::Nothing => self.nobody_ok.inc(),
        }
    }

    /// Somebody was not.
    pub fn refused(&self, kind: Kind, reason: &str) {
        self.attempts.with_label_values(&[kind.label(), reason]).inc();
    }
}

impl Default for AuthMetrics {
    /// Counters that nobody reads.
    fn default() -> Self {
        Self::register(&Registry::new())
    }
}
