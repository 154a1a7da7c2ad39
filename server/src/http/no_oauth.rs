//! Where API keys alone let in, OAuth clients look for an authorization server all the same: after a wrong key they ask
//! for metadata, and register at the server itself where there are none. What they show in the end is the error that they
//! find there; so it says what this server takes.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL,
};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use crate::auth::TAKES_KEYS;
use crate::dispatch::record::Record;
use crate::http::body::Payload;
use crate::http::json;
use crate::protocol::errors::Code;

/// Documents about authorization servers (RFC 8414, RFC 9728, OpenID Connect Discovery).
const DOCUMENTS: [&str; 3] =
    ["oauth-protected-resource", "oauth-authorization-server", "openid-configuration"];
/// Where clients suppose the endpoints of an authorization server without metadata (specification of 2025-03-26,
/// "Fallbacks for Servers without Metadata Discovery").
const ENDPOINTS: [&str; 3] = ["/authorize", "/token", "/register"];

/// Whether a client that asks for `path` takes this for an authorization server, or for a resource of one.
#[must_use]
pub(super) fn is_asked_for(path: &str) -> bool {
    let document = path.split_once("/.well-known/").map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    ENDPOINTS.contains(&path) || document.is_some_and(|document| DOCUMENTS.contains(&document))
}

/// The answer at such a path.
pub(super) fn answer(method: &Method, path: &str, record: &mut Record) -> Response<Payload> {
    let mut response = if method == Method::OPTIONS {
        record.ok();
        let mut response = Response::new(Payload::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        let allowed = HeaderValue::from_static("Content-Type, MCP-Protocol-Version");
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        response
    } else {
        record.fault(Code::WrongPath);
        record.refused("oauth", || format!("{path:?} is for OAuth, and {TAKES_KEYS}"));
        json(StatusCode::NOT_FOUND, error("invalid_request", TAKES_KEYS))
    };
    // A page that connects to the server is to see the error, too.
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error as OAuth clients read it (RFC 6749, section 5.2; RFC 7591, section 3.2.2).
pub(super) fn error(code: &str, description: &str) -> Bytes {
    json!({"error": code, "error_description": description}).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_oauth() {
        for (path, expected) in [
            ("/register", true),
            ("/token", true),
            ("/.well-known/oauth-protected-resource", true),
            ("/.well-known/oauth-protected-resource/mcp", true),
            ("/.well-known/oauth-authorization-server/a/mcp", true),
            ("/mcp/.well-known/openid-configuration", true),
            ("/.well-known/oauth-protected-resources", false),
            ("/.well-known/security.txt", false),
            ("/registered", false),
            ("/mcp", false),
        ] {
            assert_eq!(is_asked_for(path), expected, "{path}");
        }
    }
}
