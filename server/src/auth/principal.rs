//! Who calls, once it is settled.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

/// Somebody who proved who they are. Made once for each key, and once for each token while it is remembered: a request
/// only counts a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The id of the key, or the subject of the token. Distinct only together with [`Principal::kind`].
    pub id: Arc<str>,
    pub kind: PrincipalKind,
    /// What the key or the token is good for, sorted, each once.
    pub scopes: Vec<Box<str>>,
    /// What the authorization server says of the caller. Absent for API keys.
    pub claims: Option<Map<String, Value>>,
    /// How often this caller may ask, where it is not what `rateLimit` says.
    pub limit: Option<Limit>,
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// By one of the server's own API keys.
    ApiKey,
    /// By a token of an authorization server.
    Token,
}

/// A limit of one caller's own. What is absent is what `rateLimit` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub requests_per_minute: Option<u32>,
    /// Requests that may come at once.
    pub burst: Option<u32>,
}

impl Principal {
    /// Somebody of whom nothing but the name is known.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>, kind: PrincipalKind) -> Self {
        Self { id: id.into(), kind, scopes: Vec::new(), claims: None, limit: None }
    }

    /// Whether the key or token is good for `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.binary_search_by(|held| (**held).cmp(scope)).is_ok()
    }
}

/// Sorts scopes as a [`Principal`] holds them.
#[must_use]
pub fn sorted_scopes<'s>(scopes: impl IntoIterator<Item = &'s str>) -> Vec<Box<str>> {
    let mut scopes: Vec<Box<str>> = scopes.into_iter().map(Box::from).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// Who sends a message, and from where.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// Absent where nobody had to say.
    pub principal: Option<Arc<Principal>>,
    /// Address of the client. Absent behind standard input and output.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// The id of the principal, where there is one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.principal.as_deref().map(|principal| &*principal.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_found_whatever_their_order() {
        let mut principal = Principal::new("a", PrincipalKind::Token);
        assert!(!principal.has_scope("x"));
        principal.scopes = sorted_scopes("write read write".split(' '));
        assert_eq!(principal.scopes.len(), 2);
        assert!(principal.has_scope("read") && principal.has_scope("write") && !principal.has_scope("rea"));
    }
}
