//! What the kubelet says of a pod that does not start.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fake::{Fake, Fault};
use crate::world::{NAMESPACE, Run, condition, ready, requests, roll_out, server, until};

/// A resource whose keys are in a Secret of the user's.
fn with_own_keys() -> Value {
    let mut server = server("hello");
    server["spec"]["config"]["auth"] =
        json!({"apiKeys": {"secretKeyRef": {"name": "clients", "key": "keys.json"}}});
    server
}

/// What the Deployment's controller and the kubelet do: a pod of today's version waits for its volumes.
fn wait_for_volumes(fake: &Fake) -> Value {
    roll_out(fake, "hello");
    fake.edit("deployments", NAMESPACE, "hello", |live| {
        live["status"]["readyReplicas"] = json!(0);
        live["status"]["availableReplicas"] = json!(0);
    });
    fake.edit("pods", NAMESPACE, "hello-0", |pod| {
        pod["status"] = json!({"phase": "Pending", "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [{
            "name": "mcp-server", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ContainerCreating"}}
        }]});
    });
    fake.get("pods", NAMESPACE, "hello-0").unwrap()["metadata"]["uid"].clone()
}

fn complain(fake: &Fake, name: &str, pod: &Value, cause: &str, at: &str) {
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name, "namespace": NAMESPACE},
        "regarding": {"kind": "Pod", "name": "hello-0", "namespace": NAMESPACE, "uid": pod},
        "type": "Warning", "reason": "FailedMount", "deprecatedLastTimestamp": at,
        "note": format!("MountVolume.SetUp failed for volume \"mcp-api-keys\" : {cause}"),
    });
    fake.create("events", event).unwrap();
}

fn looks(fake: &Fake) -> usize {
    let asked = fake.take_requests();
    asked.iter().filter(|request| request.verb == "list" && request.resource == "events").count()
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_a_volume_lacks_is_named_and_looked_for_ever_more_rarely() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    fake.create("mcpservers", with_own_keys()).unwrap();
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    assert_eq!(looks(&fake), 0, "no pod, no question");

    // Some other pod's trouble is not ours.
    complain(&fake, "other", &json!("uid-of-another"), "secret \"other\" not found", "2026-01-01T00:00:09Z");
    let pod = wait_for_volumes(&fake);
    complain(&fake, "first", &pod, "secret \"clients\" not found", "2026-01-01T00:00:01Z");
    until("the condition", || ready(&fake, "hello") == "False/ReferenceMissing").await;
    let message = || condition(&fake, "hello", "Ready").unwrap()["message"].as_str().unwrap().to_owned();
    assert_eq!(
        message(),
        "Secret shop/clients does not exist; create it, or change spec.config.auth.apiKeys.secretKeyRef"
    );

    // The pod is as old as the year: a look holds for two minutes.
    looks(&fake);
    tokio::time::sleep(Duration::from_secs(1200)).await;
    let asked = looks(&fake);
    assert!((9..=11).contains(&asked), "{asked} looks in twenty minutes");

    complain(&fake, "second", &pod, "references non-existent secret key: keys.json", "2026-01-01T00:00:02Z");
    until("the key to be missed", || message().starts_with("Secret shop/clients has no key")).await;

    fake.edit("pods", NAMESPACE, "hello-0", |pod| {
        pod["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    });
    roll_out(&fake, "hello");
    until("Ready", || ready(&fake, "hello") == "True/Ready").await;
    requests(&fake).await;
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert_eq!(fake.take_requests(), [], "a settled resource asks nothing");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_see_events_everything_else_goes_on() {
    let fake = Fake::new();
    fake.on_request(|request| {
        (request.verb == "list" && request.resource == "events").then_some(Fault::Refuse(403))
    });
    let run = Run::start(&fake);
    fake.create("mcpservers", with_own_keys()).unwrap();
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    let pod = wait_for_volumes(&fake);
    complain(&fake, "first", &pod, "secret \"clients\" not found", "2026-01-01T00:00:01Z");
    until("a look", || looks(&fake) > 0).await;
    until("the condition", || ready(&fake, "hello") == "False/Progressing").await;
    assert_eq!(run.metrics.reconcile.errors.with_label_values(&["Forbidden"]).get(), 0);
    run.stop().await;
}
