//! Other writers of what the operator writes: another release, an autoscaler, an admission webhook.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fake::Fake;
use crate::world::{NAMESPACE, Run, condition, events, ready, roll_out, server, settled, until, writes};

const FIRST: &str = "mcp-system/mcp-operator";
const SECOND: &str = "team-a/mcp-operator";

fn contended(fake: &Fake) -> Option<(String, String)> {
    let found = condition(fake, "hello", "Contended")?;
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    Some((text("reason"), text("message")))
}

fn holder(fake: &Fake) -> Value {
    fake.get("mcpservers", NAMESPACE, "hello").unwrap()["status"]["operator"].clone()
}

fn image(fake: &Fake) -> Value {
    fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["template"]["spec"]["containers"][0]["image"]
        .clone()
}

/// Gone with its Lease, as after `helm uninstall`.
async fn uninstall(fake: &Fake, run: Run, identity: &str) {
    run.stop().await;
    let (namespace, name) = identity.split_once('/').unwrap();
    fake.delete("leases", namespace, name);
}

#[tokio::test(start_paused = true)]
async fn of_two_releases_one_manages_a_resource_and_the_other_is_on_standby_and_says_so() {
    let fake = Fake::new();
    let first = Run::start_as(&fake, FIRST, &[], "example.com/mcp-server:1");
    settled(&fake, "hello").await;
    let generation = fake.get("deployments", NAMESPACE, "hello").unwrap()["metadata"]["generation"].clone();
    let second = Run::start_as(&fake, SECOND, &[NAMESPACE], "example.com/mcp-server:2");
    until("the condition", || contended(&fake).is_some()).await;
    assert_eq!(
        contended(&fake).unwrap(),
        (
            "SecondOperator".to_owned(),
            "operator team-a/mcp-operator also watches this namespace and is on standby, because operator mcp-system/mcp-operator \
             manages this McpServer; uninstall one of the two, or let each watch other namespaces (watchNamespaces)"
                .to_owned()
        )
    );
    assert_eq!(ready(&fake, "hello"), "True/Ready");

    // An edit, drift and an hour of time: the holder alone writes.
    fake.take_requests();
    fake.edit("deployments", NAMESPACE, "hello", |live| live["spec"]["replicas"] = json!(7));
    until("the old number", || fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 1)
        .await;
    roll_out(&fake, "hello");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let written = writes(&fake.take_requests());
    assert_eq!(
        written.iter().filter(|write| write.starts_with("apply deployments")).count(),
        1,
        "{written:?}"
    );
    assert!(written.len() <= 4, "{written:?}");
    assert_eq!(holder(&fake), FIRST);
    assert_eq!(image(&fake), "example.com/mcp-server:1");
    let live = fake.get("deployments", NAMESPACE, "hello").unwrap()["metadata"]["generation"].clone();
    assert_eq!(live.as_i64(), generation.as_i64().map(|before| before + 2), "drift and its revert");
    let warnings: Vec<_> = events(&fake).into_iter().filter(|event| event.0 == "Contended").collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].2, 1);

    // The one on standby goes: the holder takes the condition away.
    uninstall(&fake, second, SECOND).await;
    until("the end of the condition", || contended(&fake).is_none()).await;
    first.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_releases_that_start_together_one_wins_each_resource() {
    let fake = Fake::new();
    let first = Run::start_as(&fake, FIRST, &[], "example.com/mcp-server:1");
    let second = Run::start_as(&fake, SECOND, &[NAMESPACE], "example.com/mcp-server:2");
    let names: Vec<String> = (0..8).map(|index| format!("hello-{index}")).collect();
    for name in &names {
        fake.create("mcpservers", server(name)).unwrap();
    }
    for name in &names {
        until(name, || fake.get("deployments", NAMESPACE, name).is_some()).await;
        until("the condition", || condition(&fake, name, "Contended").is_some()).await;
    }
    fake.take_requests();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(writes(&fake.take_requests()), Vec::<String>::new());
    for name in &names {
        let deployment = fake.get("deployments", NAMESPACE, name).unwrap();
        assert_eq!(deployment["metadata"]["generation"], 1, "{name} was written by both");
    }
    second.stop().await;
    first.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_release_takes_over_what_an_uninstalled_one_left_behind() {
    let fake = Fake::new();
    let first = Run::start_as(&fake, FIRST, &[], "example.com/mcp-server:1");
    settled(&fake, "hello").await;
    let second = Run::start_as(&fake, SECOND, &[NAMESPACE], "example.com/mcp-server:2");
    until("the condition", || contended(&fake).is_some()).await;
    uninstall(&fake, first, FIRST).await;
    let since = tokio::time::Instant::now();
    until("the other image", || image(&fake) == "example.com/mcp-server:2").await;
    assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
    assert_eq!(holder(&fake), SECOND);
    until("the end of the condition", || contended(&fake).is_none()).await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_holder_hands_nothing_over_and_its_death_does() {
    let fake = Fake::new();
    let first = Run::start_as(&fake, FIRST, &[], "example.com/mcp-server:1");
    settled(&fake, "hello").await;
    let second = Run::start_as(&fake, SECOND, &[NAMESPACE], "example.com/mcp-server:2");
    until("the condition", || contended(&fake).is_some()).await;
    first.kill().await;
    tokio::time::sleep(Duration::from_secs(80)).await;
    let first = Run::start_as(&fake, FIRST, &[], "example.com/mcp-server:1");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((holder(&fake), image(&fake)), (json!(FIRST), json!("example.com/mcp-server:1")));

    first.kill().await;
    let since = tokio::time::Instant::now();
    until("the other image", || image(&fake) == "example.com/mcp-server:2").await;
    assert!(since.elapsed() < Duration::from_secs(240), "{:?}", since.elapsed());
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_cannot_read_the_other_s_lease_stays_on_standby() {
    let fake = Fake::new();
    let first = Run::start_as(&fake, FIRST, &[], "example.com/mcp-server:1");
    settled(&fake, "hello").await;
    first.stop().await;
    fake.on_request(|request| {
        (request.resource == "leases" && request.verb == "get").then_some(crate::fake::Fault::Refuse(403))
    });
    let second = Run::start_as(&fake, SECOND, &[NAMESPACE], "example.com/mcp-server:2");
    until("the condition", || contended(&fake).is_some()).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!((holder(&fake), image(&fake)), (json!(FIRST), json!("example.com/mcp-server:1")));
    second.stop().await;
}

/// What a horizontal pod autoscaler does at each of its syncs.
fn autoscale(fake: &Fake) {
    fake.edit("deployments", NAMESPACE, "hello", |live| {
        live["spec"]["replicas"] = json!(3);
        live["metadata"]["managedFields"] = json!([{
            "manager": "kube-controller-manager", "operation": "Update", "subresource": "scale", "fieldsType": "FieldsV1",
            "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}},
        }]);
    });
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_on_the_deployment_is_named_and_not_fought() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let mut seen = Vec::new();
    for _ in 0..240 {
        autoscale(&fake);
        tokio::time::sleep(Duration::from_secs(15)).await;
        roll_out(&fake, "hello");
        seen.extend(
            writes(&fake.take_requests()).into_iter().filter(|write| write.starts_with("apply deployments")),
        );
    }
    assert!(seen.len() <= 14, "{} writes in an hour", seen.len());
    let sentence = "spec.replicas of Deployment hello is changed by kube-controller-manager after each revert; point the \
                    autoscaler at McpServer/hello";
    assert_eq!(contended(&fake), Some(("Autoscaler".to_owned(), sentence.to_owned())));
    assert_eq!(ready(&fake, "hello"), "False/Contended");
    let told = events(&fake);
    let warnings: Vec<_> = told.iter().filter(|event| event.0 == "Contended").collect();
    assert_eq!(warnings.len(), 1, "{told:?}");
    assert_eq!((warnings[0].1.as_str(), warnings[0].2), (sentence, 1));

    // The autoscaler is pointed elsewhere: the number is put right, and a while later all is well.
    until("the wanted number", || {
        fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 1
    })
    .await;
    roll_out(&fake, "hello");
    until("the end of the condition", || contended(&fake).is_none()).await;
    until("Ready", || ready(&fake, "hello") == "True/Ready").await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_admission_webhook_changes_is_said_once_and_not_written_at_each_pass() {
    let fake = Fake::new();
    fake.on_admission(|id, object| {
        if id.0 == "deployments" {
            object["spec"]["template"]["spec"]["containers"][0]["image"] =
                json!("mirror.example.com/mcp-server:1");
        }
    });
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let sentence = "spec.template.spec.containers[mcp-server].image of Deployment hello is stored with another value than the \
                    operator applies; exempt it from the admission webhook or policy that changes it, or set the same value in \
                    McpServer/hello";
    until("the condition", || contended(&fake).is_some()).await;
    assert_eq!(contended(&fake), Some(("AdmissionWebhook".to_owned(), sentence.to_owned())));
    assert_eq!(ready(&fake, "hello"), "True/Ready", "the pods run");
    fake.take_requests();
    for pass in 0..30 {
        // Wakes the reconcile.
        fake.edit("mcpservers", NAMESPACE, "hello", |server| {
            server["metadata"]["labels"] = json!({"pass": pass.to_string()});
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let written = writes(&fake.take_requests());
    assert!(written.len() <= 8, "{written:?}");
    let told = events(&fake);
    assert_eq!(told.iter().filter(|event| event.0 == "DriftReverted").count(), 0, "{told:?}");
    assert_eq!(
        told.iter().filter(|event| event.0 == "Contended").map(|event| event.2).sum::<u64>(),
        1,
        "{told:?}"
    );
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_knows_of_no_claims_is_noticed_by_what_it_writes() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let mut writes_seen = 0;
    for _ in 0..600 {
        fake.edit("deployments", NAMESPACE, "hello", |live| {
            live["metadata"]["annotations"]["mcp-operator.dev/desired-hash"] = json!("of-another-version");
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        writes_seen += writes(&fake.take_requests())
            .iter()
            .filter(|write| write.starts_with("apply deployments"))
            .count();
    }
    assert!(writes_seen <= 10, "{writes_seen} writes in ten minutes");
    assert_eq!(
        contended(&fake),
        Some((
            "SecondOperator".to_owned(),
            "Deployment hello is written by another mcp-operator too; uninstall one of them, or let each watch other namespaces \
             (watchNamespaces)"
                .to_owned()
        ))
    );
    run.stop().await;
}
