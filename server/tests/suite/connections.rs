//! Who holds connections, and who gets one all the same.

use std::process::Command;
use std::time::{Duration, Instant};

use mcp_server::http::pulse::Patience;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{Connection, JSON, call, eventually, reaches, request, send, server_with, text};
use crate::process::{Served, exit_code, free, program};

/// Connections that do nothing, each in a way of its own.
async fn hold(address: std::net::SocketAddr, count: usize) -> Vec<Connection> {
    let mut held = Vec::new();
    for number in 0..count {
        let mut connection = Connection::open(address).await;
        let bytes = match number % 4 {
            // Nothing at all.
            0 => String::new(),
            // A head, drop by drop.
            1 => "GET /health HTTP/1.1\r\nHost: local".to_owned(),
            // A body that never comes.
            2 => request("POST", "/health", &[("Content-Length", "100000")], ""),
            // Between two requests.
            _ => request("GET", "/health", &[], ""),
        };
        // It may have been closed for another one already.
        let _closed = connection.stream.write_all(bytes.as_bytes()).await;
        held.push(connection);
    }
    held
}

async fn answers_within_a_second(address: std::net::SocketAddr, path: &str) {
    let began = Instant::now();
    assert_eq!(send(address, "GET", path, &[], "").await.status, 200, "{path}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{path} took {took:?}");
}

#[tokio::test]
async fn probes_are_answered_whatever_strangers_do_on_the_admin_port() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(home.path(), &[]);
    let held = hold(served.admin, 200).await;
    for path in ["/health", "/ready", "/health"] {
        answers_within_a_second(served.admin, path).await;
    }
    drop(held);
}

#[tokio::test]
async fn clients_are_answered_while_others_hold_every_connection_idle() {
    let server = server_with(|_| {}, Patience::default(), 8).await;
    let held = hold(server.address, 40).await;
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(text(&call(server.address, "echo", json!({})).await.result()), "nobody: {}");
        assert!(began.elapsed() < Duration::from_secs(1));
        answers_within_a_second(server.address, "/ready").await;
    }
    drop(held);
}

#[tokio::test]
async fn who_does_not_read_what_was_asked_for_gives_way_too() {
    let server = server_with(|_| {}, Patience::default(), 2).await;
    let large =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "large"}}).to_string();
    let asked = request("POST", "/mcp", &[JSON], &large).repeat(32);
    let mut deaf = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(server.address).await;
        connection.write(&asked).await;
        deaf.push(connection);
    }
    // Each answer is a mebibyte: some of them fit into the buffers of the kernel, and then it stops.
    eventually("a stranger is served", async || {
        let health = send(server.address, "GET", "/health", &[], "");
        tokio::time::timeout(Duration::from_secs(1), health).await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
    drop(deaf);
}

#[tokio::test]
async fn the_longest_idle_connection_gives_way_and_one_at_work_does_not() {
    let server = server_with(|_| {}, Patience::default(), 2).await;
    let (address, ping) = (server.address, request("GET", "/health", &[], ""));
    let mut idle = Connection::open(address).await;
    let mut busy = Connection::open(address).await;
    let wait =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "wait"}}).to_string();
    busy.write(request("POST", "/mcp", &[JSON], &wait)).await;
    reaches(&server.backend.begun, 1).await;
    idle.write(&ping).await;
    assert_eq!(idle.read().await.unwrap().status, 200);

    let mut third = Connection::open(address).await;
    third.write(request("POST", "/mcp", &[JSON], &wait)).await;
    idle.closed().await;
    reaches(&server.backend.begun, 2).await;

    // Now both are at work, and the next one waits its turn.
    let mut fourth = Connection::open(address).await;
    fourth.write(&ping).await;
    let early = tokio::time::timeout(Duration::from_millis(300), fourth.read()).await;
    assert!(early.is_err(), "{early:?}");
    server.backend.release.add_permits(1);
    assert_eq!(fourth.read().await.unwrap().status, 200);
    server.backend.release.add_permits(1);
    let mut answered = 0;
    for connection in [&mut busy, &mut third] {
        answered +=
            usize::from(connection.read().await.is_some_and(|answer| text(&answer.result()) == "waited"));
    }
    assert_eq!(answered, 2, "no call was cut off");
}

/// The program with so many file descriptors.
fn limited(home: &std::path::Path, descriptors: u32) -> Command {
    let mut command = program(home);
    let plain = program(home).get_program().to_owned();
    let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().env("HOME", home).current_dir(home).args(["-c", &script]).arg(plain);
    std::mem::swap(&mut command, &mut shell);
    command
}

#[tokio::test]
async fn with_few_descriptors_fewer_clients_get_in_and_probes_are_answered() {
    let home = tempfile::tempdir().unwrap();
    let config = json!({"auth": {"mode": "Disabled"}, "tools": [{"name": "echo", "text": "hi"}]});
    std::fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    let (address, admin) = (free(), free());
    let mut command = limited(home.path(), 64);
    command.args(["serve", "--config", "config.json", "--address", &address.to_string()]);
    command.args(["--admin-address", &admin.to_string()]);
    let served = Served::start_at(command, address, admin).await;
    served.logged("the limit of open files (RLIMIT_NOFILE) is too low for http.maxConnections");
    let held = [hold(address, 100).await, hold(admin, 100).await];
    for path in ["/health", "/ready"] {
        answers_within_a_second(admin, path).await;
        answers_within_a_second(address, path).await;
    }
    assert_eq!(text(&call(address, "echo", json!({})).await.result()), "hi");
    assert!(!served.log().contains("cannot accept connections"), "{}", served.log());
    drop(held);
    eventually("it still answers", async || send(admin, "GET", "/health", &[], "").await.status == 200).await;
}

#[test]
fn a_server_with_next_to_no_descriptors_does_not_start_and_says_why() {
    let home = tempfile::tempdir().unwrap();
    let mut command = limited(home.path(), 40);
    command.args(["serve", "--address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    assert_eq!(exit_code(&mut child), 1);
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert!(
        said.contains("the limit of open files (RLIMIT_NOFILE) is 40") && said.contains("ulimit -n"),
        "{said}"
    );
}
