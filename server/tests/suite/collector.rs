//! Somebody who is told: an HTTP server that takes whatever comes and remembers it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use crate::harness::PATIENCE;

/// What was sent.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

type Heard = Arc<(Mutex<Vec<Told>>, Condvar)>;

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    heard: Heard,
}

/// What a collector does with what it is told.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    Takes,
    /// Takes it and never answers.
    Hangs,
}

impl Collector {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Heard::default();
        let ours = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = ours.clone();
                std::thread::spawn(move || listen(&stream, &heard, manner));
            }
        });
        Self { address, heard }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for a message that `find` likes.
    pub(crate) fn wait<T>(&self, what: &str, find: impl Fn(&Told) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = self.heard.0.lock().unwrap();
        loop {
            if let Some(found) = heard.iter().find_map(&find) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let lines: Vec<_> = heard.iter().map(|told| told.line.clone()).collect();
            assert!(!left.is_zero(), "waited in vain for {what} in {lines:?}");
            heard = self.heard.1.wait_timeout(heard, left).unwrap().0;
        }
    }

    pub(crate) fn all(&self) -> Vec<Told> {
        self.heard.0.lock().unwrap().clone()
    }
}

/// Reads one request after the other until the client is gone.
fn listen(stream: &TcpStream, heard: &Heard, manner: Manner) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream.try_clone().ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.rsplit_once(' ')?.0.to_owned();
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((key, value)) = header.trim_end().split_once(':') else { break };
            headers.push((key.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(key, _)| key == "content-length");
        let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        heard.0.lock().unwrap().push(Told { line, headers, body });
        heard.1.notify_all();
        match manner {
            Manner::Takes => writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?,
            Manner::Hangs => {}
        }
    }
}
