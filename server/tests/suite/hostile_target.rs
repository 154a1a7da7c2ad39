//! What is attacked: the program as a child process, whose memory and processor time are seen from outside, and a
//! bystander who is served meanwhile.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{JSON, PATIENCE, request};
use crate::process::{Served, get};

const MIB: u64 = 1 << 20;

/// A server under attack.
pub(crate) struct Target {
    served: Served,
    _home: TempDir,
    memory: u64,
    processor: Duration,
}

impl Target {
    /// Starts a server that lets everybody in, with a few declared tools.
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = json!({
            "auth": {"mode": "Disabled"},
            "rateLimit": {"mode": "Off"},
            "tools": [
                {"name": "fixed", "text": "x"},
                {"name": "greet", "text": "Hello {{args.name}}"},
                {"name": "large", "text": "y".repeat(16_000)},
                {"name": "count", "cel": "args.list.size()"},
            ],
        });
        fs::write(home.path().join("config.json"), config.to_string()).unwrap();
        // Ready is logged as information.
        let served = Served::start(home.path(), &["--config", "config.json", "--log-level", "info"]);
        let mut target = Self { served, _home: home, memory: 0, processor: Duration::ZERO };
        // The first requests touch memory that is needed in any case.
        for _ in 0..50 {
            assert_eq!(ping(&mut connect(target.address())), Some(200));
        }
        target.memory = target.peak();
        target.processor = target.used();
        target
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.served.address
    }

    /// The most memory that was ever in use, in bytes.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.served.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Processor time since the start.
    fn used(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.served.child.id())).unwrap();
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Asserts that the attack took at most so much memory and processor time, and that the server still answers. Both
    /// bounds are for unoptimised code.
    pub(crate) fn took_at_most(&self, mebibytes: u64, processor: Duration) {
        let memory = self.peak() - self.memory;
        let used = self.used().saturating_sub(self.processor);
        println!("{} MiB, {used:?}", memory / MIB);
        assert!(memory <= mebibytes * MIB, "the attack took {} MiB of memory", memory / MIB);
        assert!(used <= processor, "the attack took {used:?} of processor time");
        assert_eq!(ping(&mut connect(self.address())), Some(200));
        assert_eq!(get(self.served.admin, "/ready").0, 200);
        assert_eq!(get(self.served.admin, "/metrics").0, 200);
    }

    /// Somebody else, who goes on calling until asked how it went.
    pub(crate) fn bystander(&self) -> Bystander {
        Bystander::start(self.address())
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The status of a ping; none where the connection was closed.
fn ping(stream: &mut TcpStream) -> Option<u16> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    stream.write_all(request("POST", "/mcp", &[JSON], body).as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while !answer.ends_with(b"}") {
        let length = stream.read(&mut piece).ok().filter(|length| *length > 0)?;
        answer.extend_from_slice(&piece[..length]);
    }
    std::str::from_utf8(&answer).unwrap().split(' ').nth(1)?.parse().ok()
}

/// A client that does nothing wrong.
pub(crate) struct Bystander {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Bystander {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut times = Vec::new();
            let mut stream = connect(address);
            while times.is_empty() || !asked.load(Ordering::Relaxed) {
                if times.len() % 10 == 9 {
                    // Newcomers are served, too.
                    stream = connect(address);
                }
                let began = Instant::now();
                assert_eq!(ping(&mut stream), Some(200), "the bystander is served");
                times.push(began.elapsed());
                std::thread::park_timeout(Duration::from_millis(10));
            }
            times
        });
        Self { stop, thread }
    }

    /// Asserts that the bystander was served all the time, and nearly as fast as ever.
    pub(crate) fn assert_unharmed(self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.thread.join().unwrap();
        times.sort_unstable();
        let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
        println!("bystander: {} answers, {median:?}, at most {slowest:?}", times.len());
        // A busy machine takes some of it; a server that is held up takes all of it.
        assert!(median <= Duration::from_millis(250), "{median:?}");
        assert!(slowest <= Duration::from_secs(5), "{slowest:?}");
    }
}
