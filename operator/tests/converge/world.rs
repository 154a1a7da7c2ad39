//! A cluster in memory with the operator in it, and what the rest of a cluster would do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use mcp_desired::Settings;
use mcp_operator::events::Events;
use mcp_operator::holders::Holders;
use mcp_operator::metrics::Metrics;
use mcp_operator::operator::{Operator, Running};
use mcp_operator::readiness::Readiness;
use mcp_operator::reports::{Answer, Ask};
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, Request};

pub(crate) const NAMESPACE: &str = "shop";

/// One run of the operator against a fake API server.
pub(crate) struct Run {
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    stop: CancellationToken,
    work: JoinHandle<()>,
    publishing: JoinHandle<()>,
}

impl Run {
    pub(crate) fn start(fake: &Fake) -> Self {
        Self::start_in(fake, &[])
    }

    pub(crate) fn start_in(fake: &Fake, namespaces: &[&str]) -> Self {
        Self::start_asking(fake, namespaces, &(Arc::new(Nobody) as Arc<dyn Ask>))
    }

    pub(crate) fn start_asking(fake: &Fake, namespaces: &[&str], ask: &Arc<dyn Ask>) -> Self {
        Self::start_with(fake, "mcp-system/mcp-operator", namespaces, "example.com/mcp-server:1", ask)
    }

    /// A release of this name whose pods run this image.
    pub(crate) fn start_as(fake: &Fake, identity: &str, namespaces: &[&str], image: &str) -> Self {
        Self::start_with(fake, identity, namespaces, image, &(Arc::new(Nobody) as Arc<dyn Ask>))
    }

    fn start_with(fake: &Fake, identity: &str, namespaces: &[&str], image: &str, ask: &Arc<dyn Ask>) -> Self {
        let (readiness, stop) = (Readiness::default(), CancellationToken::new());
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let (events, publishing) = Events::start(fake.client(), metrics.events.clone());
        let operator = Operator {
            client: fake.client(),
            settings: Settings {
                runtime_image: image.to_owned(),
                runtime_image_pull_policy: "IfNotPresent".to_owned(),
            },
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            events,
            identity: identity.to_owned(),
            holders: Arc::new(Holders::new(fake.client(), identity.to_owned())),
            namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
            concurrency: 4,
            ask: Arc::clone(ask),
        };
        let Running { work, controllers } = operator.start(&stop);
        let work = tokio::spawn(async move {
            work.await;
            drop(controllers);
        });
        Self { readiness, metrics, stop, work, publishing }
    }

    /// As SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.work.await.unwrap();
        self.publishing.abort();
    }

    /// As SIGKILL does.
    pub(crate) async fn kill(self) {
        self.work.abort();
        self.publishing.abort();
        let _ = self.work.await;
        let _ = self.publishing.await;
    }
}

/// Pods that cannot be reached.
struct Nobody;

impl Ask for Nobody {
    fn ask(&self, _: SocketAddr, _: String) -> BoxFuture<'_, Result<Answer, String>> {
        async { Err("out of reach".to_owned()) }.boxed()
    }
}

/// Waits until something is so; says what it waited for when it never is.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited ten minutes for: {what}");
}

/// Waits until no request was made for ten seconds. The time is that of the test.
pub(crate) async fn quiet(fake: &Fake) {
    loop {
        let before = fake.requests();
        tokio::time::sleep(Duration::from_secs(10)).await;
        if fake.requests() == before {
            return;
        }
    }
}

/// Waits for quiet, and returns the requests up to it.
pub(crate) async fn requests(fake: &Fake) -> Vec<Request> {
    quiet(fake).await;
    fake.take_requests()
}

pub(crate) fn writes(requests: &[Request]) -> Vec<String> {
    requests.iter().filter(|request| request.is_write()).map(shown).collect()
}

pub(crate) fn reads(requests: &[Request]) -> Vec<String> {
    requests.iter().filter(|request| matches!(request.verb, "get" | "trial")).map(shown).collect()
}

fn shown(request: &Request) -> String {
    format!("{} {} {}", request.verb, request.resource, request.name)
}

/// A small resource.
pub(crate) fn server(name: &str) -> Value {
    json!({
        "apiVersion": "mcp-operator.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"replicas": 1, "config": {"tools": [{
            "name": "greet", "description": "Say hello to somebody.",
            "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
            "cel": "\"Hello, \" + args.name + \"!\""
        }]}}
    })
}

pub(crate) fn set_cel(fake: &Fake, name: &str, source: &str) {
    fake.edit("mcpservers", NAMESPACE, name, |server| {
        server["spec"]["config"]["tools"][0]["cel"] = json!(source)
    });
}

/// What the Deployment's controller and the kubelet do: all pods of today's version run and answer.
pub(crate) fn roll_out(fake: &Fake, name: &str) {
    let deployment = fake.get("deployments", NAMESPACE, name).unwrap();
    let replicas = &deployment["spec"]["replicas"];
    for index in 0..replicas.as_i64().unwrap() {
        let pod = format!("{name}-{index}");
        if fake.get("pods", NAMESPACE, &pod).is_none() {
            let labels = &deployment["spec"]["template"]["metadata"]["labels"];
            fake.create(
                "pods",
                json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": pod, "namespace": NAMESPACE, "labels": labels},
                    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                }),
            )
            .unwrap();
        }
    }
    let generation = &deployment["metadata"]["generation"];
    fake.edit("deployments", NAMESPACE, name, |live| {
        live["status"] = json!({
            "observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas
        });
    });
}

/// A condition of the resource.
pub(crate) fn condition(fake: &Fake, name: &str, type_: &str) -> Option<Value> {
    let server = fake.get("mcpservers", NAMESPACE, name)?;
    server["status"]["conditions"].as_array()?.iter().find(|found| found["type"] == type_).cloned()
}

/// Status and reason of the condition `Ready`, as in `False/Invalid`.
pub(crate) fn ready(fake: &Fake, name: &str) -> String {
    condition(fake, name, "Ready").map_or_else(String::new, |ready| {
        format!("{}/{}", ready["status"].as_str().unwrap(), ready["reason"].as_str().unwrap())
    })
}

/// The events about resources, as (reason, note, count).
pub(crate) fn events(fake: &Fake) -> Vec<(String, String, u64)> {
    let state = fake.state();
    let events = state.objects.iter().filter(|(id, _)| id.0 == "events").map(|(_, event)| {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("note"), event["series"]["count"].as_u64().unwrap_or(1))
    });
    events.collect()
}

/// A resource that is made, rolled out and settled; the requests up to then are forgotten.
pub(crate) async fn settled(fake: &Fake, name: &str) {
    fake.create("mcpservers", server(name)).unwrap();
    until("the Deployment", || fake.get("deployments", NAMESPACE, name).is_some()).await;
    roll_out(fake, name);
    until("Ready", || ready(fake, name) == "True/Ready").await;
    requests(fake).await;
}

pub(crate) const CHILDREN: [(&str, &str); 5] = [
    ("serviceaccounts", "-mcp"),
    ("secrets", "-api-key"),
    ("configmaps", "-config"),
    ("services", ""),
    ("deployments", ""),
];
