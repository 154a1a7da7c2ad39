//! Starting and stopping.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::harness::PATIENCE;
use crate::process::{ANY_ADMIN_PORT, Served, get, program, run, stderr, until};

#[test]
fn a_term_drains_and_ends_with_0() {
    let home = tempfile::tempdir().unwrap();
    let config = json!({"auth": {"mode": "Disabled"}, "shutdown": {"delay": "2s"}, "tools": [{"name": "t", "text": "x"}]});
    fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    let mut served = Served::start(home.path(), &["--config", "config.json"]);
    assert_eq!(get(served.admin, "/ready"), (200, "ready\n".to_owned()));
    served.signal("TERM");
    until("not ready any more", || get(served.admin, "/ready").0 == 503);
    assert_eq!(get(served.admin, "/health").0, 200, "alive all the same");
    // Whoever comes during the delay is answered, and told to go elsewhere next time.
    let mut stream = TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert_eq!(served.exit_code(), 0);
    assert!(TcpStream::connect(served.address).is_err());
}

#[test]
fn an_interrupt_does_the_same_and_a_second_signal_ends_at_once() {
    let home = tempfile::tempdir().unwrap();
    let environment = [("MCP_AUTH_ENABLED", "false"), ("MCP_SHUTDOWN_DELAY", "1ms")];
    let mut served = Served::start_with(home.path(), &[], &environment);
    served.signal("INT");
    assert_eq!(served.exit_code(), 0);

    for (second, code) in [("TERM", 143), ("INT", 130)] {
        let environment = [("MCP_AUTH_ENABLED", "false"), ("MCP_SHUTDOWN_DELAY", "10m")];
        let mut served = Served::start_with(home.path(), &[], &environment);
        served.signal("TERM");
        until("not ready any more", || get(served.admin, "/ready").0 == 503);
        served.signal(second);
        assert_eq!(served.exit_code(), code);
    }
}

#[test]
fn a_port_that_is_taken_names_the_address_and_the_flag() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (flag, other) in [("--address", "--admin-address"), ("--admin-address", "--address")] {
        let output = run(home.path(), &["serve", flag, &taken, other, ANY_ADMIN_PORT]);
        assert_eq!(output.status.code(), Some(3));
        assert!(stderr(&output).contains(&taken) && stderr(&output).contains(flag), "{}", stderr(&output));
    }
}

#[test]
fn a_bad_configuration_ends_with_2_and_every_problem() {
    let home = tempfile::tempdir().unwrap();
    let text = "http: {address: nowhere}\nauth: {mod: Required}\ntools:\n- {name: a, cel: '1 +'}\n- {name: a, text: x}\n";
    fs::write(home.path().join("c.yaml"), text).unwrap();
    let output = run(home.path(), &["serve", "--config", "c.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    for part in ["c.yaml:1:", "http.address", "c.yaml:2:", "auth.mod", "tools[0].cel", "tools[1]"] {
        assert!(stderr(&output).contains(part), "{part} is not in\n{}", stderr(&output));
    }
    assert_eq!(run(home.path(), &["serve", "--nonsense"]).status.code(), Some(2));
}

#[test]
fn keys_are_never_left_out_silently() {
    let home = tempfile::tempdir().unwrap();
    let in_cluster = program(home.path())
        .args(["serve", "--address", "127.0.0.1:0", "--admin-address", ANY_ADMIN_PORT])
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .output()
        .unwrap();
    assert_eq!(in_cluster.status.code(), Some(4));
    assert!(stderr(&in_cluster).contains("Secret"), "{}", stderr(&in_cluster));
    let nowhere = program(home.path())
        .args(["serve", "--address", "127.0.0.1:0", "--admin-address", ANY_ADMIN_PORT])
        .env("XDG_STATE_HOME", "/proc/nowhere")
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(4));
    assert!(stderr(&nowhere).contains("MCP_API_KEY"), "{}", stderr(&nowhere));
}
