//! What a resource costs in requests.

use std::time::Duration;

use serde_json::json;

use crate::fake::Fake;
use crate::world::{
    NAMESPACE, Run, reads, ready, requests, roll_out, server, set_cel, settled, until, writes,
};

#[tokio::test(start_paused = true)]
async fn a_new_resource_costs_one_write_a_child_one_mark_and_at_most_three_of_its_status() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    until("ready", || run.readiness.check().is_ok()).await;
    fake.take_requests();

    fake.create("mcpservers", server("hello")).unwrap();
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    roll_out(&fake, "hello");
    let requests = requests(&fake).await;
    let writes = writes(&requests);
    let (statuses, children): (Vec<_>, Vec<_>) =
        writes.iter().partition(|write| write.starts_with("apply-status"));
    assert_eq!(
        children,
        [
            "apply serviceaccounts hello-mcp",
            "apply configmaps hello-config",
            "create secrets hello-api-key",
            "apply configmaps hello-config",
            "apply services hello",
            "apply deployments hello",
        ]
    );
    assert!(statuses.len() <= 3, "{statuses:?}");
    assert_eq!(reads(&requests).len(), 5, "one look for each name that an apply could adopt");
    assert_eq!(statuses[0], "apply-status mcpservers hello", "the claim comes before the first child");
    assert_eq!(ready(&fake, "hello"), "True/Ready");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_settled_resource_costs_nothing_and_neither_does_a_restart() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let before = fake.state().objects.clone();

    // A pass that has nothing to do: the label is nobody's business, but it wakes the resource's reconcile.
    fake.edit("mcpservers", NAMESPACE, "hello", |server| server["metadata"]["labels"] = json!({"team": "a"}));
    let passes = run.metrics.reconcile.total.with_label_values(&["unchanged"]).get();
    until("a pass", || run.metrics.reconcile.total.with_label_values(&["unchanged"]).get() > passes).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(fake.take_requests(), []);
    run.stop().await;

    let run = Run::start(&fake);
    until("a pass", || run.metrics.reconcile.total.with_label_values(&["unchanged"]).get() > 0).await;
    let requests = requests(&fake).await;
    assert!(requests.iter().all(|request| request.verb == "list"), "{requests:?}");
    for (id, object) in &before {
        if id.0 != "mcpservers" && id.0 != "leases" {
            assert_eq!(fake.state().objects.get(id), Some(object), "{id:?}");
        }
    }
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_edit_costs_the_child_that_it_changes_and_two_statuses() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.edit("mcpservers", NAMESPACE, "hello", |server| server["spec"]["replicas"] = json!(3));
    until("three replicas", || fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 3)
        .await;
    roll_out(&fake, "hello");
    let writes = writes(&requests(&fake).await);
    assert_eq!(
        writes.iter().filter(|write| write.starts_with("apply ")).collect::<Vec<_>>(),
        ["apply deployments hello"]
    );
    assert!(writes.len() <= 3, "{writes:?}");
    assert_eq!(ready(&fake, "hello"), "True/Ready");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_configuration_nudges_each_pod_once_and_a_new_key_does_too() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    set_cel(&fake, "hello", "\"Good day\"");
    let written = writes(&requests(&fake).await);
    assert_eq!(written.iter().filter(|write| *write == "patch pods hello-0").count(), 1, "{written:?}");
    fake.delete("secrets", NAMESPACE, "hello-api-key");
    let written = writes(&requests(&fake).await);
    assert_eq!(
        written,
        [
            "apply configmaps hello-config",
            "create secrets hello-api-key",
            "apply configmaps hello-config",
            "patch pods hello-0"
        ]
    );
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_release_costs_two_writes_a_minute() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.state().requests.clear();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let asked = std::mem::take(&mut fake.state().requests);
    let leases = asked.iter().filter(|request| request.resource == "leases").count();
    assert!((19..=21).contains(&leases), "{leases} in ten minutes");
    run.stop().await;
}
