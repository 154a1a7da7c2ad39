//! Which addresses the server lets itself connect to.
//!
//! Somebody who can make a server fetch a URL of theirs makes it knock at doors that only it can reach: the metadata
//! service of a cloud, an admin port on loopback, a neighbour in the cluster. So a URL that does not stand in the
//! configuration leads to public addresses only. Names are resolved once, every address is judged, and the connection
//! goes to an address that was judged: a name that changes its mind between the two is of no use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mcp_server_config::Outbound;
use mcp_server_config::outbound::Exception;

/// How far a URL is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guard {
    /// Its host stands in the configuration word for word: it may be anywhere, private networks included.
    Configured,
    /// It was learned from elsewhere (a discovery document, a redirect, an argument): only public addresses, and what
    /// `outbound.allowPrivate` names.
    Learned,
}

/// The exceptions in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    exceptions: Vec<Exception>,
}

impl Policy {
    pub(super) fn new(outbound: &Outbound) -> Self {
        Self {
            exceptions: outbound.allow_private.iter().filter_map(|entry| Exception::parse(entry)).collect(),
        }
    }

    /// Whether a connection to `address`, to which `host` resolved, may be made.
    pub(super) fn permits(&self, guard: Guard, host: &str, address: IpAddr) -> bool {
        guard == Guard::Configured
            || is_public(address)
            || self.exceptions.iter().any(|exception| exception.names(host) || exception.contains(address))
    }
}

/// Whether an address is one of the public internet. In doubt it is not.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    // An IPv4 address in IPv6 clothes is connected to as the IPv4 address that it is.
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The registry of special-purpose addresses (RFC 6890 and its successors), as networks and prefix lengths.
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    SPECIAL_V4.iter().all(|(network, length)| (bits ^ u32::from(*network)).leading_zeros() < *length)
}

/// Only 2000::/3 is given out to the public. Everything else goes with that: loopback, link-local, unique local,
/// multicast, and the translated IPv4 addresses of NAT64 (64:ff9b::/96), which may stand for any private one. Within it,
/// parts are for protocols (Teredo among them), for documentation, and for 6to4, which carries IPv4 addresses.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let protocols = segments[0] == 0x2001 && segments[1] < 0x0200;
    let documentation =
        (segments[0] == 0x2001 && segments[1] == 0x0db8) || (segments[0] == 0x3fff && segments[1] < 0x1000);
    let six_to_four = segments[0] == 0x2002;
    segments[0] & 0xe000 == 0x2000 && !protocols && !documentation && !six_to_four
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_special_is_public() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn exceptions_are_for_learned_urls() {
        let policy = |entries: &[&str]| {
            Policy::new(&Outbound { allow_private: entries.iter().map(|&entry| entry.to_owned()).collect() })
        };
        let private: IpAddr = "10.1.2.3".parse().unwrap();
        assert!(policy(&[]).permits(Guard::Configured, "x", private));
        assert!(!policy(&[]).permits(Guard::Learned, "x", private));
        assert!(policy(&["10.1.0.0/16"]).permits(Guard::Learned, "x", private));
        assert!(!policy(&["10.2.0.0/16"]).permits(Guard::Learned, "x", private));
        assert!(policy(&["idp.corp"]).permits(Guard::Learned, "idp.corp", private));
        assert!(policy(&[".corp"]).permits(Guard::Learned, "idp.corp", private));
        assert!(!policy(&[".corp"]).permits(Guard::Learned, "idp.corp.evil.example", private));
    }
}
