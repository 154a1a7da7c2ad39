//! What the resource says besides its children.

use serde_json::json;

use crate::fake::Fake;
use crate::world::{NAMESPACE, Run, condition, ready, requests, set_cel, settled, until, writes};

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
