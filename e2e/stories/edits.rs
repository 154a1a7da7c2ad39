//! A running server is changed.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use mcp_e2e::{Client, Era, Namespace, eventually, hello, kubectl, settle};
use serde_json::json;

#[tokio::test]
async fn a_new_text_is_answered_within_three_seconds_and_no_pod_restarts() {
    let stage = Namespace::open("new-text").await;
    let client = Client::start(&stage).await;
    stage.serve(&hello("hello", "Hello")).await;
    let (url, key) = (stage.url("hello"), stage.key("hello").await);
    let before = stage.incarnations("hello").await;
    for greeting in ["Good day", "Ahoy", "Servus"] {
        stage.apply::<mcp_crds::v1alpha1::McpServer>(&hello("hello", greeting)).await.unwrap();
        let wanted = format!("{greeting}, Ada!");
        let (_, took) = eventually(&wanted, Duration::from_secs(20), async || {
            let answer = client.greet(&url, Some(&key), Era::Modern).await;
            if answer.text == wanted { Ok(()) } else { Err(answer.text) }
        })
        .await;
        println!("{wanted:?} after {took:?}");
        assert!(took <= Duration::from_secs(3), "took {took:?}");
    }
    stage.ready("hello", None).await;
    assert_eq!(stage.incarnations("hello").await, before, "a pod was replaced or restarted");
}

#[tokio::test]
async fn a_new_variable_rolls_the_pods_and_never_fewer_are_ready_than_asked() {
    let stage = Namespace::open("new-variable").await;
    let client = Client::start(&stage).await;
    let mut object = hello("hello", "Hello");
    object["spec"]["replicas"] = json!(2);
    stage.serve(&object).await;
    let (url, key) = (stage.url("hello"), stage.key("hello").await);
    let before = stage.incarnations("hello").await;

    let over = AtomicBool::new(false);
    let watch = async {
        let mut fewest = usize::MAX;
        while !over.load(Ordering::Relaxed) {
            fewest = fewest.min(stage.pods("hello").await.iter().filter(|pod| is_ready(pod)).count());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        fewest
    };
    let call = async {
        let mut failures = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let answer = client.greet(&url, Some(&key), Era::Modern).await;
            if !answer.ok {
                failures.push(answer.text);
            }
        }
        failures
    };
    let change = async {
        let patch = json!({"spec": {"runtime": {"env": [{"name": "MCP_ENVIRONMENT", "value": "staging"}]}}});
        let patched = stage.patch("hello", &patch).await;
        stage.ready("hello", patched.metadata.generation).await;
        over.store(true, Ordering::Relaxed);
    };
    let (fewest, failures, ()) = tokio::join!(watch, call, change);
    assert!(fewest >= 2, "only {fewest} pods were ready at some time");
    assert!(failures.is_empty(), "calls failed: {failures:?}");
    // Old pods finish their calls before they go.
    eventually("the old pods to go", Duration::from_secs(60), async || {
        let pods = stage.incarnations("hello").await.len();
        if pods == 2 { Ok(()) } else { Err(pods) }
    })
    .await;
    assert!(
        stage.incarnations("hello").await.iter().all(|pod| !before.contains(pod)),
        "a pod was not replaced"
    );
}

#[tokio::test]
async fn kubectl_scale_works_and_stays() {
    let stage = Namespace::open("scale").await;
    stage.serve(&hello("hello", "Hello")).await;
    kubectl(&format!("scale mcps/hello --replicas=3 --namespace {}", stage.name)).await.unwrap();
    eventually("three ready pods", Duration::from_secs(60), async || {
        let ready = stage.pods("hello").await.iter().filter(|pod| is_ready(pod)).count();
        if ready == 3 { Ok(()) } else { Err(ready) }
    })
    .await;
    stage.ready("hello", Some(2)).await;
    let shown = kubectl(&format!("get mcps hello --namespace {} --no-headers", stage.name)).await.unwrap();
    assert!(shown.split_whitespace().any(|word| word == "3"), "{shown}");
    let stays = settle("the pods", Duration::from_secs(5), Duration::from_secs(30), async || {
        stage.incarnations("hello").await
    })
    .await;
    assert_eq!(stays.len(), 3);

    kubectl(&format!("scale mcps/hello --replicas=0 --namespace {}", stage.name)).await.unwrap();
    let message = stage.condition("hello", "Ready", "True", "ScaledToZero").await;
    assert!(message.to_lowercase().contains("zero") || message.contains('0'), "{message}");
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
