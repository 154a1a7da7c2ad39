//! Things that go wrong, and what the resource says of them.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use mcp_crds::v1alpha1::McpServer;
use mcp_e2e::{Client, Era, Namespace, command, eventually, hello, kubectl};
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

    // Whatever else it is about goes on: the number of pods, and what somebody deletes.
    assert!(message.ends_with("keeps serving the last valid configuration"), "{message}");
    kubectl(&format!("scale mcps/hello --replicas=2 --namespace {}", stage.name)).await.unwrap();
    let scaled = format!(
        "wait deployment/hello --for=jsonpath={{.status.readyReplicas}}=2 --timeout=60s --namespace {}",
        stage.name
    );
    kubectl(&scaled).await.unwrap();
    kubectl(&format!("delete deployment hello --namespace {}", stage.name)).await.unwrap();
    eventually("the Deployment", Duration::from_secs(30), async || {
        stage.api::<Deployment>().get("hello").await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test]
async fn a_planted_secret_opens_no_server_and_its_end_is_seen_within_seconds() {
    let stage = Namespace::open("planted-key").await;
    let planted = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hello-api-key"}, "stringData": {"keys.json": "{}"}});
    stage.apply::<Secret>(&planted).await.unwrap();
    stage.apply::<McpServer>(&hello("hello", "Hello")).await.unwrap();
    let message = stage.condition("hello", "Ready", "False", "NameConflict").await;
    assert!(message.contains("Secret hello-api-key exists"), "{message}");
    assert!(stage.api::<Deployment>().get_opt("hello").await.unwrap().is_none());
    kubectl(&format!("delete secret hello-api-key --namespace {}", stage.name)).await.unwrap();
    kubectl(&format!("wait mcps/hello --for=condition=Ready --timeout=100s --namespace {}", stage.name))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_bad_keys_file_is_in_the_status_while_pods_serve() {
    let stage = Namespace::open("bad-keys").await;
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let secret = |text: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "clients"}, "stringData": {"keys.json": text}});
    let good = format!("{{\"keys\": [{{\"id\": \"ci\", \"sha256\": \"{digest}\"}}]}}");
    stage.apply::<Secret>(&secret(&good)).await.unwrap();
    let mut server = hello("hello", "Hello");
    server["spec"]["config"]["auth"] =
        json!({"apiKeys": {"secretKeyRef": {"name": "clients", "key": "keys.json"}}});
    stage.serve(&server).await;
    stage.apply::<Secret>(&secret("not JSON")).await.unwrap();
    // The kubelet looks at Secrets about once a minute; any change of a pod makes it look at once.
    kubectl(&format!("annotate pods --all example.com/look=now --namespace {}", stage.name)).await.unwrap();
    let (message, _) = eventually("the condition", Duration::from_secs(30), async || {
        let path = "jsonpath={.status.conditions[?(@.type==\"Degraded\")].message}";
        let shown =
            command("kubectl", &["get", "mcps", "hello", "--namespace", &stage.name, "-o", path]).await?;
        if shown.is_empty() { Err("no condition Degraded".to_owned()) } else { Ok(shown) }
    })
    .await;
    assert!(message.contains(&format!("Secret {}/clients (key \"keys.json\")", stage.name)), "{message}");
    stage.condition("hello", "Ready", "True", "Ready").await;
}

#[tokio::test]
async fn a_start_that_fails_says_which_variable_is_wrong() {
    let stage = Namespace::open("bad-variable").await;
    // From where the operator cannot see it.
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"timeout": "soon"}});
    stage.apply::<ConfigMap>(&settings).await.unwrap();
    let from = json!({"configMapKeyRef": {"name": "settings", "key": "timeout"}});
    let mut server = hello("hello", "Hello");
    server["spec"]["runtime"] =
        json!({"env": [{"name": "MCP_PERFORMANCE_REQUEST_TIMEOUT", "valueFrom": from}]});
    stage.apply::<McpServer>(&server).await.unwrap();
    let message = stage.condition("hello", "Ready", "False", "CrashLoop").await;
    let cause = "spec.runtime.env[0]: MCP_PERFORMANCE_REQUEST_TIMEOUT: is not a duration";
    assert!(message.contains(cause), "{message}");
}

#[tokio::test]
async fn an_installation_into_a_missing_namespace_makes_nothing() {
    let stage = Namespace::open("missing-watch").await;
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/mcp-operator");
    let release = format!("second-{}", stage.name);
    let said = command(
        "helm",
        &[
            "install",
            &release,
            chart,
            "--namespace",
            &stage.name,
            "--set",
            "watchNamespaces={no-such-namespace}",
        ],
    )
    .await
    .unwrap_err();
    assert!(said.contains("kubectl create namespace no-such-namespace"), "{said}");
    let listed = command("helm", &["list", "--all", "--short", "--namespace", &stage.name]).await.unwrap();
    assert_eq!(listed, "", "a release is left behind");
}
