//! State that tools leave with clients between the rounds of a call, behind several servers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use mcp_server::server::{Builder, Running};
use mcp_server_config::{Literal, SecretRef, render};
use serde_json::{Value, json};

use crate::fixtures;
use crate::harness::{eventually, meta, modern, send, text};
use crate::library::config;

const TOOL: &str = "test_input_required_result_multi_round";

fn literal(letter: &str) -> SecretRef {
    SecretRef { value: Some(Literal::new(letter.repeat(32))), ..SecretRef::default() }
}

/// One of several replicas.
struct Replica {
    running: Running,
    address: SocketAddr,
}

async fn started(builder: Builder) -> Replica {
    let running = builder.start().await.unwrap();
    let address = running.address().unwrap();
    Replica { running, address }
}

async fn with_keys(letters: &[&str]) -> Replica {
    started(fixtures::server(&config()).state_keys(letters.iter().map(|letter| literal(letter)))).await
}

impl Replica {
    async fn call(&self, more: Value) -> crate::harness::Response {
        let mut params = json!({"name": TOOL, "arguments": {}, "_meta": meta()});
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {"form": {}}});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        modern(self.address, "tools/call", params).await
    }

    /// The state after the first answer, which the second one has to come with.
    async fn state(&self) -> String {
        let asked = self.call(json!({"inputResponses": answer("step1")})).await.result();
        asked["requestState"].as_str().unwrap().to_owned()
    }

    /// Whether the second answer ends a call that another replica began.
    async fn goes_on(&self, state: &str) -> bool {
        let more = json!({"inputResponses": answer("step2"), "requestState": state});
        let response = self.call(more).await;
        if response.json().get("error").is_some() {
            assert_eq!(response.refusal(), (200, -32602));
            return false;
        }
        let done = response.result();
        assert!(text(&done).contains("step1") && text(&done).contains("step2"), "{done}");
        true
    }

    async fn status(&self) -> Value {
        send(self.running.admin_address().unwrap(), "GET", "/status", &[], "").await.json()
    }
}

fn answer(key: &str) -> Value {
    json!({key: {"action": "accept", "content": {"name": key}}})
}

#[tokio::test]
async fn replicas_with_a_secret_in_common_go_on_with_each_other_s_calls() {
    let (one, two) = (with_keys(&["a"]).await, with_keys(&["a"]).await);
    for (first, second) in [(&one, &two), (&two, &one), (&one, &one)] {
        assert!(second.goes_on(&first.state().await).await);
    }
    let other = with_keys(&["b"]).await;
    assert!(!other.goes_on(&one.state().await).await);
    // Without any, each has a key of its own.
    let (alone, lonely) = (with_keys(&[]).await, with_keys(&[]).await);
    let state = alone.state().await;
    assert!(alone.goes_on(&state).await && !lonely.goes_on(&state).await && !one.goes_on(&state).await);
}

#[tokio::test]
async fn secrets_rotate_without_a_call_that_breaks_off() {
    let old = with_keys(&["a"]).await;
    let (knows_both, seals_anew) = (with_keys(&["a", "b"]).await, with_keys(&["b", "a"]).await);
    let new = with_keys(&["b"]).await;
    // Each step of a rotation gets along with the one before and the one after.
    for (one, two) in [(&old, &knows_both), (&knows_both, &seals_anew), (&seals_anew, &new)] {
        assert!(one.goes_on(&two.state().await).await);
        assert!(two.goes_on(&one.state().await).await);
    }
    assert!(!new.goes_on(&old.state().await).await);
}

/// A server with a file that refers to a secret in another.
async fn of_files(home: &Path) -> Replica {
    let mut config = config();
    config.service.state_keys = vec![SecretRef::from_file(home.join("key").to_str().unwrap())];
    let file = home.join("config.json");
    fs::write(&file, render(&config)).unwrap();
    // The secret of the file counts more than the program's.
    started(fixtures::server(&config).config_file(&file).state_keys([literal("x")])).await
}

#[tokio::test]
async fn a_secret_that_changes_where_it_is_mounted_is_in_force_without_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(home.path().join("key"), text).unwrap();
    write(&format!("{}\n", "a".repeat(32)));
    let replica = of_files(home.path()).await;
    let (a, b) = (with_keys(&["a"]).await, with_keys(&["b"]).await);
    assert!(a.goes_on(&replica.state().await).await);
    write("too short");
    eventually("it is refused, and the last good one stays", async || {
        let status = replica.status().await;
        status["config"]["lastError"].as_str().is_some_and(|error| error.contains("stateKeys[0]"))
            && status["unhealthy_checks"] == json!(["config"])
    })
    .await;
    assert!(a.goes_on(&replica.state().await).await);
    write(&"b".repeat(32));
    eventually("the new one seals", async || b.goes_on(&replica.state().await).await).await;
    assert_eq!(replica.status().await["config"]["lastError"], Value::Null);
}

#[tokio::test]
async fn a_secret_that_is_missing_or_short_fails_the_start_and_says_which() {
    let missing = SecretRef::from_file("/nowhere/key");
    let short = SecretRef { value: Some(Literal::new("canary-short")), ..SecretRef::default() };
    for (secret, part) in [(missing, "cannot be had"), (short, "openssl rand")] {
        let builder = fixtures::server(&config()).state_keys([literal("a"), secret]);
        let error = builder.start().await.unwrap_err();
        let told = error.to_string();
        assert!(told.contains("stateKeys[1]") && told.contains(part) && !told.contains("canary"), "{told}");
        assert_eq!(error.exit_code(), 4);
    }
    let builder = fixtures::server(&config()).state_keys((0..9).map(|_| literal("a")));
    assert!(builder.start().await.unwrap_err().to_string().contains("stateKeys: must be at most 8"));
}
