//! Somebody else changes or deletes what the operator made.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount},
    },
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use mcp_crds::v1alpha1::McpServer;
use mcp_e2e::{Client, Era, Namespace, OURS, eventually, hello, kubectl};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[tokio::test]
async fn a_deleted_child_is_back_within_five_seconds() {
    let stage = Namespace::open("deleted-child").await;
    stage.serve(&hello("hello", "Hello")).await;
    comes_back::<Service>(&stage, "hello").await;
    comes_back::<ConfigMap>(&stage, "hello-config").await;
    comes_back::<ServiceAccount>(&stage, "hello-mcp").await;
    comes_back::<Deployment>(&stage, "hello").await;
    // The operator may not read Secrets, and notices all the same: docs/architecture.md says how.
    comes_back::<Secret>(&stage, "hello-api-key").await;
    stage.ready("hello", None).await;
}

async fn comes_back<K>(stage: &Namespace, name: &str)
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let api: Api<K> = stage.api();
    let old = api.get(name).await.unwrap().uid();
    api.delete(name, &DeleteParams::default()).await.unwrap();
    let what = format!("{} {name}", K::kind(&K::DynamicType::default()));
    let (_, took) = eventually(&what, Duration::from_secs(20), async || {
        let found = api.get(name).await.map_err(|error| error.to_string())?;
        if found.uid() == old { Err("still the old one".to_owned()) } else { Ok(()) }
    })
    .await;
    println!("{what}: back after {took:?}");
    assert!(took <= Duration::from_secs(5), "{what} took {took:?}");
}

#[tokio::test]
async fn deleting_the_generated_key_gives_a_new_one_and_no_pod_restarts() {
    let stage = Namespace::open("rotated-key").await;
    let client = Client::start(&stage).await;
    stage.serve(&hello("hello", "Hello")).await;
    let (url, old) = (stage.url("hello"), stage.key("hello").await);
    let pods = stage.incarnations("hello").await;
    stage.api::<Secret>().delete("hello-api-key", &DeleteParams::default()).await.unwrap();
    eventually("a new Secret", Duration::from_secs(5), async || {
        stage.api::<Secret>().get("hello-api-key").await.map_err(|error| error.to_string())
    })
    .await;
    let new = stage.key("hello").await;
    assert_ne!(new, old);
    // A mounted Secret is read anew at the kubelet's next sync, which may be a minute and a half away.
    let (_, took) = eventually("an answer to the new key", Duration::from_secs(150), async || {
        let answer = client.greet(&url, Some(&new), Era::Modern).await;
        if answer.ok { Ok(()) } else { Err(answer.text) }
    })
    .await;
    println!("the new key is known after {took:?}");
    assert!(!client.greet(&url, Some(&old), Era::Modern).await.ok, "the old key still works");
    assert_eq!(stage.incarnations("hello").await, pods, "a pod was replaced or restarted");
}

#[tokio::test]
async fn a_field_of_ours_is_put_back_and_a_field_of_others_is_kept() {
    let stage = Namespace::open("hand-edit").await;
    stage.serve(&hello("hello", "Hello")).await;
    let edit = json!({
        "metadata": {"annotations": {"example.com/note": "kept"}},
        "spec": {"template": {"spec": {"containers": [{"name": "mcp-server", "image": "localhost/other:1"}]}}},
    });
    hand_edit::<Deployment>(&stage, "hello", &edit).await;
    put_back::<Deployment>(
        &stage,
        "hello",
        "/spec/template/spec/containers/0/image",
        &json!("localhost/other:1"),
    )
    .await;
    kept::<Deployment>(&stage, "hello").await;

    let edit =
        json!({"metadata": {"annotations": {"example.com/note": "kept"}}, "data": {"production.json": "{}"}});
    hand_edit::<ConfigMap>(&stage, "hello-config", &edit).await;
    put_back::<ConfigMap>(&stage, "hello-config", "/data/production.json", &json!("{}")).await;
    kept::<ConfigMap>(&stage, "hello-config").await;

    let edit = json!({"metadata": {"annotations": {"example.com/note": "kept"}}, "spec": {"selector": {"app.kubernetes.io/instance": "other"}}});
    hand_edit::<Service>(&stage, "hello", &edit).await;
    put_back::<Service>(&stage, "hello", "/spec/selector/app.kubernetes.io~1instance", &json!("other")).await;
    kept::<Service>(&stage, "hello").await;
    stage.ready("hello", None).await;

    let restart = format!("rollout restart deployment/hello --namespace {}", stage.name);
    kubectl(&restart).await.unwrap();
    stage.ready("hello", None).await;
    let deployment = stage.api::<Deployment>().get("hello").await.unwrap();
    let annotations = deployment.spec.unwrap().template.metadata.unwrap().annotations.unwrap();
    assert!(annotations.contains_key("kubectl.kubernetes.io/restartedAt"), "a restart by hand was undone");
}

async fn hand_edit<K>(stage: &Namespace, name: &str, edit: &Value)
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    stage.api::<K>().patch(name, &PatchParams::default(), &Patch::Strategic(edit)).await.unwrap();
}

async fn put_back<K>(stage: &Namespace, name: &str, pointer: &str, edited: &Value)
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + serde::Serialize,
    K::DynamicType: Default,
{
    eventually(&format!("{name} {pointer}"), Duration::from_secs(5), async || {
        let live = serde_json::to_value(stage.api::<K>().get(name).await.unwrap()).unwrap();
        if live.pointer(pointer) == Some(edited) { Err("still edited") } else { Ok(()) }
    })
    .await;
}

async fn kept<K>(stage: &Namespace, name: &str)
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let live = stage.api::<K>().get(name).await.unwrap();
    assert_eq!(live.annotations().get("example.com/note").map(String::as_str), Some("kept"), "{name}");
}

#[tokio::test]
async fn a_deleted_server_leaves_nothing_behind() {
    let stage = Namespace::open("deletion").await;
    stage.serve(&hello("hello", "Hello")).await;
    stage.api::<McpServer>().delete("hello", &DeleteParams::default()).await.unwrap();
    let kinds = kubectl("api-resources --verbs=list --namespaced -o name").await.unwrap();
    let kinds: Vec<_> = kinds.lines().filter(|kind| !kind.starts_with("events")).collect();
    let all = kinds.join(",");
    let (_, took) = eventually("everything of ours to go", Duration::from_secs(30), async || {
        let left =
            kubectl(&format!("get {all} --namespace {} --selector {OURS} --no-headers -o name", stage.name))
                .await;
        match left {
            Ok(left) if left.is_empty() => Ok(()),
            other => Err(other),
        }
    })
    .await;
    println!("gone after {took:?}");
}
