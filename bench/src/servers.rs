//! The servers that are compared, each a process of its own on the same processor.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::machine;
use crate::wire::{Expect, FIXED, TOOL};

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Who {
    /// hyper with a fixed answer: what HTTP itself costs here.
    Floor,
    /// The official Rust SDK.
    Rmcp,
    /// This server, with nothing that can be turned off.
    Bare,
    /// This server with API keys, a rate limit, metrics, and a log line in a file for every request.
    Full,
}

impl Who {
    pub const ALL: [Self; 4] = [Self::Floor, Self::Rmcp, Self::Bare, Self::Full];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Floor => "floor (hyper, fixed answer)",
            Self::Rmcp => "rmcp 3.11.0",
            Self::Bare => "mcp-server, bare",
            Self::Full => "mcp-server, everything on",
        }
    }

    /// What its answers have to be.
    #[must_use]
    pub fn expect(self) -> Expect {
        if self == Self::Floor { Expect::Fixed(FIXED) } else { Expect::Echo }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    pub server: PathBuf,
    pub floor: PathBuf,
    pub rmcp: PathBuf,
}

/// A server that runs, until this is dropped.
#[derive(Debug)]
pub struct Server {
    pub who: Who,
    pub address: SocketAddr,
    pub keys: Vec<String>,
    /// From its start to its first accepted connection.
    pub started_in: Duration,
    child: Child,
}

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

impl Server {
    /// Starts a server on one processor. Files that it needs go into `place`; `keys` callers hold a key where it asks for
    /// keys.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(
        who: Who,
        programs: &Programs,
        place: &Path,
        processor: usize,
        keys: usize,
    ) -> io::Result<Self> {
        let address = free_address()?;
        let mut own_keys = Vec::new();
        let mut command = match who {
            Who::Floor => Command::new(&programs.floor),
            Who::Rmcp => Command::new(&programs.rmcp),
            Who::Bare | Who::Full => {
                let config = place.join(format!("{who:?}.json"));
                if who == Who::Full {
                    own_keys = (0..keys).map(|n| format!("key-{n:08}-0123456789abcdef0123456789")).collect();
                    write_keys(place, &own_keys)?;
                }
                std::fs::write(&config, format!("{:#}", settings(who, place)))?;
                let mut command = Command::new(&programs.server);
                command.arg("serve").arg("--config").arg(config);
                command.args(["--admin-address", &free_address()?.to_string(), "--address"]);
                command
            }
        };
        command.arg(address.to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(place.join(format!("{who:?}.err")))?);
        // A child begins where its parent is bound to, before it has a thread that could be elsewhere.
        let mine = machine::processors()?;
        machine::pin(processor)?;
        let begin = Instant::now();
        let child = command.spawn();
        machine::bind(&mine)?;
        let mut server = Self { who, address, keys: own_keys, started_in: Duration::ZERO, child: child? };
        server.wait_until_it_listens(begin, place)?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self, begin: Instant, place: &Path) -> io::Result<()> {
        loop {
            if TcpStream::connect(self.address).is_ok() {
                self.started_in = begin.elapsed();
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || begin.elapsed() > PATIENCE {
                let said =
                    std::fs::read_to_string(place.join(format!("{:?}.err", self.who))).unwrap_or_default();
                return Err(io::Error::other(format!("{} did not start: {said}", self.who.label())));
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to keep either way.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn keys_file(place: &Path) -> PathBuf {
    place.join("keys.json")
}

fn write_keys(place: &Path, keys: &[String]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let entries: Vec<_> =
        keys.iter().enumerate().map(|(n, key)| json!({"id": format!("caller-{n}"), "key": key})).collect();
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(keys_file(place))?;
    Ok(serde_json::to_writer(file, &json!({ "keys": entries }))?)
}

/// The tool that the other servers have, too: one text in, the same text out.
#[must_use]
pub fn echo() -> Value {
    json!({
        "name": TOOL,
        "description": "Answers with the text it is given.",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        "text": "{{args.text}}",
    })
}

/// The configuration of this server.
#[must_use]
pub fn settings(who: Who, place: &Path) -> Value {
    match who {
        Who::Full => json!({
            "auth": {"mode": "Required", "apiKeys": {"file": keys_file(place)}},
            // Counted for every caller, and never reached.
            "rateLimit": {"mode": "Enforce", "requestsPerMinute": 1_000_000, "burst": 1_000_000},
            "logging": {"requests": {"mode": "All"}, "file": {"path": place.join("requests.log")}},
            "tools": [echo()],
        }),
        _ => json!({"auth": {"mode": "Disabled"}, "rateLimit": {"mode": "Off"}, "tools": [echo()]}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_are_ones_that_the_server_takes() {
        for who in [Who::Bare, Who::Full] {
            let text = settings(who, Path::new("/tmp")).to_string();
            let loaded = mcp_server::settings::Sources::default().load(&text);
            let loaded = loaded.unwrap_or_else(|refused| panic!("{refused}"));
            assert_eq!(loaded.unknown.len(), 0);
        }
    }
}
