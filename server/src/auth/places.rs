//! Where a server on this machine leaves what `mcp-server call` needs to find it: `${XDG_STATE_HOME}/mcp-server`.
//!
//! - `<address>.json`: a generated key of the server at that address, unless the configuration names a file for it;
//! - `servers/<address>.json`: which file holds the keys of the server at that address.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::auth::private_file::write_private;
use crate::environment::Environment;

/// The directory of state, if the environment has one.
#[derive(Clone, Debug)]
pub struct Places(PathBuf);

/// What is known of a server that was started here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerRecord {
    pub url: String,
    pub keys_file: PathBuf,
}

impl Places {
    /// `$XDG_STATE_HOME/mcp-server`, or `~/.local/state/mcp-server`.
    #[must_use]
    pub fn find(environment: &Environment) -> Option<Self> {
        let absolute = |name| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state =
            absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        state.map(|state| Self(state.join("mcp-server")))
    }

    /// Where the generated key of the server at `address` is kept.
    #[must_use]
    pub fn generated_key(&self, address: SocketAddr) -> PathBuf {
        self.0.join(file_name(address))
    }

    /// Says which file holds the keys of the server at `address`.
    ///
    /// # Errors
    /// Where the directory cannot be written.
    pub fn remember(&self, address: SocketAddr, record: &ServerRecord) -> io::Result<()> {
        let text = serde_json::to_string(record).map_err(io::Error::other)?;
        write_private(&self.0.join("servers").join(file_name(address)), &text)
    }

    /// The server that a caller of `host:port` on this machine reaches: the one at that address, or at all addresses.
    #[must_use]
    pub fn recall(&self, host: &str, port: u16) -> Option<ServerRecord> {
        let host = host.trim_matches(['[', ']']);
        let ip: IpAddr = if host == "localhost" { [127, 0, 0, 1].into() } else { host.parse().ok()? };
        let anywhere: [IpAddr; 2] = [[0, 0, 0, 0].into(), [0_u16; 8].into()];
        let loopback: [IpAddr; 2] = [[127, 0, 0, 1].into(), [0, 0, 0, 0, 0, 0, 0, 1_u16].into()];
        let others = if ip.is_loopback() { &loopback[..] } else { &[] };
        [ip].iter().chain(others).chain(&anywhere).find_map(|ip| {
            let path = self.0.join("servers").join(file_name(SocketAddr::new(*ip, port)));
            serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
        })
    }
}

fn file_name(address: SocketAddr) -> String {
    let ip = address.ip().to_string().replace(':', "_");
    format!("{ip}-{}.json", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_at_all_addresses_is_found_by_any_name_of_this_machine() {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment::from([("HOME", home.path().to_str().unwrap())]);
        let places = Places::find(&environment).unwrap();
        let record = |name: &str| ServerRecord { url: format!("http://{name}/mcp"), keys_file: name.into() };
        places.remember("0.0.0.0:8080".parse().unwrap(), &record("all")).unwrap();
        places.remember("127.0.0.1:8081".parse().unwrap(), &record("loopback")).unwrap();
        places.remember("[::1]:8082".parse().unwrap(), &record("six")).unwrap();
        for (host, port, expected) in [
            ("localhost", 8080, Some("all")),
            ("127.0.0.1", 8080, Some("all")),
            ("192.0.2.7", 8080, Some("all")),
            ("localhost", 8081, Some("loopback")),
            ("192.0.2.7", 8081, None),
            ("[::1]", 8082, Some("six")),
            ("localhost", 8082, Some("six")),
            ("example.com", 8080, None),
        ] {
            assert_eq!(places.recall(host, port), expected.map(record), "{host}:{port}");
        }
    }
}
