//! What a resource server is told, resolved.

use std::time::Duration;

use mcp_server_config::{OAuth2, ServiceConfig, SignatureAlgorithm};
use secrecy::{ExposeSecret as _, SecretString};

/// The settings of a resource server.
#[derive(Clone, Debug)]
pub struct Settings {
    pub issuer: String,
    pub audiences: Vec<String>,
    /// The audience is the client id, for want of another one; it is that of ID tokens as well.
    pub audience_is_client: bool,
    /// Absent where it is to be discovered.
    pub jwks_url: Option<String>,
    pub algorithms: Vec<SignatureAlgorithm>,
    pub required_scopes: Vec<String>,
    pub clock_skew: Duration,
    pub introspection: Option<Introspection>,
}

/// How to ask about tokens.
#[derive(Clone, Debug)]
pub struct Introspection {
    /// Absent where it is to be discovered.
    pub url: Option<String>,
    pub client_id: String,
    pub client_secret: SecretString,
}

impl Settings {
    /// The settings of a valid configuration; `client_secret` is what its reference leads to. None where no
    /// authorization server is configured.
    #[must_use]
    pub fn of(config: &ServiceConfig, client_secret: Option<SecretString>) -> Option<Self> {
        let oauth2: &OAuth2 = config.auth.oauth2.as_ref()?;
        let audiences = oauth2.audiences(config.http.public_url.as_deref());
        let introspection = oauth2.introspection.as_ref().and_then(|introspection| {
            Some(Introspection {
                url: introspection.url.clone(),
                client_id: introspection.client_id.clone()?,
                client_secret: client_secret?,
            })
        });
        Some(Self {
            issuer: oauth2.issuer.clone()?,
            audiences: audiences.into_iter().map(str::to_owned).collect(),
            audience_is_client: oauth2.audience_is_client(config.http.public_url.as_deref()),
            jwks_url: oauth2.jwks_url.clone(),
            algorithms: oauth2.algorithms().to_vec(),
            required_scopes: oauth2.required_scopes.clone(),
            clock_skew: oauth2.clock_skew().as_std(),
            introspection,
        })
    }

    /// Whether a server with these settings would do the very same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let asks = |one: &Introspection, two: &Introspection| {
            one.url == two.url
                && one.client_id == two.client_id
                && one.client_secret.expose_secret() == two.client_secret.expose_secret()
        };
        let same_introspection = match (&self.introspection, &other.introspection) {
            (None, None) => true,
            (Some(one), Some(two)) => asks(one, two),
            _ => false,
        };
        same_introspection
            && self.issuer == other.issuer
            && self.audiences == other.audiences
            && self.audience_is_client == other.audience_is_client
            && self.jwks_url == other.jwks_url
            && self.algorithms == other.algorithms
            && self.required_scopes == other.required_scopes
            && self.clock_skew == other.clock_skew
    }
}

/// Times that no user sets.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From one fetch of the keys to the next.
    pub refresh: Duration,
    /// The least time between two fetches of the keys, whatever callers present.
    pub floor: Duration,
    /// For how long keys are good without a successful fetch.
    pub max_age: Duration,
    /// The first pause after a failed fetch; it doubles up to `floor`.
    pub retry: Duration,
    /// How long the authorization server may take to answer.
    pub answer: Duration,
    /// For how long an answer about a token is good: that it is active, that it is not.
    pub active: Duration,
    pub inactive: Duration,
    /// For how long nothing is asked after a question without an answer.
    pub breather: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(300),
            floor: Duration::from_secs(30),
            max_age: Duration::from_secs(3600),
            retry: Duration::from_secs(1),
            answer: Duration::from_secs(5),
            active: Duration::from_secs(60),
            inactive: Duration::from_secs(10),
            breather: Duration::from_secs(1),
        }
    }
}
