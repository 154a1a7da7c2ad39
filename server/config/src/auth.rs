//! Who may call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SecretRef;

/// Who may call, and how callers prove who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Whether callers must authenticate: Required refuses callers without a valid key (401), Optional accepts
    /// callers without any key but refuses wrong ones, Disabled lets everybody in. Default: Required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AuthMode>,
    /// Where the API keys are: a JSON file {"keys": [{"id": "ci", "key": "…"}]} whose keys callers send as
    /// "Authorization: Bearer <key>" or "X-API-Key: <key>". Default in a cluster, where authentication is
    /// required: a generated key in the Secret <name>-api-key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<SecretRef>,
}

impl Auth {
    /// The mode in force.
    #[must_use]
    pub fn mode(&self) -> AuthMode {
        self.mode.unwrap_or_default()
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthProcess {
    /// One more API key, whose id is `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<SecretRef>,
    /// Read and checked, not yet in force: a server that is told to use OAuth refuses to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
}

/// An OAuth authorization server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// URL of the authorization server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Introspection>,
}

/// How to ask an authorization server about a token (RFC 7662).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Introspection {
    #[serde(rename = "clientID", default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretRef>,
}
