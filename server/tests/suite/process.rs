//! The real program as a child process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{PATIENCE, eventually, send};

/// The program with an environment of its own: no variable of the tester's, and a home that is thrown away.
pub(crate) fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-server"));
    command.env_clear().env("HOME", home).current_dir(home).stdin(Stdio::null());
    command
}

/// Any port for the admin endpoint. It must not be written as the MCP endpoint's is, which would be one port for two.
pub(crate) const ANY_ADMIN_PORT: &str = "127.0.0.2:0";

/// A free address for a server that cannot say which one it chose. Each is on a host of its own, so that nobody else is
/// given the same until the server has it.
pub(crate) fn free() -> SocketAddr {
    static LAST: AtomicU16 = AtomicU16::new(0);
    let [high, low] = LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    TcpListener::bind((Ipv4Addr::new(127, 3, high, low), 0)).unwrap().local_addr().unwrap()
}

/// Runs a subcommand to its end.
pub(crate) fn run(home: &Path, arguments: &[&str]) -> Output {
    program(home).args(arguments).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Lines that a child wrote, as they come.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    fn of(stream: impl std::io::Read + Send + 'static) -> Self {
        let lines = Self::default();
        let ours = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                ours.0.0.lock().unwrap().push(line);
                ours.0.1.notify_all();
            }
        });
        lines
    }

    /// Waits for a line that `find` likes.
    fn wait<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = lines.iter().find_map(|line| find(line)) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what} in\n{}", lines.join("\n"));
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    fn all(&self) -> String {
        self.0.0.lock().unwrap().join("\n")
    }
}

/// A server in a child process, at ports that it chose.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    stdout: Lines,
    stderr: Lines,
}

impl Served {
    /// Starts a server and waits until it is ready.
    pub(crate) fn start(home: &Path, arguments: &[&str]) -> Self {
        Self::start_with(home, arguments, &[])
    }

    pub(crate) fn start_with(home: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = program(home)
            .args(["serve", "--address", "127.0.0.1:0", "--admin-address", ANY_ADMIN_PORT])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        let (address, admin) = stdout.wait("the line that says ready", |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            let address = |key: &str| event[key].as_str()?.parse().ok();
            (event["message"] == "ready").then(|| Some((address("address")?, address("admin")?)))?
        });
        Self { child, address, admin, stdout, stderr }
    }

    /// Starts a server whose log may tell nobody where it is, at free addresses, and waits until it is ready.
    pub(crate) async fn start_quiet(home: &Path, arguments: &[&str]) -> Self {
        let (address, admin) = (free(), free());
        let (mcp_port, admin_port) = (address.to_string(), admin.to_string());
        let mut command = program(home);
        command.args(["serve", "--address", &mcp_port, "--admin-address", &admin_port]).args(arguments);
        Self::start_at(command, address, admin).await
    }

    /// Starts a server that was told to be at these addresses, and waits until it is ready.
    pub(crate) async fn start_at(mut command: Command, address: SocketAddr, admin: SocketAddr) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        let mut served = Self { child, address, admin, stdout, stderr };
        eventually("it is ready", async || {
            let ended = served.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}\n{}", served.stderr(), served.log());
            TcpStream::connect(admin).is_ok() && send(admin, "GET", "/ready", &[], "").await.status == 200
        })
        .await;
        served
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Waits for a line of the log.
    pub(crate) fn logged(&self, part: &str) {
        self.stdout.wait(part, |line| line.contains(part).then_some(()));
    }

    pub(crate) fn log(&self) -> String {
        self.stdout.all()
    }

    /// Waits for a line on standard error.
    pub(crate) fn told(&self, part: &str) {
        self.stderr.wait(part, |line| line.contains(part).then_some(()));
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.all()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end of the process.
    pub(crate) fn exit_code(&mut self) -> i32 {
        exit_code(&mut self.child)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Waits for the end of a process.
pub(crate) fn exit_code(child: &mut Child) -> i32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().expect("ended by itself, not by a signal");
        }
        assert!(Instant::now() < deadline, "the process does not end");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// GETs a path, from a thread of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The status document of a server.
pub(crate) fn status(served: &Served) -> Value {
    serde_json::from_str(&get(served.admin, "/status").1).unwrap()
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
