//! What decides who is let in, and to what: keys, tokens and rules. One value a snapshot, replaced whole.

use std::sync::Arc;

use mcp_server_config::{AuthMode, ServerConfig};

use crate::auth::keyring::Keyring;
use crate::auth::metrics::AuthMetrics;
use crate::auth::oauth::ResourceServer;
use crate::auth::oauth::fetch::Fetch;
use crate::auth::oauth::settings::{Settings, Timing};
use crate::auth::obtain::Obtained;
use crate::auth::rules::Rules;

/// Keys, the authorization server whose tokens are accepted, and who may call what.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub keys: Arc<Keyring>,
    pub oauth: Option<Arc<ResourceServer>>,
    /// Absent where everybody may call everything.
    pub rules: Option<Arc<Rules>>,
}

impl Access {
    /// Keys alone.
    #[must_use]
    pub fn of_keys(keys: Keyring) -> Self {
        Self { keys: Arc::new(keys), ..Self::default() }
    }
}

/// Makes an [`Access`] of each configuration that comes; what need not change stays as it is.
#[derive(Clone, Debug)]
pub struct Grants {
    fetch: Arc<dyn Fetch>,
    metrics: Arc<AuthMetrics>,
    timing: Timing,
}

impl Grants {
    #[must_use]
    pub fn new(fetch: Arc<dyn Fetch>, metrics: Arc<AuthMetrics>, timing: Timing) -> Self {
        Self { fetch, metrics, timing }
    }

    /// What a configuration and its secrets grant. Needs a runtime. An authorization server of which the configuration
    /// says nothing new keeps its keys and the tokens that it vouched for.
    #[must_use]
    pub fn access(
        &self,
        config: &ServerConfig,
        obtained: &Obtained,
        rules: Option<Arc<Rules>>,
        before: &Access,
    ) -> Access {
        let service = &config.service;
        let wanted = Settings::of(service, obtained.client_secret.clone());
        let oauth = wanted.filter(|_| service.auth.mode() != AuthMode::Disabled).map(|settings| {
            let same = before.oauth.as_ref().filter(|oauth| oauth.settings().same_as(&settings));
            same.cloned().unwrap_or_else(|| {
                let (fetch, metrics) = (self.fetch.clone(), self.metrics.clone());
                ResourceServer::start(settings, self.timing, fetch, metrics)
            })
        });
        Access { keys: Arc::new(before.keys.followed_by(&obtained.keys)), oauth, rules }
    }
}
