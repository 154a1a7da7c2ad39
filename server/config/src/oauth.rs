//! Tokens of an authorization server (OAuth 2.1; the server is a resource server).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, SecretRef};

/// An OAuth 2.1 authorization server whose access tokens are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// URL of the authorization server, exactly as its tokens and its metadata write it. Its keys and endpoints are
    /// discovered there (RFC 8414, OpenID Connect). Default: none; it must be set. Example: https://id.example.com/realms/main.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s?#]+$"))]
    pub issuer: Option<String>,
    /// Audiences of which a token must have one. Default: http.publicURL, else introspection.clientID.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 2048)))]
    pub audiences: Vec<String>,
    /// URL of the authorization server's keys, where they are not to be discovered. Default: discovered.
    #[serde(rename = "jwksURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s#]+$"))]
    pub jwks_url: Option<String>,
    /// Signature algorithms that are accepted. Default: [RS256, PS256, ES256, ES384, EdDSA].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub algorithms: Vec<SignatureAlgorithm>,
    /// Scopes that a token must have, all of them; others are refused with 403. Default: none. Example: [mcp].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128), regex(pattern = r"^[!#-\[\]-~]+$")))]
    pub required_scopes: Vec<String>,
    /// By how much the clocks of the two servers may differ, at most 5m. Default: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew: Option<Duration>,
    /// Asks the authorization server about tokens that are no JWTs (RFC 7662). Default: such tokens are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Introspection>,
}

impl OAuth2 {
    /// The algorithms in force.
    #[must_use]
    pub fn algorithms(&self) -> &[SignatureAlgorithm] {
        use SignatureAlgorithm::{ES256, ES384, EdDSA, PS256, RS256};
        const DEFAULT: &[SignatureAlgorithm] = &[RS256, PS256, ES256, ES384, EdDSA];
        if self.algorithms.is_empty() { DEFAULT } else { &self.algorithms }
    }

    /// The clock skew in force.
    #[must_use]
    pub fn clock_skew(&self) -> Duration {
        self.clock_skew.unwrap_or(Duration::from_secs(60))
    }

    /// The audiences in force, given the URL under which clients know the server.
    #[must_use]
    pub fn audiences<'c>(&'c self, public_url: Option<&'c str>) -> Vec<&'c str> {
        if !self.audiences.is_empty() {
            return self.audiences.iter().map(String::as_str).collect();
        }
        let client_id =
            self.introspection.as_ref().and_then(|introspection| introspection.client_id.as_deref());
        public_url.or(client_id).into_iter().collect()
    }

    /// Whether the audience is the client id, for want of another one. ID tokens have the same audience, so it does not
    /// show that a token is an access token.
    #[must_use]
    pub fn audience_is_client(&self, public_url: Option<&str>) -> bool {
        self.audiences.is_empty() && public_url.is_none()
    }
}

/// Signature algorithms (RFC 7518, RFC 8037). There are none with shared secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum SignatureAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

/// How to ask an authorization server about a token (RFC 7662).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Introspection {
    /// URL of the introspection endpoint. Default: discovered from the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s#]+$"))]
    pub url: Option<String>,
    /// Name under which the server asks. Default: none; it must be set.
    #[serde(rename = "clientID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub client_id: Option<String>,
    /// The secret that goes with it. Required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretRef>,
}
