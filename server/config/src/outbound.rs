//! Where the server may connect to on its own account.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the server may connect to. Public addresses always; private ones only where the configuration names the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outbound {
    /// Private places that URLs may lead to which do not stand in this configuration word for word: those in documents
    /// of an identity provider, and those of tools whose host is filled in. Networks (10.1.0.0/16), addresses, host
    /// names, or domains with all below them (.corp.example.com). Default: none. Example: [10.1.0.0/16].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9.:_/-]+$")))]
    pub allow_private: Vec<String>,
}

/// One entry of [`Outbound::allow_private`], read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exception {
    /// Every address in a network.
    Network(Network),
    /// One host name, in lower case.
    Host(String),
    /// Every host below a domain; begins with a dot.
    Domain(String),
}

impl Exception {
    /// Reads an entry; none where it is neither a network, an address nor a name.
    #[must_use]
    pub fn parse(entry: &str) -> Option<Self> {
        if let Some(network) = Network::parse(entry) {
            return Some(Self::Network(network));
        }
        let name = entry.to_ascii_lowercase();
        let labels = name.strip_prefix('.').unwrap_or(&name);
        let of_letters = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        // Four numbers are an address that was mistyped, and nothing but trouble as a name.
        let numeric = labels.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if numeric || !labels.split('.').all(of_letters) {
            return None;
        }
        Some(if name.starts_with('.') { Self::Domain(name) } else { Self::Host(name) })
    }

    /// Whether it covers a host, by its name.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match self {
            Self::Network(_) => false,
            Self::Host(name) => *name == host,
            Self::Domain(domain) => host.len() > domain.len() && host.ends_with(domain.as_str()),
        }
    }

    /// Whether it covers an address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.contains(address))
    }
}

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, or an address, which is a network of its own. Bits behind the prefix do not count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether an address lies in it. An IPv4 address written as IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => self.shared_v4(network, address),
            (IpAddr::V6(network), IpAddr::V6(address)) => self.shared_v6(network, address),
            _ => false,
        }
    }

    fn shared_v4(&self, network: Ipv4Addr, address: Ipv4Addr) -> bool {
        let differing = u32::from(network) ^ u32::from(address);
        differing.leading_zeros() >= u32::from(self.bits)
    }

    fn shared_v6(&self, network: Ipv6Addr, address: Ipv6Addr) -> bool {
        let differing = u128::from(network) ^ u128::from(address);
        differing.leading_zeros() >= u32::from(self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let network = |text| Network::parse(text).unwrap();
        for (net, address, inside) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.8", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "10.1.1.1", false),
        ] {
            assert_eq!(network(net).contains(address.parse().unwrap()), inside, "{net} {address}");
        }
        for bad in ["10.0.0.0/33", "fd00::/129", "10.0.0/8", "10.0.0.0/", "x/8", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_cover_themselves_and_domains_what_is_below() {
        let covers = |entry: &str, host: &str| Exception::parse(entry).unwrap().names(host);
        assert!(covers("idp.corp", "IDP.corp.") && !covers("idp.corp", "x.idp.corp"));
        assert!(covers(".corp", "idp.corp") && !covers(".corp", "corp") && !covers(".corp", "evilcorp"));
        for bad in ["", ".", "a..b", "10.0.0.0.1", "10.0.0.0/40", "a b", "*.corp", "http://x"] {
            assert_eq!(Exception::parse(bad), None, "{bad}");
        }
    }
}
