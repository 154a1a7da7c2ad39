//! One client, as far as its address can tell.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address as it is; of an IPv6 address the network of 64 bits, since a client that has one of its addresses has
/// all of them.
#[must_use]
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}
