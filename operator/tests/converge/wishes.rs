//! What the resource says besides its children.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::fake::Fake;
use crate::world::{
    NAMESPACE, Run, condition, events, ready, requests, roll_out, server, set_cel, settled, until, writes,
};

#[tokio::test(start_paused = true)]
async fn an_invalid_edit_keeps_the_last_good_configuration() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let good = fake.get("configmaps", NAMESPACE, "hello-config");
    set_cel(&fake, "hello", "1 +");
    until("the condition", || ready(&fake, "hello") == "False/Invalid").await;
    let message = condition(&fake, "hello", "Ready").unwrap()["message"].clone();
    assert!(message.as_str().unwrap().contains("spec.config.tools[0].cel"), "{message}");
    assert_eq!(fake.get("configmaps", NAMESPACE, "hello-config"), good);
    set_cel(&fake, "hello", "\"mended\"");
    until("Ready", || ready(&fake, "hello") == "True/Ready").await;
    assert_ne!(fake.get("configmaps", NAMESPACE, "hello-config"), good);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_resource_writes_nothing_until_it_goes_on() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.edit("mcpservers", NAMESPACE, "hello", |server| {
        server["spec"]["paused"] = json!(true);
        server["spec"]["replicas"] = json!(5);
    });
    until("the condition", || condition(&fake, "hello", "Paused").is_some()).await;
    let written = writes(&requests(&fake).await);
    assert!(written.iter().all(|write| write.starts_with("apply-status")), "{written:?}");
    fake.edit("mcpservers", NAMESPACE, "hello", |server| server["spec"]["paused"] = json!(false));
    until("five replicas", || fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 5)
        .await;
    assert_eq!(condition(&fake, "hello", "Paused"), None);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_say_today_s_cause_and_count_only_what_is_the_same() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    for replicas in [7, 7, 7] {
        fake.edit("deployments", NAMESPACE, "hello", |live| live["spec"]["replicas"] = json!(replicas));
        until("the old number", || {
            fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 1
        })
        .await;
        roll_out(&fake, "hello");
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    fake.edit("services", NAMESPACE, "hello", |live| live["spec"]["ports"][0]["targetPort"] = json!("admin"));
    until("the port", || {
        fake.get("services", NAMESPACE, "hello").unwrap()["spec"]["ports"][0]["targetPort"] == "mcp"
    })
    .await;
    fake.delete("services", NAMESPACE, "hello");
    until("the Service", || fake.get("services", NAMESPACE, "hello").is_some()).await;
    fake.edit("mcpservers", NAMESPACE, "hello", |server| server["spec"]["replicas"] = json!(2));
    until("two replicas", || fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 2)
        .await;
    roll_out(&fake, "hello");
    requests(&fake).await;
    let of = |reason: &str| -> Vec<(String, u64)> {
        let all = events(&fake).into_iter().filter(|event| event.0 == reason);
        all.map(|(_, note, count)| (note, count)).collect()
    };
    let begin = "Reverted what was not changed through the McpServer:";
    let reverted: BTreeSet<_> = of("DriftReverted").into_iter().collect();
    assert_eq!(
        reverted,
        BTreeSet::from([
            (format!("{begin} Deployment hello (spec.replicas)"), 3),
            (format!("{begin} Service hello (spec.ports[80,TCP].targetPort)"), 1),
            (format!("{begin} Service hello (deleted)"), 1),
        ])
    );
    assert_eq!(of("Updated"), [("Updated Deployment hello (spec.replicas)".to_owned(), 1)]);
    let rolled_out: Vec<_> = of("RolledOut").into_iter().map(|(note, _)| note).collect();
    let begin = |generation: u8| {
        format!("Rolled out generation {generation} with image example.com/mcp-server:1: Serving")
    };
    assert!(rolled_out.iter().any(|note| note.starts_with(&begin(1))), "{rolled_out:?}");
    assert!(rolled_out.iter().any(|note| note.starts_with(&begin(2))), "{rolled_out:?}");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_is_waited_for_and_its_names_are_allowed_hosts() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    let mut wanted = server("hello");
    wanted["spec"]["service"] = json!({"type": "LoadBalancer"});
    fake.create("mcpservers", wanted).unwrap();
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    roll_out(&fake, "hello");
    requests(&fake).await;
    assert_eq!(ready(&fake, "hello"), "False/Progressing");
    let message = condition(&fake, "hello", "Ready").unwrap()["message"].clone();
    assert_eq!(
        message,
        "Service hello has no external address yet: the cluster's load balancer gives it; see kubectl describe service hello; \
         Serving 1 tool on 1 pod"
    );
    fake.edit("services", NAMESPACE, "hello", |service| {
        service["status"] =
            json!({"loadBalancer": {"ingress": [{"hostname": "lb-1.example.com"}, {"ip": "203.0.113.7"}]}});
    });
    until("Ready", || ready(&fake, "hello") == "True/Ready").await;
    let file = fake.get("configmaps", NAMESPACE, "hello-config").unwrap()["data"]["production.json"].clone();
    let file: serde_json::Value = serde_json::from_str(file.as_str().unwrap()).unwrap();
    let hosts = file["http"]["allowedHosts"].as_array().unwrap();
    assert!(hosts.contains(&json!("lb-1.example.com")) && hosts.contains(&json!("203.0.113.7")), "{hosts:?}");
    assert_eq!(file["http"]["addressHosts"], "Allow");
    run.stop().await;
}
