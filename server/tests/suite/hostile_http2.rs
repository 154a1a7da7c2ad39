//! HTTP/2 frames that cost their sender nothing.

use std::net::SocketAddr;
use std::time::Duration;

use mcp_server::http::pulse::Patience;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;

use crate::harness::{PATIENCE, eventually, server_slow};
use crate::hostile_target::Target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Frame types and flags (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

// Error codes (section 7).
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers as literals of the static table, never indexed.
fn head(method: u8, path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [&[method, 0x86, 0x04][..], &text(path), &[0x01], &text("localhost")].concat()
}

fn get() -> Vec<u8> {
    head(0x82, "/health")
}

/// What came back.
#[derive(Debug, Default)]
struct Seen {
    /// The error that the server closed the connection with.
    goaway: Option<u32>,
    refused: usize,
    answers: usize,
    acks: usize,
}

/// A client that writes frames, and reads whatever comes.
struct Client {
    write: OwnedWriteHalf,
    reader: JoinHandle<Seen>,
}

impl Client {
    async fn open(address: SocketAddr, settings: &[u8]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (read, mut write) = stream.into_split();
        write.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await.unwrap();
        Self { write, reader: tokio::spawn(watch(read)) }
    }

    /// Writes until it is all written or nobody takes it any more.
    async fn flood(&mut self, frames: impl Iterator<Item = Vec<u8>>) {
        let mut batch = Vec::new();
        for frame in frames {
            batch.extend_from_slice(&frame);
            if batch.len() > 8192 {
                if self.write.write_all(&batch).await.is_err() {
                    return;
                }
                batch.clear();
            }
        }
        // It may be closed by now, which is what some of these tests are about.
        let _closed = self.write.write_all(&batch).await;
    }

    /// Waits until the server closes the connection.
    async fn closed(self) -> Seen {
        tokio::time::timeout(PATIENCE, self.reader).await.expect("the connection is closed").unwrap()
    }

    /// Closes the connection, after everything was answered.
    async fn close(mut self) -> Seen {
        self.write.shutdown().await.unwrap();
        self.closed().await
    }
}

async fn watch(mut read: OwnedReadHalf) -> Seen {
    let mut seen = Seen::default();
    let mut head = [0; 9];
    while read.read_exact(&mut head).await.is_ok() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        if read.read_exact(&mut payload).await.is_err() {
            break;
        }
        let word =
            |at: usize| payload.get(at..at + 4).map(|word| u32::from_be_bytes(word.try_into().unwrap()));
        match (head[3], head[4]) {
            (HEADERS, _) => seen.answers += 1,
            (RST_STREAM, _) => seen.refused += usize::from(word(0) == Some(REFUSED_STREAM)),
            (PING | SETTINGS, flags) => seen.acks += usize::from(flags & ACK > 0),
            (GOAWAY, _) => seen.goaway = word(4).or(seen.goaway),
            _ => {}
        }
    }
    seen
}

/// Odd numbers: streams of a client.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_taken_back_at_once_close_the_connection() {
    let target = Target::start();
    let bystander = target.bystander();
    let reset = |stream| {
        [
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &get()),
            frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        ]
        .concat()
    };
    let mut seen = Seen::default();
    // The end of the connection may overtake the reason for it.
    for _ in 0..5 {
        let mut client = Client::open(target.address(), &[]).await;
        client.flood(streams(10_000).map(reset)).await;
        seen = client.closed().await;
        assert!(seen.answers < 5000, "{seen:?}");
        if seen.goaway.is_some() {
            break;
        }
    }
    assert_eq!(seen.goaway, Some(ENHANCE_YOUR_CALM));
    bystander.assert_unharmed();
    target.took_at_most(16, Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_end_close_the_connection() {
    let target = Target::start();
    let bystander = target.bystander();
    for pieces in [&[0_u8; 0][..], &[0x00, 0x01, b'a', 0x01, b'b'].repeat(200)] {
        let mut client = Client::open(target.address(), &[]).await;
        let first = frame(HEADERS, END_STREAM, 1, &get());
        let more = (0..10_000).map(|_| frame(CONTINUATION, 0, 1, pieces));
        client.flood(std::iter::once(first).chain(more)).await;
        let seen = client.closed().await;
        assert_eq!(seen.answers, 0, "{seen:?}");
    }
    bystander.assert_unharmed();
    target.took_at_most(8, Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_small_frames_cost_little() {
    let target = Target::start();
    let bystander = target.bystander();
    let open_body = frame(HEADERS, END_HEADERS, 1, &head(0x83, "/mcp"));
    let floods: [(&str, Vec<u8>, Vec<u8>); 4] = [
        ("pings", Vec::new(), frame(PING, 0, 0, &[0; 8])),
        ("settings", Vec::new(), frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
        ("empty data", open_body, frame(DATA, 0, 1, &[])),
        ("priorities", Vec::new(), frame(2, 0, 1, &[0, 0, 0, 3, 16])),
    ];
    for (what, first, flood) in floods {
        let mut client = Client::open(target.address(), &[]).await;
        client.flood(std::iter::once(first).chain((0..10_000).map(|_| flood.clone()))).await;
        let seen = client.close().await;
        println!("{what}: {seen:?}");
    }
    bystander.assert_unharmed();
    // Ten thousand frames, four times.
    target.took_at_most(16, Duration::from_secs(6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_streams_256_are_open_at_once() {
    let target = Target::start();
    let bystander = target.bystander();
    let mut client = Client::open(target.address(), &[]).await;
    // Requests whose bodies never come.
    client.flood(streams(1000).map(|stream| frame(HEADERS, END_HEADERS, stream, &head(0x83, "/mcp")))).await;
    // Answered after all of the frames before it.
    client.flood(std::iter::once(frame(PING, 0, 0, &[0; 8]))).await;
    let seen = client.close().await;
    assert!(seen.goaway.is_some_and(|code| code != 0) || seen.refused >= 1000 - 256, "{seen:?}");
    bystander.assert_unharmed();
    target.took_at_most(16, Duration::from_secs(2));
}

#[tokio::test]
async fn a_window_that_never_opens_costs_the_connection() {
    let wait = Duration::from_millis(300);
    let patience = Patience { header: wait, stalled: wait, ..Patience::default() };
    let server = server_slow(patience, Duration::from_secs(30)).await;
    // SETTINGS_INITIAL_WINDOW_SIZE is 0.
    let mut client = Client::open(server.address, &[0, 4, 0, 0, 0, 0]).await;
    client.flood(streams(10).map(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &get()))).await;
    client.closed().await;
    eventually("the connection is gone", async || server.dispatcher.metrics.connections.get() == 0).await;
}
