//! The stage of one story.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace as KubeNamespace, Pod, Secret};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use mcp_crds::v1alpha1::McpServer;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{OURS, eventually};

/// A namespace that the next run of the same story clears away before it begins.
#[derive(Clone)]
pub struct Namespace {
    pub name: String,
    pub client: kube::Client,
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Namespace").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The resource of the README with a name and a greeting.
#[must_use]
pub fn hello(name: &str, greeting: &str) -> Value {
    json!({
        "apiVersion": "mcp-operator.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": name},
        // Stories ask again and again, and some see whether every call is answered.
        "spec": {"config": {"rateLimit": {"mode": "Off"}, "tools": [{
            "name": "greet",
            "description": "Say hello to somebody.",
            "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            "text": format!("{greeting}, {{{{args.name}}}}!"),
        }]}},
    })
}

impl Namespace {
    /// A fresh namespace for the story `name`.
    ///
    /// # Panics
    /// Where there is no cluster.
    pub async fn open(name: &str) -> Self {
        let client = kube::Client::try_default().await.expect("KUBECONFIG names a cluster");
        let name = format!("story-{name}");
        let namespaces: Api<KubeNamespace> = Api::all(client.clone());
        let _ = namespaces.delete(&name, &DeleteParams::default()).await;
        let fresh = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        });
        let fresh: KubeNamespace = serde_json::from_value(fresh).expect("a namespace");
        eventually("an earlier namespace to go", Duration::from_secs(60), async || {
            namespaces.create(&PostParams::default(), &fresh).await
        })
        .await;
        Self { name, client }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// What `kubectl apply` does.
    ///
    /// # Errors
    /// The answer of the API server.
    pub async fn apply<K>(&self, object: &Value) -> kube::Result<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let name = object["metadata"]["name"].as_str().expect("a name");
        self.api::<K>().patch(name, &PatchParams::apply("story").force(), &Patch::Apply(object)).await
    }

    /// Applies a server and waits until it is ready.
    ///
    /// # Panics
    /// Where it is not ready within a minute.
    pub async fn serve(&self, object: &Value) -> McpServer {
        let applied: McpServer = self.apply(object).await.expect("the resource is valid");
        self.ready(&applied.name_any(), applied.metadata.generation).await
    }

    /// Waits until a server is ready at `generation` or later.
    ///
    /// # Panics
    /// Where that takes more than a minute.
    pub async fn ready(&self, name: &str, generation: Option<i64>) -> McpServer {
        let what = format!("{name} to be ready");
        let (server, _) = eventually(&what, Duration::from_secs(60), async || {
            let server = self.api::<McpServer>().get(name).await.map_err(|error| error.to_string())?;
            let (status, reason, message) = condition(&server, "Ready");
            let observed = server.status.as_ref().and_then(|status| status.observed_generation);
            if status == "True" && observed >= generation {
                Ok(server)
            } else {
                Err(format!("{reason}: {message}"))
            }
        })
        .await;
        server
    }

    /// Waits until the condition `type_` has `status` and `reason`; its message comes back.
    ///
    /// # Panics
    /// After half a minute.
    pub async fn condition(&self, name: &str, type_: &str, status: &str, reason: &str) -> String {
        let what = format!("{name} to be {type_}={status}/{reason}");
        let (message, _) = eventually(&what, Duration::from_secs(30), async || {
            let server = self.api::<McpServer>().get(name).await.map_err(|error| error.to_string())?;
            let found = condition(&server, type_);
            if (found.0.as_str(), found.1.as_str()) == (status, reason) {
                Ok(found.2)
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
        message
    }

    /// Patches a server as `kubectl patch --type merge` does.
    ///
    /// # Panics
    /// Where the API server refuses.
    pub async fn patch(&self, name: &str, patch: &Value) -> McpServer {
        let patched =
            self.api::<McpServer>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.expect("the patch is valid")
    }

    /// The key that the operator generated for a server.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn key(&self, server: &str) -> String {
        let secret =
            self.api::<Secret>().get(&format!("{server}-api-key")).await.expect("the generated Secret");
        let key = secret.data.and_then(|mut data| data.remove("key")).expect("its field key");
        String::from_utf8(key.0).expect("a key is text")
    }

    /// The address of a server's Service.
    #[must_use]
    pub fn url(&self, server: &str) -> String {
        format!("http://{server}.{}.svc/mcp", self.name)
    }

    /// A server's pods: (uid, restarts) each, in order.
    ///
    /// # Panics
    /// Where they cannot be listed.
    pub async fn incarnations(&self, server: &str) -> Vec<(String, i32)> {
        let mut pods: Vec<_> = self
            .pods(server)
            .await
            .into_iter()
            .map(|pod| {
                let restarts =
                    pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
                (pod.uid().unwrap_or_default(), restarts.map(|container| container.restart_count).sum())
            })
            .collect();
        pods.sort();
        pods
    }

    /// A server's pods.
    ///
    /// # Panics
    /// Where they cannot be listed.
    pub async fn pods(&self, server: &str) -> Vec<Pod> {
        let ours = ListParams::default().labels(&format!("{OURS},app.kubernetes.io/instance={server}"));
        self.api::<Pod>().list(&ours).await.expect("pods can be listed").items
    }
}

/// Status, reason and message of a condition; empty where it is not there.
fn condition(server: &McpServer, type_: &str) -> (String, String, String) {
    // Through JSON: a story reads what a user reads.
    let server = serde_json::to_value(server).unwrap_or_default();
    let conditions = server["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"), text("message"))
}
