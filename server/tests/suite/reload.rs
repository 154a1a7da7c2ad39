//! Changing the configuration and the keys of a running server.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Connection, eventually, request, send};
use crate::process::{Served, free, get, program, run, status, stderr, stdout, until};

fn config(text: &str) -> String {
    json!({"auth": {"mode": "Disabled"}, "rateLimit": {"mode": "Off"}, "tools": [{"name": "greet", "text": text}]}).to_string()
}

fn call(home: &Path, served: &Served) -> String {
    let output = run(home, &["call", "greet", "--url", &served.url()]);
    format!("{}{}", stdout(&output), stderr(&output))
}

#[test]
fn a_changed_tool_answers_differently_without_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config.json");
    fs::write(&file, config("one")).unwrap();
    let served = Served::start(home.path(), &["--config", "config.json"]);
    assert_eq!(call(home.path(), &served), "one\n");
    let before = status(&served);
    fs::write(&file, config("two")).unwrap();
    let changed = Instant::now();
    until("the new answer", || call(home.path(), &served) == "two\n");
    assert!(changed.elapsed() < Duration::from_secs(3), "{:?}", changed.elapsed());
    until("the new hash", || status(&served)["config"]["hash"] != before["config"]["hash"]);
    assert_eq!(status(&served)["config"]["lastError"], Value::Null);
    let counted = "mcp_server_config_reloads_total{outcome=\"success\"} 1";
    until("the reload is counted", || get(served.admin, "/metrics").1.contains(counted));
}

#[test]
fn a_mounted_config_map_is_followed_through_its_links() {
    let home = tempfile::tempdir().unwrap();
    let mount = home.path();
    for (directory, text) in [("..1", "one"), ("..2", "two")] {
        fs::create_dir(mount.join(directory)).unwrap();
        fs::write(mount.join(directory).join("production.json"), config(text)).unwrap();
    }
    symlink("..1", mount.join("..data")).unwrap();
    symlink("..data/production.json", mount.join("production.json")).unwrap();
    let served = Served::start(home.path(), &["--config", "production.json"]);
    assert_eq!(call(home.path(), &served), "one\n");
    symlink("..2", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    until("the new answer", || call(home.path(), &served) == "two\n");
}

#[test]
fn a_bad_file_keeps_the_last_good_one_and_says_so() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config.json");
    fs::write(&file, config("one")).unwrap();
    let served = Served::start(home.path(), &["--config", "config.json"]);
    let hash = status(&served)["config"]["hash"].clone();
    for (bad, told) in [
        (config("two").replace("\"text\":\"two\"", "\"cel\":\"1 +\""), "tools[0].cel"),
        ("{".to_owned(), "config.json:1:"),
        (config("two").replace("\"mode\"", "\"mod\""), "auth.mod"),
    ] {
        fs::write(&file, bad).unwrap();
        until(told, || {
            status(&served)["config"]["lastError"].as_str().is_some_and(|error| error.contains(told))
        });
        assert_eq!(call(home.path(), &served), "one\n");
        assert_eq!(status(&served)["config"]["hash"], hash);
        assert_eq!(status(&served)["components"]["config"]["health"], "Degraded");
        assert_eq!(status(&served)["ready"], true, "a bad file is no reason to stop serving");
    }
    served.logged("the last good one stays in force");
    let metrics = get(served.admin, "/metrics").1;
    assert!(metrics.contains("mcp_server_config_last_reload_successful 0"), "{metrics}");
    fs::remove_file(&file).unwrap();
    until("the file is missed", || {
        status(&served)["config"]["lastError"].as_str().is_some_and(|error| error.contains("cannot read"))
    });
    assert_eq!(call(home.path(), &served), "one\n");
    fs::write(&file, config("three")).unwrap();
    until("the mended file is in force", || call(home.path(), &served) == "three\n");
    until("all is well again", || status(&served)["config"]["lastError"] == Value::Null);
    until("and counted", || {
        get(served.admin, "/metrics").1.contains("mcp_server_config_last_reload_successful 1")
    });
}

#[test]
fn names_limits_and_log_level_change_and_addresses_wait() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config.yaml");
    fs::write(&file, "auth: {mode: Disabled}\nserverName: one\nhttp: {path: /mcp}\n").unwrap();
    let served = Served::start(home.path(), &["--config", "config.yaml"]);
    assert_eq!(status(&served)["server"]["name"], "one");
    fs::write(
        &file,
        "auth: {mode: Disabled}\nserverName: two\nhttp: {path: /other}\nlogging: {level: Debug}\n",
    )
    .unwrap();
    until("the new name", || status(&served)["server"]["name"] == "two");
    until("the rest waits", || status(&served)["config"]["needsRestart"] == json!(["http.path"]));
    served.logged("wait for a restart");
    assert_eq!(get(served.address, "/mcp").0, 405, "still at the old path");
}

#[tokio::test]
async fn what_needs_a_restart_goes_on_as_it_was_until_then() {
    let home = tempfile::tempdir().unwrap();
    let (old, new) = ([free(), free()], [free(), free()]);
    let write = |[address, admin]: [SocketAddr; 2], path: &str, connections: u32| {
        let http =
            json!({"address": address, "adminAddress": admin, "path": path, "maxConnections": connections});
        let config = json!({"auth": {"mode": "Disabled"}, "http": http});
        fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    };
    let start = async |[address, admin]: [SocketAddr; 2]| {
        let mut command = program(home.path());
        command.args(["serve", "--config", "config.json"]);
        Served::start_at(command, address, admin).await
    };
    let waiting = async |served: &Served| {
        send(served.admin, "GET", "/status", &[], "").await.json()["config"]["needsRestart"].clone()
    };
    write(old, "/mcp", 10);
    let mut served = start(old).await;
    write(new, "/other", 1);
    let all: Vec<_> = mcp_server_config::restart_settings().collect();
    eventually("all of them wait", async || waiting(&served).await == json!(all)).await;
    served.logged(&format!("\"settings\":\"{}\"", all.join(", ")));
    for address in new {
        assert!(TcpStream::connect(address).is_err(), "nobody listens at {address}");
    }
    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::open(old[0]).await;
        for (path, status) in [("/mcp", 405), ("/other", 404)] {
            connection.write(request("GET", path, &[], "")).await;
            assert_eq!(connection.read().await.unwrap().status, status, "{path}");
        }
        connections.push(connection);
    }
    drop(connections);
    served.signal("TERM");
    assert_eq!(served.exit_code(), 0);
    let served = start(new).await;
    assert_eq!(waiting(&served).await, json!([]));
    let mut connection = Connection::open(new[0]).await;
    for (path, status) in [("/mcp", 404), ("/other", 405)] {
        connection.write(request("GET", path, &[], "")).await;
        assert_eq!(connection.read().await.unwrap().status, status, "{path}");
    }
}

#[test]
fn keys_change_without_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let keys = home.path().join("keys.json");
    let file = |key: &str| json!({"keys": [{"id": "ci", "key": key}]}).to_string();
    fs::write(&keys, file("key-one")).unwrap();
    let config = json!({"auth": {"apiKeys": {"file": "keys.json"}}, "rateLimit": {"mode": "Off"}, "tools": [{"name": "greet", "text": "hi"}]});
    fs::write(home.path().join("config.json"), config.to_string()).unwrap();
    let served = Served::start(home.path(), &["--config", "config.json"]);
    let works = |key: &str| {
        run(home.path(), &["call", "greet", "--key", key, "--url", &served.url()]).status.success()
    };
    assert!(works("key-one") && !works("key-two"));
    fs::write(&keys, file("key-two")).unwrap();
    until("the new key is let in", || works("key-two"));
    assert!(!works("key-one"), "and the old one no longer");
    fs::write(&keys, "{\"keys\":").unwrap();
    until("the bad file is told", || status(&served)["components"]["auth"]["health"] == "Degraded");
    assert!(works("key-two"));
    fs::remove_file(&keys).unwrap();
    until("the missing file is told", || {
        status(&served)["config"]["lastError"].as_str().is_some_and(|error| error.contains("is gone"))
    });
    assert!(works("key-two") && !keys.exists(), "no other key is made up");
    assert!(!served.log().contains("key-two") && !served.stderr().contains("key-two"), "keys are not logged");
}
