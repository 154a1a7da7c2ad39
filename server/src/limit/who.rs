//! Whose requests are counted together.

use std::fmt;
use std::net::IpAddr;

use crate::address::network;
use crate::auth::principal::{Caller, PrincipalKind};

/// Somebody with a bucket of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who<'a> {
    /// Whoever proved who they are, wherever they come from.
    Principal(PrincipalKind, &'a str),
    /// Nobody knows who; but from where. IPv6 addresses count by their /64: whoever has one has all the rest of it.
    Address(IpAddr),
    /// The one client behind standard input and output.
    Local,
}

impl<'a> Who<'a> {
    #[must_use]
    pub fn of(caller: &'a Caller) -> Self {
        match (&caller.principal, caller.address) {
            (Some(principal), _) => Self::Principal(principal.kind, &principal.id),
            (None, Some(address)) => Self::Address(network(address)),
            (None, None) => Self::Local,
        }
    }
}

/// As the shared store calls them. Two of them never have the same name: the kind stands in front.
impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal(PrincipalKind::ApiKey, id) => write!(f, "key:{id}"),
            Self::Principal(PrincipalKind::Token, id) => write!(f, "sub:{id}"),
            Self::Address(address) => write!(f, "ip:{address}"),
            Self::Local => f.write_str("local"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::principal::Principal;
    use std::sync::Arc;

    fn from(address: &str) -> Caller {
        Caller { principal: None, address: Some(address.parse().unwrap()) }
    }

    #[test]
    fn principals_count_by_kind_and_id_and_strangers_by_network() {
        let known = |kind| {
            let principal = Principal::new("ci", kind);
            Caller { principal: Some(Arc::new(principal)), ..from("192.0.2.1") }
        };
        let (key, token) = (known(PrincipalKind::ApiKey), known(PrincipalKind::Token));
        assert_ne!(Who::of(&key), Who::of(&token));
        assert_eq!(Who::of(&key).to_string(), "key:ci");
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:2", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
        ] {
            assert_eq!(Who::of(&from(one)) == Who::of(&from(other)), same, "{one} {other}");
        }
        assert_eq!(Who::of(&Caller::default()), Who::Local);
    }
}
