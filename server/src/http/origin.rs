//! Which hosts a request may be addressed to, and which web pages may send one: the guard against DNS rebinding, where a
//! page of a stranger reaches a server on this machine under a name of its own (specification, "Security Warning").

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};
use mcp_server_config::{AddressHosts, Http};

use crate::protocol::errors::{Code, Fault};

/// The hosts and origins that are allowed.
#[derive(Debug, Default)]
pub struct Gate {
    hosts: Vec<String>,
    /// Whether any IP address is an allowed host.
    addresses: bool,
    origins: Vec<String>,
}

impl Gate {
    #[must_use]
    pub fn new(http: &Http, addresses: AddressHosts) -> Self {
        let host = |host: &String| {
            let name = host_of(host).unwrap_or(host);
            name.to_ascii_lowercase()
        };
        let public = http.public_url.as_deref().and_then(authority_of).and_then(host_of);
        let origin = |origin: &String| without_default_port(&origin.to_ascii_lowercase()).to_owned();
        Self {
            addresses: addresses == AddressHosts::Allow,
            hosts: http.allowed_hosts.iter().map(host).chain(public.map(str::to_ascii_lowercase)).collect(),
            origins: http.allowed_origins.iter().map(origin).collect(),
        }
    }

    /// The origin of the page that sends the request, where a browser names one, after host and origin were checked.
    ///
    /// # Errors
    /// Where one of them is not allowed.
    pub fn check<'h>(&self, uri: &Uri, headers: &'h HeaderMap) -> Result<Option<&'h HeaderValue>, Fault> {
        let host = self.check_host(uri, headers)?;
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(None) };
        if origins.next().is_none() && origin.to_str().is_ok_and(|origin| self.allows_origin(origin, host)) {
            return Ok(Some(origin));
        }
        let message = format!(
            "origin {origin:?} is not allowed; http.allowedOrigins lists the web pages that may call"
        );
        Err(Fault::new(Code::Forbidden, message))
    }

    /// The host that the request is addressed to. Where the request line names one, it counts (RFC 9112, section
    /// 3.2.2), but the header must be allowed as well: proxies differ in which they believe.
    fn check_host<'h>(&self, uri: &'h Uri, headers: &'h HeaderMap) -> Result<&'h str, Fault> {
        let mut named = None;
        if headers.get_all(HOST).iter().nth(1).is_some() {
            return Err(Fault::new(Code::InvalidRequest, "the request has the header Host twice"));
        }
        let of_line = uri.authority().map(http::uri::Authority::as_str);
        let of_header = headers.get_all(HOST).iter().map(|value| value.to_str().unwrap_or_default());
        for authority in of_line.into_iter().chain(of_header) {
            let host = host_of(authority).filter(|host| self.allows_host(host)).ok_or_else(|| {
                let message = format!(
                    "host {authority:?} is not allowed; http.allowedHosts lists the names under which this server is reached"
                );
                Fault::new(Code::Forbidden, message)
            })?;
            if !named.get_or_insert(host).eq_ignore_ascii_case(host) {
                let message = format!(
                    "the request names two different hosts: {:?} in its first line, {authority:?} in the header Host",
                    of_line.unwrap_or_default()
                );
                return Err(Fault::new(Code::InvalidRequest, message));
            }
        }
        named.ok_or_else(|| Fault::new(Code::Forbidden, "the request names no host; send the header Host"))
    }

    fn allows_host(&self, host: &str) -> bool {
        is_loopback(host)
            || self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
            || (self.addresses && is_address(host))
    }

    fn allows_origin(&self, origin: &str, host: &str) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let same_host = host_of(authority).is_some_and(|name| name.eq_ignore_ascii_case(host));
        let plain = without_default_port(origin);
        (web && same_host) || self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(plain))
    }
}

/// The host of `host[:port]`, without the brackets of an IPv6 address and without a trailing dot. None where it is
/// something else.
fn host_of(authority: &str) -> Option<&str> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(literal) => literal.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = rest.strip_prefix(':').unwrap_or(rest);
    let plain = !host.is_empty() && !host.contains(['@', '/', '[', ']']);
    let host = host.strip_suffix('.').unwrap_or(host);
    (plain && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

/// The host and port of a URL.
fn authority_of(url: &str) -> Option<&str> {
    url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest))
}

fn is_address(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

fn without_default_port(origin: &str) -> &str {
    let default = if origin.starts_with("https:") { ":443" } else { ":80" };
    origin.strip_suffix(default).unwrap_or(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, pairs: &[(&'static str, &str)]) -> bool {
        check_with(AddressHosts::Refuse, uri, pairs)
    }

    fn check_with(addresses: AddressHosts, uri: &str, pairs: &[(&'static str, &str)]) -> bool {
        let http = Http {
            allowed_hosts: vec!["mcp.example.com".into(), "hello.default.svc".into(), "2001:db8::1".into()],
            allowed_origins: vec!["https://App.example.com:443".into(), "http://dev.example.com:3000".into()],
            public_url: Some("https://public.example.com:8443/mcp".into()),
            ..Http::default()
        };
        let gate = Gate::new(&http, addresses);
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        gate.check(&uri.parse().unwrap(), &headers).is_ok()
    }

    #[test]
    fn hosts() {
        for (host, allowed) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("localhost.", true),
            ("127.0.0.1:8080", true),
            ("127.3.2.1", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("mcp.example.com", true),
            ("MCP.Example.Com:443", true),
            ("mcp.example.com.:443", true),
            ("hello.default.svc:80", true),
            ("public.example.com", true),
            ("[2001:db8::1]:80", true),
            ("evil.example.com", false),
            ("mcp.example.com.evil.com", false),
            ("evil.com:80@mcp.example.com", false),
            ("localhost.evil.com", false),
            ("localhost:port", false),
            ("10.0.0.1", false),
            ("[::2]", false),
            ("[::1", false),
            ("::1", false),
            ("", false),
        ] {
            assert_eq!(check("/mcp", &[("host", host)]), allowed, "{host:?}");
        }
        assert!(!check("/mcp", &[]), "no host at all");
        assert!(check("http://localhost/mcp", &[]), "HTTP/2 names it in the request line");
        assert!(!check("http://localhost/mcp", &[("host", "evil.com")]));
        assert!(!check("http://evil.com/mcp", &[("host", "localhost")]));
        assert!(!check("http://localhost/mcp", &[("host", "127.0.0.1")]), "both are allowed, and differ");
        assert!(check("http://LOCALHOST:80/mcp", &[("host", "localhost:8080")]));
        assert!(!check("/mcp", &[("host", "localhost"), ("host", "localhost")]));
        assert!(!check("/mcp", &[("host", "localhost"), ("host", "evil.com")]));
    }

    #[test]
    fn any_address_is_a_host_behind_a_node_port_and_no_other_name() {
        for (host, allowed) in [
            ("10.0.0.1:30080", true),
            ("[2001:db8::2]:30080", true),
            ("mcp.example.com", true),
            ("evil.example.com", false),
            ("10.0.0.1.evil.com", false),
            ("10.0.0", false),
            ("0x0a000001", false),
        ] {
            assert_eq!(check_with(AddressHosts::Allow, "/mcp", &[("host", host)]), allowed, "{host:?}");
        }
        let rebound = [("host", "10.0.0.1:30080"), ("origin", "http://evil.example.com")];
        assert!(!check_with(AddressHosts::Allow, "/mcp", &rebound));
    }

    #[test]
    fn origins() {
        for (host, origin, allowed) in [
            ("localhost:8080", "http://localhost:6274", true),
            ("localhost:8080", "http://127.0.0.1:8080", false),
            ("mcp.example.com", "https://mcp.example.com", true),
            ("mcp.example.com", "https://app.example.com", true),
            ("localhost", "http://dev.example.com:3000", true),
            ("localhost", "http://dev.example.com", false),
            ("localhost", "http://evil.example", false),
            ("localhost", "https://localhost.evil.example", false),
            ("localhost", "null", false),
            ("localhost", "file://localhost", false),
            ("localhost", "", false),
        ] {
            assert_eq!(check("/mcp", &[("host", host), ("origin", origin)]), allowed, "{host} {origin}");
        }
    }
}
