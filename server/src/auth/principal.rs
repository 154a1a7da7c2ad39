//! Who calls, once it is settled.

use std::net::IpAddr;
use std::sync::Arc;

/// Somebody who proved who they are. Made once for each key, and once for each token while it is remembered: a request
/// only counts a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The id of the key, or the subject of the token. Distinct only together with [`Principal::kind`].
    pub id: Arc<str>,
    pub kind: PrincipalKind,
}

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// By one of the server's own API keys.
    ApiKey,
    /// By a token of an authorization server.
    Token,
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
