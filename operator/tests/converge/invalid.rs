//! A resource that breaks rules: what was valid last goes on, and is looked after.

use serde_json::json;

use crate::fake::Fake;
use crate::world::{
    CHILDREN, NAMESPACE, Run, condition, ready, requests, roll_out, server, set_cel, settled, until, writes,
};

fn message(fake: &Fake) -> String {
    condition(fake, "hello", "Ready").unwrap()["message"].as_str().unwrap().to_owned()
}

/// A settled resource with a typo in its tool.
async fn broken(fake: &Fake) {
    settled(fake, "hello").await;
    set_cel(fake, "hello", "\"Hello, \" + ");
    until("Invalid", || ready(fake, "hello") == "False/Invalid").await;
    requests(fake).await;
}

#[tokio::test(start_paused = true)]
async fn a_typo_in_a_tool_leaves_the_last_valid_configuration_and_the_message_says_so() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let before = fake.get("configmaps", NAMESPACE, "hello-config");
    set_cel(&fake, "hello", "\"Hello, \" + ");
    until("Invalid", || ready(&fake, "hello") == "False/Invalid").await;
    let written = writes(&requests(&fake).await);
    assert_eq!(written, ["apply-status mcpservers hello"]);
    assert_eq!(fake.get("configmaps", NAMESPACE, "hello-config"), before);
    let message = message(&fake);
    assert!(message.starts_with("spec.config.tools[0].cel: "), "{message}");
    assert!(message.ends_with("; 1 pod keeps serving the last valid configuration"), "{message}");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_resource_can_still_be_scaled_and_given_another_port() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    broken(&fake).await;
    fake.edit("mcpservers", NAMESPACE, "hello", |server| {
        server["spec"]["replicas"] = json!(3);
        server["spec"]["service"] = json!({"port": 8080});
    });
    until("three replicas", || fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 3)
        .await;
    roll_out(&fake, "hello");
    requests(&fake).await;
    assert_eq!(fake.get("services", NAMESPACE, "hello").unwrap()["spec"]["ports"][0]["port"], 8080);
    assert!(
        message(&fake).ends_with("; 3 pods keep serving the last valid configuration"),
        "{}",
        message(&fake)
    );
    let status = &fake.get("mcpservers", NAMESPACE, "hello").unwrap()["status"];
    assert_eq!(status["url"], "http://hello.shop.svc:8080/mcp");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn deleted_and_changed_children_of_an_invalid_resource_come_back_also_after_a_restart() {
    let fake = Fake::new();
    let mut run = Run::start(&fake);
    broken(&fake).await;
    let config = fake.get("configmaps", NAMESPACE, "hello-config").unwrap()["data"].clone();
    for (resource, suffix) in CHILDREN {
        let name = format!("hello{suffix}");
        fake.delete(resource, NAMESPACE, &name);
        until(resource, || fake.get(resource, NAMESPACE, &name).is_some()).await;
        requests(&fake).await;
    }
    fake.edit("configmaps", NAMESPACE, "hello-config", |live| live["data"]["production.json"] = json!("{}"));
    until("the configuration", || {
        fake.get("configmaps", NAMESPACE, "hello-config").unwrap()["data"] == config
    })
    .await;
    requests(&fake).await;

    run.stop().await;
    fake.delete("deployments", NAMESPACE, "hello");
    run = Run::start(&fake);
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    roll_out(&fake, "hello");
    requests(&fake).await;
    assert!(message(&fake).ends_with("keeps serving the last valid configuration"), "{}", message(&fake));
    set_cel(&fake, "hello", "\"Good day\"");
    until("Ready", || {
        roll_out(&fake, "hello");
        ready(&fake, "hello") == "True/Ready"
    })
    .await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_was_never_valid_gets_no_children() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    let mut never = server("hello");
    never["spec"]["config"]["tools"][0]["cel"] = json!("1 +");
    fake.create("mcpservers", never).unwrap();
    until("Invalid", || ready(&fake, "hello") == "False/Invalid").await;
    // The claim, and what is wrong.
    assert_eq!(writes(&requests(&fake).await), ["apply-status mcpservers hello"; 2]);
    for (resource, suffix) in CHILDREN {
        assert_eq!(fake.get(resource, NAMESPACE, &format!("hello{suffix}")), None, "{resource}");
    }
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_from_a_config_map_that_someone_changed_while_no_operator_ran() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    broken(&fake).await;
    run.stop().await;
    fake.edit("configmaps", NAMESPACE, "hello-config", |live| {
        live["data"]["production.json"] = json!("{\"auth\": {\"mode\": \"Disabled\"}}");
    });
    fake.delete("deployments", NAMESPACE, "hello");
    let run = Run::start(&fake);
    assert_eq!(writes(&requests(&fake).await).iter().filter(|write| write.starts_with("apply ")).count(), 0);
    assert_eq!(fake.get("deployments", NAMESPACE, "hello"), None);
    run.stop().await;
}
