//! Who may call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SecretRef;
use crate::auth_rules::Rule;
use crate::oauth::OAuth2;

/// Who may call, and how callers prove who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Whether callers must authenticate: Required refuses callers without a valid key or token (401), Optional
    /// accepts callers without any but refuses wrong ones, Disabled lets everybody in. Default: Required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AuthMode>,
    /// Where the API keys are: a JSON file {"keys": [{"id": "ci", "sha256": "…"}]} whose keys callers send as
    /// "Authorization: Bearer <key>" or "X-API-Key: <key>". Default in a cluster, where authentication is
    /// required: a generated key in the Secret <name>-api-key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<SecretRef>,
    /// An OAuth 2.1 authorization server whose access tokens are accepted, besides API keys. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
    /// Who may call which tools; at most 64. Without rules everybody who is let in may call all tools. With rules a
    /// tool may be called where a rule allows it and none denies it. Tools that a caller may not call are hidden.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rules: Vec<Rule>,
    /// How many wrong keys and tokens one client address may send a minute, 1 to 100000; more are answered with 429.
    /// Good ones do not count. Default: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_failures_per_minute: Option<u32>,
}

impl Auth {
    /// The mode in force.
    #[must_use]
    pub fn mode(&self) -> AuthMode {
        self.mode.unwrap_or_default()
    }

    /// How many failures of one address a minute.
    #[must_use]
    pub fn max_failures_per_minute(&self) -> u32 {
        self.max_failures_per_minute.unwrap_or(30)
    }
}

/// Whether callers must authenticate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum AuthMode {
    #[default]
    Required,
    Optional,
    Disabled,
}

/// What only a process is told of authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthProcess {
    /// One more API key, whose id is `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<SecretRef>,
}
