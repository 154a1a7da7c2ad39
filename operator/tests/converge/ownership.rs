//! What is ours, what is not, and what is left alone.

use std::time::Duration;

use serde_json::json;

use crate::fake::Fake;
use crate::world::{
    CHILDREN, NAMESPACE, Run, condition, events, quiet, reads, ready, requests, roll_out, server, settled,
    until, writes,
};

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_reported_and_nothing_of_it_overwritten() {
    let fake = Fake::new();
    let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hello-config", "namespace": NAMESPACE}, "data": {"a": "b"}});
    let foreign = fake.create("configmaps", foreign).unwrap();
    let run = Run::start(&fake);
    fake.create("mcpservers", server("hello")).unwrap();
    until("the condition", || ready(&fake, "hello") == "False/NameConflict").await;
    assert!(
        condition(&fake, "hello", "Ready").unwrap()["message"].as_str().unwrap().contains("hello-config")
    );
    assert_eq!(fake.get("configmaps", NAMESPACE, "hello-config"), Some(foreign));
    for (resource, suffix) in [("serviceaccounts", "-mcp"), ("services", "")] {
        assert!(fake.get(resource, NAMESPACE, &format!("hello{suffix}")).is_some(), "{resource}");
    }
    assert_eq!(fake.get("secrets", NAMESPACE, "hello-api-key"), None, "nothing could remember whose it is");
    assert_eq!(fake.get("deployments", NAMESPACE, "hello"), None, "pods on somebody else's configuration");

    fake.take_requests();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let asked = fake.take_requests();
    assert_eq!(writes(&asked), Vec::<String>::new());
    assert!(reads(&asked).len() <= 12, "more than one look a minute at each: {asked:?}");

    fake.delete("configmaps", NAMESPACE, "hello-config");
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn drift_in_our_fields_is_reverted_and_others_fields_are_kept() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.edit("deployments", NAMESPACE, "hello", |live| {
        live["spec"]["replicas"] = json!(7);
        live["metadata"]["annotations"]["example.com/note"] = json!("kept");
    });
    until("the old number", || fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 1)
        .await;
    roll_out(&fake, "hello");
    let written = writes(&requests(&fake).await);
    assert_eq!(written.iter().filter(|write| *write == "apply deployments hello").count(), 1, "{written:?}");
    let live = fake.get("deployments", NAMESPACE, "hello").unwrap();
    assert_eq!(live["metadata"]["annotations"]["example.com/note"], "kept");

    fake.edit("services", NAMESPACE, "hello", |live| {
        live["metadata"]["annotations"]["example.com/note"] = json!("x")
    });
    assert_eq!(writes(&requests(&fake).await), Vec::<String>::new());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_deleted_child_comes_back_the_key_too() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let key = fake.get("secrets", NAMESPACE, "hello-api-key").unwrap()["data"].clone();
    for (resource, suffix) in CHILDREN {
        let name = format!("hello{suffix}");
        fake.delete(resource, NAMESPACE, &name);
        let since = tokio::time::Instant::now();
        until(resource, || fake.get(resource, NAMESPACE, &name).is_some()).await;
        assert!(since.elapsed() < Duration::from_secs(5), "{resource} took {:?}", since.elapsed());
    }
    let rotated = fake.get("secrets", NAMESPACE, "hello-api-key").unwrap()["data"].clone();
    assert_ne!(key, rotated);
    roll_out(&fake, "hello");
    requests(&fake).await;
    assert_eq!(ready(&fake, "hello"), "True/Ready");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn children_of_a_former_resource_of_the_same_name_are_waited_for() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let old = fake.get("deployments", NAMESPACE, "hello").unwrap()["metadata"]["uid"].clone();
    fake.recreate("mcpservers", server("hello"));
    until("the condition", || ready(&fake, "hello") == "False/NameConflict").await;
    assert_eq!(fake.get("deployments", NAMESPACE, "hello").unwrap()["metadata"]["uid"], old);
    let since = tokio::time::Instant::now();
    fake.collect_garbage();
    until("a new Deployment", || {
        fake.get("deployments", NAMESPACE, "hello").is_some_and(|new| new["metadata"]["uid"] != old)
    })
    .await;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_being_deleted_gets_no_child_back() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.edit("mcpservers", NAMESPACE, "hello", |server| {
        server["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        server["metadata"]["generation"] = json!(9);
    });
    fake.delete("services", NAMESPACE, "hello");
    assert_eq!(writes(&requests(&fake).await), Vec::<String>::new());
    assert_eq!(fake.get("services", NAMESPACE, "hello"), None);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn several_namespaces_are_watched_and_no_other() {
    let fake = Fake::new();
    let run = Run::start_in(&fake, &["shop", "bank"]);
    for namespace in ["shop", "bank", "elsewhere"] {
        let mut server = server("hello");
        server["metadata"]["namespace"] = json!(namespace);
        fake.create("mcpservers", server).unwrap();
    }
    for namespace in ["shop", "bank"] {
        until(namespace, || fake.get("deployments", namespace, "hello").is_some()).await;
    }
    quiet(&fake).await;
    assert_eq!(fake.get("deployments", "elsewhere", "hello"), None);
    assert!(
        fake.state().requests.iter().all(|request| !request.namespace.is_empty()),
        "nothing cluster-wide is asked for"
    );
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn authentication_cannot_be_switched_off_on_the_deployment() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let before = fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"].clone();
    // kubectl set env, a host's network and a container of somebody's own.
    let edits: [fn(&mut serde_json::Value); 4] = [
        |pod| pod["containers"][0]["env"] = json!([{"name": "MCP_AUTH_MODE", "value": "Disabled"}]),
        |pod| pod["hostNetwork"] = json!(true),
        |pod| pod["containers"].as_array_mut().unwrap().push(json!({"name": "miner", "image": "x"})),
        |pod| {
            pod["containers"][0]["image"] = json!("somebody/else");
            pod["containers"][0]["command"] = json!(["/bin/sh"]);
        },
    ];
    for edit in edits {
        fake.edit("deployments", NAMESPACE, "hello", |live| edit(&mut live["spec"]["template"]["spec"]));
        requests(&fake).await;
        let mut after = fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"].clone();
        let container = &mut after["template"]["spec"]["containers"][0];
        if container["env"] == json!([]) {
            container.as_object_mut().unwrap().remove("env");
        }
        assert_eq!(after, before);
        roll_out(&fake, "hello");
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let told: Vec<_> = events(&fake).into_iter().filter(|event| event.0 == "DriftReverted").collect();
    let env = "Reverted what was not changed through the McpServer: Deployment hello \
               (spec.template.spec.containers[mcp-server].env[MCP_AUTH_MODE])";
    assert!(told.iter().any(|event| event.1 == env), "{told:?}");
    assert_eq!(told.len(), 4, "{told:?}");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_of_a_service_mesh_is_kept_and_named() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.edit("deployments", NAMESPACE, "hello", |live| {
        let pod = &mut live["spec"]["template"]["spec"];
        let proxy = json!({"name": "istio-proxy", "image": "i", "volumeMounts": [{"name": "istio-data", "mountPath": "/d"}]});
        pod["containers"].as_array_mut().unwrap().push(proxy);
        pod["volumes"].as_array_mut().unwrap().push(json!({"name": "istio-data", "emptyDir": {}}));
    });
    roll_out(&fake, "hello");
    until("the condition", || condition(&fake, "hello", "Injected").is_some()).await;
    let injected = condition(&fake, "hello", "Injected").unwrap();
    assert_eq!(
        injected["message"],
        "Deployment hello has sidecars that others injected, and they are kept: istio-proxy"
    );
    let written = writes(&requests(&fake).await);
    assert!(written.iter().all(|write| write.starts_with("apply-status")), "{written:?}");
    assert_eq!(ready(&fake, "hello"), "True/Ready");
    run.stop().await;
}
