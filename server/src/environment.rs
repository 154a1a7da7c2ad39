//! The environment of the process, taken once: tests pass their own instead of changing everybody's.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Environment variables.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// What this process was started with. Variables that are not Unicode are none of ours.
    #[must_use]
    pub fn of_process() -> Self {
        let unicode = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self(unicode.collect())
    }

    /// The value of a variable; an empty one counts as not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether this is a container of a cluster.
    #[must_use]
    pub fn in_cluster(&self) -> bool {
        self.get("KUBERNETES_SERVICE_HOST").is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone()))
    }
}

/// The address at which a program on this machine reaches a server that listens at `address`.
#[must_use]
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_addresses_are_reached_by_loopback() {
        for (address, reached) in
            [("0.0.0.0:9090", "127.0.0.1:9090"), ("[::]:1", "[::1]:1"), ("192.0.2.1:2", "192.0.2.1:2")]
        {
            assert_eq!(super::reachable(address.parse().unwrap()).to_string(), reached);
        }
    }
}
