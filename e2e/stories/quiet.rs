//! What a settled resource costs, and what a new operator does to it: nothing.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use mcp_e2e::{Namespace, OPERATOR_NAMESPACE, OURS, eventually, hello, kubectl, settle};
use serde_json::Value;

const OPERATOR: &str = "system:serviceaccount:mcp-system:mcp-operator";

#[tokio::test]
async fn a_settled_server_costs_no_request_for_a_minute() {
    let Some(audit) = Audit::open() else { return };
    let stage = Namespace::open("settled").await;
    let from = audit.length();
    stage.serve(&hello("hello", "Hello")).await;
    // Leftovers of other stories end meanwhile.
    let quiet = async || audit.by_operator(0).len();
    settle("the operator", Duration::from_secs(5), Duration::from_secs(90), quiet).await;
    let made = audit
        .by_operator(from)
        .into_iter()
        .filter(|request| request.namespace == stage.name)
        .collect::<Vec<_>>();
    let count = |verb: &str, subresource: &str| {
        made.iter()
            .filter(|request| {
                request.verb == verb && request.subresource == subresource && request.resource != "events"
            })
            .count()
    };
    println!("requests for one server: {}", summary(&made));
    // Before the Secret is written: a dry run says whether its name is free, and a mark on the ConfigMap whose it will be.
    assert_eq!(count("patch", "") + count("create", ""), 5 + 2, "one write a child");
    // The first one claims the resource for this release, before anything is written for it.
    assert!(count("patch", "status") <= 1 + 3, "at most three of the status besides the claim");

    let from = audit.length();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let requests = audit.by_operator(from);
    assert!(requests.is_empty(), "requests of a settled operator: {}", summary(&requests));
}

#[tokio::test]
async fn a_new_operator_writes_nothing_and_restarts_nothing() {
    let Some(audit) = Audit::open() else { return };
    let stage = Namespace::open("new-operator").await;
    stage.serve(&hello("hello", "Hello")).await;
    let quiet = async || audit.by_operator(0).len();
    settle("the operator", Duration::from_secs(5), Duration::from_secs(90), quiet).await;
    let (pods, versions) = (stage.incarnations("hello").await, versions(&stage).await);

    let from = audit.length();
    let operators: Api<Pod> = Api::namespaced(stage.client.clone(), OPERATOR_NAMESPACE);
    let selector = ListParams::default().labels("app.kubernetes.io/name=mcp-operator");
    let old: Vec<_> = operators.list(&selector).await.unwrap().items;
    assert_eq!(old.len(), 1, "one operator");
    operators.delete(&old[0].name_any(), &DeleteParams::default().grace_period(0)).await.unwrap();
    eventually("a new operator to be ready", Duration::from_secs(60), async || {
        let now = operators.list(&selector).await.map_err(|error| error.to_string())?.items;
        let ready = now.iter().any(|pod| {
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            pod.uid() != old[0].uid()
                && conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
        });
        if ready { Ok(()) } else { Err(format!("{} pods", now.len())) }
    })
    .await;
    settle("the new operator", Duration::from_secs(10), Duration::from_secs(60), quiet).await;

    let writes: Vec<_> = audit.by_operator(from).into_iter().filter(Request::is_write).collect();
    assert!(writes.is_empty(), "a new operator wrote: {}", summary(&writes));
    assert_eq!(stage.incarnations("hello").await, pods, "a pod was replaced or restarted");
    assert_eq!(self::versions(&stage).await, versions, "a child was written");
}

/// resourceVersions of everything of ours in a namespace.
async fn versions(stage: &Namespace) -> String {
    let kinds = "serviceaccounts,configmaps,secrets,deployments,services,mcpservers";
    let columns = "-o custom-columns=K:.kind,N:.metadata.name,V:.metadata.resourceVersion --no-headers";
    kubectl(&format!("get {kinds} --namespace {} --selector {OURS} {columns}", stage.name)).await.unwrap()
}

/// The API server's own record of requests.
struct Audit {
    path: String,
}

#[derive(Debug)]
struct Request {
    verb: String,
    resource: String,
    subresource: String,
    namespace: String,
    code: u64,
}

impl Request {
    fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

impl Audit {
    /// Where the cluster keeps none, requests cannot be counted from outside.
    fn open() -> Option<Self> {
        let path = std::env::var("CLUSTER_AUDIT_LOG").ok().filter(|path| !path.is_empty());
        if path.is_none() {
            println!(
                "NOT TOLD: this cluster keeps no audit log (CLUSTER_AUDIT_LOG), requests cannot be counted"
            );
        }
        path.map(|path| Self { path })
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).expect("the audit log can be read")
    }

    fn length(&self) -> usize {
        self.text().len()
    }

    /// The operator's requests since the log had `from` bytes. Watches are not counted: renewing one is no request.
    fn by_operator(&self, from: usize) -> Vec<Request> {
        let text = self.text();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let lines = whole.get(from..).unwrap_or_default().lines();
        lines
            .filter(|line| line.contains(OPERATOR))
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| event["user"]["username"] == OPERATOR && event["stage"] == "ResponseComplete")
            .map(|event| {
                let text = |pointer: &str| {
                    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                Request {
                    verb: text("/verb"),
                    resource: text("/objectRef/resource"),
                    subresource: text("/objectRef/subresource"),
                    namespace: text("/objectRef/namespace"),
                    code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
                }
            })
            // The heartbeat of a release: two writes a minute, however many resources there are.
            .filter(|request| request.verb != "watch" && request.resource != "leases")
            .collect()
    }
}

fn summary(requests: &[Request]) -> String {
    let mut counts = BTreeMap::new();
    for request in requests {
        let what = format!("{} {}/{} {}", request.verb, request.resource, request.subresource, request.code);
        *counts.entry(what).or_insert(0_usize) += 1;
    }
    counts.into_iter().map(|(what, count)| format!("{count} × {what}")).collect::<Vec<_>>().join(", ")
}
