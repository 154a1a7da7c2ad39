//! Things that go wrong, and what the resource says of them.

use k8s_openapi::api::core::v1::ConfigMap;
use mcp_crds::v1alpha1::McpServer;
use mcp_e2e::{Client, Era, Namespace, hello, kubectl};
use serde_json::json;

#[tokio::test]
async fn a_config_map_of_somebody_else_is_not_overwritten() {
    let stage = Namespace::open("name-conflict").await;
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hello-config"}, "data": {"mine": "yes"}});
    stage.apply::<ConfigMap>(&theirs).await.unwrap();
    stage.apply::<McpServer>(&hello("hello", "Hello")).await.unwrap();
    let message = stage.condition("hello", "Ready", "False", "NameConflict").await;
    assert!(message.contains("ConfigMap") && message.contains("hello-config"), "{message}");
    let live = stage.api::<ConfigMap>().get("hello-config").await.unwrap();
    assert_eq!(live.data.unwrap().into_iter().collect::<Vec<_>>(), [("mine".to_owned(), "yes".to_owned())]);
    assert!(live.metadata.owner_references.is_none() && live.metadata.labels.is_none());
    let events = kubectl(&format!("get events --namespace {} --no-headers", stage.name)).await.unwrap();
    assert!(events.contains("NameConflict"), "{events}");

    kubectl(&format!("delete configmap hello-config --namespace {}", stage.name)).await.unwrap();
    // The name is looked at once a minute at most.
    let ready = format!("wait mcps/hello --for=condition=Ready --timeout=100s --namespace {}", stage.name);
    kubectl(&ready).await.unwrap();
}

#[tokio::test]
async fn an_image_or_a_secret_that_does_not_exist_is_named_and_old_pods_keep_serving() {
    let stage = Namespace::open("no-image").await;
    let client = Client::start(&stage).await;
    // Its pod waits for a volume, which no status shows, while the rest of the story is told.
    let mut keyless = hello("keyless", "Hello");
    keyless["spec"]["config"]["auth"] =
        json!({"apiKeys": {"secretKeyRef": {"name": "nope", "key": "keys.json"}}});
    stage.apply::<McpServer>(&keyless).await.unwrap();
    stage.serve(&hello("hello", "Hello")).await;
    let (url, key) = (stage.url("hello"), stage.key("hello").await);
    let old = stage.incarnations("hello").await;
    stage.patch("hello", &json!({"spec": {"runtime": {"image": "localhost/nowhere:1"}}})).await;
    let message = stage.condition("hello", "Ready", "False", "ImagePull").await;
    assert!(message.contains("localhost/nowhere:1"), "{message}");
    assert!(message.contains("1 pod of the previous version keeps serving"), "{message}");
    stage.condition("hello", "Available", "True", "Serving").await;
    for _ in 0..5 {
        let answer = client.greet(&url, Some(&key), Era::Modern).await;
        assert_eq!((answer.ok, answer.text.as_str()), (true, "Hello, Ada!"));
    }
    let now = stage.incarnations("hello").await;
    assert!(old.iter().all(|pod| now.contains(pod)), "an old pod is gone");
    stage.patch("hello", &json!({"spec": {"runtime": null}})).await;
    stage.ready("hello", Some(3)).await;

    let message = stage.condition("keyless", "Ready", "False", "ReferenceMissing").await;
    let step = "does not exist; create it, or change spec.config.auth.apiKeys.secretKeyRef";
    assert_eq!(message, format!("Secret {}/nope {step}", stage.name));
    let shown = kubectl(&format!("get mcps keyless --no-headers --namespace {}", stage.name)).await.unwrap();
    assert!(shown.contains("Secret") && shown.chars().count() < 200, "{shown}");
}

#[tokio::test]
async fn a_broken_expression_is_named_and_the_last_good_config_keeps_serving() {
    let stage = Namespace::open("broken-cel").await;
    let client = Client::start(&stage).await;
    stage.serve(&hello("hello", "Hello")).await;
    let (url, key) = (stage.url("hello"), stage.key("hello").await);
    let broken =
        json!({"spec": {"config": {"tools": [{"name": "greet", "cel": "\"Hello, \" + args.name +"}]}}});
    stage.patch("hello", &broken).await;
    let message = stage.condition("hello", "Ready", "False", "Invalid").await;
    assert!(message.contains("spec.config.tools[0].cel"), "{message}");
    let answer = client.greet(&url, Some(&key), Era::Modern).await;
    assert_eq!((answer.ok, answer.text.as_str()), (true, "Hello, Ada!"));
    let config = stage.api::<ConfigMap>().get("hello-config").await.unwrap();
    assert!(config.data.unwrap()["production.json"].contains("Hello, {{args.name}}!"));
}
