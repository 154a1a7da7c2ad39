//! What clients are told of where to get a token: Protected Resource Metadata (RFC 9728) and challenges (RFC 6750).

use bytes::Bytes;
use http::HeaderValue;
use mcp_server_config::ServiceConfig;
use serde_json::json;

/// Where metadata are, for a resource without a path.
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata of the server, and where they are.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// The document.
    pub document: Bytes,
    /// Its URL, as challenges name it.
    url: String,
    /// The paths at which it is served.
    paths: [String; 3],
    /// All scopes that a token must have, apart by spaces.
    scopes: String,
}

impl Metadata {
    /// None where no authorization server is configured, or nobody said under which URL clients know this server.
    #[must_use]
    pub fn of(config: &ServiceConfig, path: &str) -> Option<Self> {
        let oauth2 = config.auth.oauth2.as_ref()?;
        let resource = config.http.public_url.as_deref()?;
        let (origin, public_path) = split(resource);
        // Refresh tokens are between the client and the authorization server.
        let scopes: Vec<_> = oauth2
            .required_scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| *scope != "offline_access")
            .collect();
        let mut document = json!({
            "resource": resource,
            "authorization_servers": [oauth2.issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": config.server_name(),
        });
        if !scopes.is_empty() {
            document["scopes_supported"] = json!(scopes);
        }
        Some(Self {
            document: document.to_string().into(),
            url: format!("{origin}{WELL_KNOWN}{public_path}"),
            // What stands before the server may have taken a part of the path away.
            paths: [
                format!("{WELL_KNOWN}{public_path}"),
                format!("{WELL_KNOWN}{path}"),
                WELL_KNOWN.to_owned(),
            ],
            scopes: scopes.join(" "),
        })
    }

    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        path.starts_with(WELL_KNOWN) && self.paths.iter().any(|own| own == path)
    }
}

/// What a challenge says besides the error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Challenge<'c> {
    pub error: Option<&'c str>,
    pub description: Option<&'c str>,
}

impl Challenge<'_> {
    /// The value of `WWW-Authenticate`. Metadata are absent where there is no OAuth: then no client goes looking for an
    /// authorization server.
    #[must_use]
    pub fn header(self, metadata: Option<&Metadata>) -> HeaderValue {
        let mut parts = Vec::new();
        let mut add = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                parts.push(format!("{name}=\"{value}\""));
            }
        };
        add("error", self.error);
        add("error_description", self.description);
        add("resource_metadata", metadata.map(|metadata| metadata.url.as_str()));
        add("scope", metadata.map(|metadata| metadata.scopes.as_str()));
        let text =
            if parts.is_empty() { "Bearer".to_owned() } else { format!("Bearer {}", parts.join(", ")) };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

/// Origin and path of a URL; the path without a slash at the end.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    url.split_at(url[host..].find('/').map_or(url.len(), |at| host + at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_server_config::OAuth2;

    fn config(public_url: Option<&str>, scopes: &[&str]) -> ServiceConfig {
        let mut config = ServiceConfig::default();
        config.http.public_url = public_url.map(str::to_owned);
        config.auth.oauth2 = Some(OAuth2 {
            issuer: Some("https://id.example.com".into()),
            required_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..OAuth2::default()
        });
        config
    }

    #[test]
    fn says_what_clients_need() {
        let metadata =
            Metadata::of(&config(Some("https://mcp.example.com/a/mcp"), &["mcp", "offline_access"]), "/mcp")
                .unwrap();
        let document: serde_json::Value = serde_json::from_slice(&metadata.document).unwrap();
        assert_eq!(
            document,
            json!({
                "resource": "https://mcp.example.com/a/mcp",
                "authorization_servers": ["https://id.example.com"],
                "bearer_methods_supported": ["header"],
                "resource_name": "production-mcp-server",
                "scopes_supported": ["mcp"],
            })
        );
        for (path, here) in [
            ("/.well-known/oauth-protected-resource", true),
            ("/.well-known/oauth-protected-resource/mcp", true),
            ("/.well-known/oauth-protected-resource/a/mcp", true),
            ("/.well-known/oauth-protected-resource/", false),
            ("/.well-known/oauth-protected-resource/b", false),
            ("/mcp", false),
        ] {
            assert_eq!(metadata.is_at(path), here, "{path}");
        }
        let challenge =
            Challenge { error: Some("invalid_token"), description: Some("the token has expired") };
        assert_eq!(
            challenge.header(Some(&metadata)),
            "Bearer error=\"invalid_token\", error_description=\"the token has expired\", \
             resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource/a/mcp\", scope=\"mcp\""
        );
    }

    #[test]
    fn says_nothing_where_there_is_nothing_to_say() {
        assert!(Metadata::of(&config(None, &[]), "/mcp").is_none());
        assert!(Metadata::of(&ServiceConfig::default(), "/mcp").is_none());
        assert_eq!(Challenge::default().header(None), "Bearer");
        let root = Metadata::of(&config(Some("https://mcp.example.com"), &[]), "/mcp").unwrap();
        assert_eq!(
            Challenge::default().header(Some(&root)),
            "Bearer resource_metadata=\"https://mcp.example.com/.well-known/oauth-protected-resource\""
        );
    }
}
