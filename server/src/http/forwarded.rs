//! The address of a client behind proxies. Anybody can write the headers that tell it; only what a trusted proxy wrote is
//! believed, which is read from the right.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;

/// Networks whose word on addresses is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted(Vec<Network>);

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    /// As of IPv6; an IPv4 address is mapped.
    address: u128,
    mask: u128,
}

impl Trusted {
    /// Networks as `rateLimit.trustedProxies` writes them; what is none was refused before.
    #[must_use]
    pub fn new(networks: &[String]) -> Self {
        Self(networks.iter().filter_map(|text| Network::parse(text)).collect())
    }

    /// Where the client is: the last address on the way here that is no trusted proxy's. Where all are, the first.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.0.is_empty() || !self.contains(peer) {
            return peer;
        }
        let mut client = peer;
        for hop in hops(headers) {
            // A proxy that hides an address, or writes nonsense, is as far as the trail goes.
            let Some(address) = hop else { break };
            client = address;
            if !self.contains(address) {
                break;
            }
        }
        client
    }

    fn contains(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        self.0.iter().any(|network| bits & network.mask == network.address)
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().ok()?;
        let most: u32 = if address.is_ipv4() { 32 } else { 128 };
        let length =
            length.map_or(Some(most), |length| length.parse().ok().filter(|length| *length <= most))?;
        let mask = u128::MAX.checked_shl(most - length).unwrap_or(0);
        Some(Self { address: bits(address) & mask, mask })
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The addresses on the way, the nearest first; none for one that cannot be read. Where a proxy sent `Forwarded`
/// (RFC 7239), that counts; else `X-Forwarded-For`.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let (name, of_forwarded) =
        if headers.contains_key(FORWARDED) { (FORWARDED.as_str(), true) } else { ("x-forwarded-for", false) };
    let lines: Vec<_> = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("?")).collect();
    let elements = lines.iter().rev().flat_map(|line| line.rsplit(','));
    elements.map(|element| if of_forwarded { for_of(element) } else { node(element.trim()) }).collect()
}

/// The `for` of one element of `Forwarded`.
fn for_of(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    node(value.trim_matches('"'))
}

/// An address, perhaps with a port, in brackets where it is IPv6 with a port or in `Forwarded`.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|node| node.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn client(peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        let trusted = Trusted::new(&["10.0.0.0/8".into(), "fd00::/8".into(), "192.0.2.9".into()]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        trusted.client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_s() {
        for (peer, headers, expected) in [
            // A stranger's word is worth nothing.
            ("198.51.100.1", vec![("x-forwarded-for", "203.0.113.7")], "198.51.100.1"),
            ("10.0.0.1", vec![("x-forwarded-for", "203.0.113.7")], "203.0.113.7"),
            // What the client wrote itself stands further left.
            ("10.0.0.1", vec![("x-forwarded-for", "1.1.1.1, 203.0.113.7, 10.2.3.4")], "203.0.113.7"),
            (
                "10.0.0.1",
                vec![("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.7")],
                "203.0.113.7",
            ),
            ("10.0.0.1", vec![("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            ("10.0.0.1", vec![("x-forwarded-for", "203.0.113.7:1234")], "203.0.113.7"),
            ("10.0.0.1", vec![("x-forwarded-for", "[2001:db8::1]:1234")], "2001:db8::1"),
            ("10.0.0.1", vec![("x-forwarded-for", "203.0.113.7, nonsense")], "10.0.0.1"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("::ffff:10.0.0.1", vec![("x-forwarded-for", "203.0.113.7")], "203.0.113.7"),
            (
                "fd00::1",
                vec![("forwarded", "for=1.1.1.1, for=\"[2001:db8::7]:80\";proto=https")],
                "2001:db8::7",
            ),
            (
                "192.0.2.9",
                vec![("forwarded", "For=203.0.113.7"), ("x-forwarded-for", "1.1.1.1")],
                "203.0.113.7",
            ),
            ("192.0.2.9", vec![("forwarded", "for=203.0.113.7, for=_hidden")], "192.0.2.9"),
            ("192.0.2.8", vec![("forwarded", "for=203.0.113.7")], "192.0.2.8"),
        ] {
            assert_eq!(client(peer, &headers), expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn without_proxies_the_peer_is_the_client() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        assert_eq!(Trusted::default().client(peer, &headers), peer);
        assert_eq!(Trusted::new(&["0.0.0.0/0".into()]).client(peer, &headers).to_string(), "203.0.113.7");
    }
}
