//! Where a URL leads.

use http::Uri;
use http::uri::Scheme;

use super::error::OutboundError;
use super::guard::Guard;

/// One upstream. Connections are shared only among URLs that are trusted alike: a connection that one was allowed to
/// open is not there for another that was not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) tls: bool,
    /// Lower case, without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) guard: Guard,
}

impl Target {
    /// # Errors
    /// Where the URL is not absolute, of another scheme, or says who it is for.
    pub(super) fn of(url: &Uri, guard: Guard) -> Result<Self, OutboundError> {
        let tls = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => {
                return Err(OutboundError::Url("only URLs that begin with https:// or http:// can be asked"));
            }
        };
        let authority = url.authority().ok_or(OutboundError::Url("the URL has no host"))?;
        if authority.as_str().contains('@') {
            return Err(OutboundError::Url("the URL holds a user or password; send a header instead"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(OutboundError::Url("the URL has no host"));
        }
        let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
            None | Some("") if tls => 443,
            None | Some("") => 80,
            Some(port) => {
                port.parse().map_err(|_| OutboundError::Url("the URL has a port that is not one"))?
            }
        };
        Ok(Self { tls, host, port, guard })
    }

    /// Host and port, for messages and labels.
    pub(super) fn name(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_host_and_port() {
        let of = |url: &str| {
            Target::of(&url.parse().unwrap(), Guard::Configured).map(|target| (target.tls, target.name()))
        };
        assert_eq!(of("https://API.example.com/x?y").unwrap(), (true, "api.example.com:443".to_owned()));
        assert_eq!(of("http://a:8080").unwrap(), (false, "a:8080".to_owned()));
        assert_eq!(of("http://[::1]:81/").unwrap(), (false, "[::1]:81".to_owned()));
        assert_eq!(of("https://[::1]").unwrap(), (true, "[::1]:443".to_owned()));
        for bad in ["ftp://a/", "/path", "https://user:canary@a/", "http://@a/"] {
            let error = of(bad).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
