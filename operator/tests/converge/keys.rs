//! The Secret with the generated key: whose it is, and what its end brings about.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fake::{Fake, Fault};
use crate::world::{
    NAMESPACE, Run, condition, quiet, ready, requests, roll_out, server, settled, until, writes,
};

const SECRET: &str = "hello-api-key";

fn foreign() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": NAMESPACE}, "data": {"keys.json": "e30="}})
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_planted_opens_no_server() {
    let fake = Fake::new();
    let planted = fake.create("secrets", foreign()).unwrap();
    let run = Run::start(&fake);
    fake.create("mcpservers", server("hello")).unwrap();
    until("the condition", || ready(&fake, "hello") == "False/NameConflict").await;
    let message = condition(&fake, "hello", "Ready").unwrap()["message"].clone();
    assert_eq!(
        message,
        "Secret hello-api-key exists and is not of this McpServer (the operator did not make it); delete it to have a \
         key generated, or refer to it in spec.config.auth.apiKeys.secretKeyRef"
    );
    quiet(&fake).await;
    assert_eq!(fake.get("secrets", NAMESPACE, SECRET), Some(planted));
    assert_eq!(fake.get("deployments", NAMESPACE, "hello"), None, "pods with somebody else's keys");
    let status = &fake.get("mcpservers", NAMESPACE, "hello").unwrap()["status"];
    assert_eq!(status["apiKeySecret"], Value::Null);

    // Nor does a restart forget whose it is; and looking costs ever less.
    run.stop().await;
    let run = Run::start(&fake);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(ready(&fake, "hello"), "False/NameConflict");
    fake.take_requests();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let asked = fake.take_requests();
    assert_eq!(writes(&asked), Vec::<String>::new());
    assert!(asked.len() <= 11, "{asked:?}");

    fake.delete("secrets", NAMESPACE, SECRET);
    until("the key", || fake.get("secrets", NAMESPACE, SECRET).is_some()).await;
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    roll_out(&fake, "hello");
    until("Ready", || ready(&fake, "hello") == "True/Ready").await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_replaced_by_hand_is_reported_within_seconds() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.recreate("secrets", foreign());
    let since = Instant::now();
    fake.collect_garbage();
    until("the condition", || ready(&fake, "hello") == "False/NameConflict").await;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    fake.delete("secrets", NAMESPACE, SECRET);
    let since = Instant::now();
    until("a key", || fake.get("secrets", NAMESPACE, SECRET).is_some()).await;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    until("Ready", || ready(&fake, "hello") == "True/Ready").await;
    run.stop().await;
}

/// The answer to the one POST of a key is lost; with `kill` the operator dies of it.
async fn lost(kill: bool) -> (Fake, Run) {
    let fake = Fake::new();
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    fake.on_request(move |request| {
        let is_post = request.verb == "create" && request.resource == "secrets";
        (is_post && !seen.swap(true, Ordering::SeqCst)).then_some(Fault::LoseAnswer)
    });
    let mut run = Run::start(&fake);
    fake.create("mcpservers", server("hello")).unwrap();
    until("the POST", || done.load(Ordering::SeqCst)).await;
    if kill {
        run.kill().await;
        run = Run::start(&fake);
    }
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    roll_out(&fake, "hello");
    until("Ready", || ready(&fake, "hello") == "True/Ready").await;
    requests(&fake).await;
    (fake, run)
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_answer_was_lost_is_still_ours_and_its_end_shows_in_a_pod() {
    for kill in [false, true] {
        let (fake, run) = lost(kill).await;
        run.stop().await;
        let run = Run::start(&fake);
        let asked = requests(&fake).await;
        assert!(asked.iter().all(|request| request.verb == "list"), "{asked:?}");
        fake.delete("secrets", NAMESPACE, SECRET);
        assert_eq!(writes(&requests(&fake).await), Vec::<String>::new());
        fake.edit("pods", NAMESPACE, "hello-0", |pod| {
            pod["status"] = json!({"phase": "Pending", "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [{
                "name": "mcp-server", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": "ContainerCreating"}}
            }]});
        });
        until("the key", || fake.get("secrets", NAMESPACE, SECRET).is_some()).await;
        run.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_config_map_that_went_while_no_operator_ran_makes_our_key_no_stranger() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let key = fake.get("secrets", NAMESPACE, SECRET);
    run.stop().await;
    fake.delete("configmaps", NAMESPACE, "hello-config");
    let run = Run::start(&fake);
    until("the ConfigMap", || fake.get("configmaps", NAMESPACE, "hello-config").is_some()).await;
    requests(&fake).await;
    assert_eq!(ready(&fake, "hello"), "True/Ready");
    assert_eq!(fake.get("secrets", NAMESPACE, SECRET), key);
    run.stop().await;
}
