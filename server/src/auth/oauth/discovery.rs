//! Where an authorization server keeps its keys and answers questions (RFC 8414, OpenID Connect Discovery).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Request};
use serde::Deserialize;

use crate::auth::oauth::fetch::{Bounds, Fetch, FetchError, Trust};

/// The largest document or set of keys that is read.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// What is known of an authorization server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    pub jwks_uri: Option<String>,
    pub introspection_endpoint: Option<String>,
}

/// Why nothing was discovered.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("{url}: {source}")]
    Fetch { url: String, source: FetchError },
    #[error("{url} answered with status {status}")]
    Status { url: String, status: u16 },
    #[error("{url} is no metadata of an authorization server (JSON with issuer and jwks_uri)")]
    Shape { url: String, source: serde_json::Error },
    #[error("{url} is of the issuer {found:?}; auth.oauth2.issuer must be written the very same way")]
    Issuer { url: String, found: String },
    #[error("the issuer {0:?} has no host")]
    NoHost(String),
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Option<String>,
    introspection_endpoint: Option<String>,
}

/// Where metadata may be, the standard's place first: for an issuer with a path both before and behind it.
#[must_use]
pub fn places(issuer: &str) -> Vec<String> {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    let host = issuer.find("://").map_or(0, |at| at + 3);
    let path = issuer[host..].find('/').map_or(issuer.len(), |at| host + at);
    let (origin, path) = issuer.split_at(path);
    let mut places = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        places.push(format!("{issuer}/.well-known/openid-configuration"));
    }
    places
}

/// How far a URL is trusted that the metadata of an issuer names: one at the issuer's own place as far as the issuer.
#[must_use]
pub fn trust(url: &str, issuer: &str) -> Trust {
    let origin = |url: &str| {
        let uri: http::Uri = url.parse().ok()?;
        let authority = uri.authority()?.as_str().to_ascii_lowercase();
        Some((uri.scheme_str()?.to_owned(), authority))
    };
    match (origin(url), origin(issuer)) {
        (Some(one), Some(other)) if one == other => Trust::Configured,
        _ => Trust::Learned,
    }
}

/// Asks each place until one answers.
///
/// # Errors
/// With what the last place had to say, but for "not found", which says least.
pub async fn discover(
    fetch: &Arc<dyn Fetch>,
    issuer: &str,
    time: Duration,
) -> Result<Discovered, DiscoveryError> {
    let mut worst = DiscoveryError::NoHost(issuer.to_owned());
    for url in places(issuer) {
        match ask(fetch, issuer, &url, time).await {
            Ok(discovered) => return Ok(discovered),
            Err(DiscoveryError::Status { .. }) if !matches!(worst, DiscoveryError::NoHost(_)) => {}
            Err(error) => worst = error,
        }
    }
    Err(worst)
}

async fn ask(
    fetch: &Arc<dyn Fetch>,
    issuer: &str,
    url: &str,
    time: Duration,
) -> Result<Discovered, DiscoveryError> {
    let body = get(fetch, url, Trust::Configured, time).await?;
    let metadata: Metadata = serde_json::from_slice(&body)
        .map_err(|source| DiscoveryError::Shape { url: url.to_owned(), source })?;
    // Who answers for another may hand out keys for it (RFC 8414, section 3.3).
    if metadata.issuer != issuer {
        let found = metadata.issuer.chars().take(200).collect();
        return Err(DiscoveryError::Issuer { url: url.to_owned(), found });
    }
    // What is asked in clear of a server that is asked in secret could be answered by anybody.
    let secret = |url: &String| url.starts_with("https://") || issuer.starts_with("http://");
    Ok(Discovered {
        jwks_uri: metadata.jwks_uri.filter(secret),
        introspection_endpoint: metadata.introspection_endpoint.filter(secret),
    })
}

/// Fetches a JSON document.
///
/// # Errors
/// Where there is no answer, or not one with status 200.
pub async fn get(
    fetch: &Arc<dyn Fetch>,
    url: &str,
    trust: Trust,
    time: Duration,
) -> Result<Bytes, DiscoveryError> {
    let failed = |source| DiscoveryError::Fetch { url: url.to_owned(), source };
    let request = Request::get(url)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .body(Bytes::new())
        .map_err(|_| failed(FetchError { message: "the URL cannot be read".to_owned(), reached: false }))?;
    let bounds = Bounds { trust, body: MAX_DOCUMENT, time };
    let fetched = fetch.fetch(request, bounds).await.map_err(failed)?;
    if fetched.status != 200 {
        return Err(DiscoveryError::Status { url: url.to_owned(), status: fetched.status.as_u16() });
    }
    Ok(fetched.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_where_the_standards_say() {
        assert_eq!(
            places("https://id.example.com/"),
            [
                "https://id.example.com/.well-known/oauth-authorization-server",
                "https://id.example.com/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            places("https://id.example.com/realms/main"),
            [
                "https://id.example.com/.well-known/oauth-authorization-server/realms/main",
                "https://id.example.com/.well-known/openid-configuration/realms/main",
                "https://id.example.com/realms/main/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn trusts_the_place_of_the_issuer_alone() {
        let issuer = "http://10.0.0.1:8080/realms/main";
        assert_eq!(trust("http://10.0.0.1:8080/keys", issuer), Trust::Configured);
        for other in ["http://10.0.0.1:8081/keys", "https://10.0.0.1:8080/", "http://10.0.0.2:8080/", "x", ""]
        {
            assert_eq!(trust(other, issuer), Trust::Learned, "{other}");
        }
    }
}
