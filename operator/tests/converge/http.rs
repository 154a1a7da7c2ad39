//! The fake API server behind HTTP: paths, queries and bodies, as a tower service for `kube::Client::new`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use http::{Request as HttpRequest, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::Service;

use crate::fake::{Change, Fake, Fault, Refused, Request, id_of};

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

impl Fake {
    pub(crate) fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    async fn answer(self, request: HttpRequest<Body>) -> Result<Answer, tower::BoxError> {
        let query: BTreeMap<String, String> = request
            .uri()
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), decode(value)))
            .collect();
        let path = Path::parse(request.uri().path());
        let apply = request
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind.to_str().unwrap().contains("apply-patch"));
        let strategic = request
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind.to_str().unwrap().contains("strategic-merge-patch"));
        let status = path.subresource == "status";
        let verb = match (request.method().as_str(), path.name.is_empty()) {
            ("GET", true) if query.get("watch").is_some_and(|watch| watch == "true") => "watch",
            ("GET", true) => "list",
            ("GET", false) => "get",
            ("POST", _) if query.get("dryRun").is_some_and(|run| run == "All") => "trial",
            ("POST", _) => "create",
            ("PATCH", _) if status => "apply-status",
            ("PATCH", _) if apply => "apply",
            ("PATCH", _) => "patch",
            (other, _) => panic!("unexpected method {other}"),
        };
        let body: Value = match request.into_body().collect().await?.to_bytes() {
            empty if empty.is_empty() => Value::Null,
            bytes => serde_json::from_slice(&bytes)?,
        };
        let counted = Request {
            verb,
            resource: path.resource.clone(),
            namespace: path.namespace.clone(),
            name: if matches!(verb, "create" | "trial") { id_of("", &body).2 } else { path.name.clone() },
        };
        let fault = self.count(&counted);
        if let Some(Fault::Refuse(code)) = fault {
            return Ok(refusal(&(code, "Injected", "the test refuses this request".to_owned())));
        }
        if let Some(Fault::RefuseSaying(code, message)) = fault {
            return Ok(refusal(&(code, "Injected", message.to_owned())));
        }
        let id = (path.resource.clone(), path.namespace.clone(), path.name.clone());
        let result = match verb {
            "watch" => return Ok(self.watch(&path, &query)),
            "list" => Ok(self.list(&path, &query)),
            "get" => self
                .get(&path.resource, &path.namespace, &path.name)
                .ok_or_else(|| (404, "NotFound", format!("{} \"{}\" not found", path.resource, path.name))),
            "trial" => match self.get(&path.resource, &path.namespace, &counted.name) {
                Some(_) => Err((409, "AlreadyExists", format!("{} already exists", counted.name))),
                None => Ok(body),
            },
            "create" => {
                let mut body = body;
                body["metadata"]["namespace"] = json!(path.namespace);
                self.create(&path.resource, body)
            }
            "apply-status" => self.apply(id, "status", body),
            "apply" => {
                assert_eq!(query.get("force").map(String::as_str), Some("true"), "applies are forced");
                assert_eq!(query.get("fieldManager").map(String::as_str), Some("mcp-operator"));
                assert_eq!(query.get("fieldValidation").map(String::as_str), Some("Strict"));
                self.apply(id, "", body)
            }
            _ if strategic => self.strategic_patch(id, &body),
            _ => self.merge_patch(id, &body),
        };
        if fault == Some(Fault::Slow) {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        if fault == Some(Fault::LoseAnswer) {
            return Err("the test loses this answer".into());
        }
        Ok(match result {
            Ok(object) => json_answer(200, &object),
            Err(refused) => refusal(&refused),
        })
    }

    fn list(&self, path: &Path, query: &BTreeMap<String, String>) -> Value {
        let state = self.state();
        let items: Vec<&Value> = state
            .objects
            .iter()
            .filter(|(id, object)| path.covers(&id.0, &id.1) && selected(query, Some(object)))
            .map(|(_, object)| object)
            .collect();
        json!({"kind": "List", "apiVersion": "v1",
               "metadata": {"resourceVersion": state.version().to_string()}, "items": items})
    }

    fn watch(&self, path: &Path, query: &BTreeMap<String, String>) -> Answer {
        let since: u64 = query["resourceVersion"].parse().unwrap();
        let (fake, path, query) = (self.clone(), path.clone(), query.clone());
        let changes = self.changes();
        let events = stream::unfold((since, changes), move |(mut seen, mut changes)| {
            let (fake, path, query) = (fake.clone(), path.clone(), query.clone());
            async move {
                loop {
                    changes.borrow_and_update();
                    let next: Option<Change> =
                        fake.state().history.iter().find(|change| change.version > seen).cloned();
                    if let Some(change) = next {
                        seen = change.version;
                        if let Some(event) = event(&path, &query, &change) {
                            let line = format!("{event}\n");
                            return Some((Ok(Frame::data(Bytes::from(line))), (seen, changes)));
                        }
                    } else if changes.changed().await.is_err() {
                        return None;
                    }
                }
            }
        });
        Response::new(StreamBody::new(events.boxed()).boxed_unsync())
    }
}

fn event(path: &Path, query: &BTreeMap<String, String>, change: &Change) -> Option<Value> {
    if !path.covers(&change.id.0, &change.id.1) {
        return None;
    }
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    match (selected(query, before), selected(query, after)) {
        (false, true) => Some(json!({"type": "ADDED", "object": after})),
        (true, true) => Some(json!({"type": "MODIFIED", "object": after})),
        (true, false) => {
            let mut gone = before.cloned()?;
            gone["metadata"]["resourceVersion"] = json!(change.version.to_string());
            Some(json!({"type": "DELETED", "object": gone}))
        }
        (false, false) => None,
    }
}

fn selected(query: &BTreeMap<String, String>, object: Option<&Value>) -> bool {
    let Some(object) = object else { return false };
    let all = |selector: &str, holds: &dyn Fn(&str, &str) -> bool| {
        query.get(selector).is_none_or(|terms| {
            terms.split(',').all(|term| term.split_once('=').is_some_and(|(name, value)| holds(name, value)))
        })
    };
    all("labelSelector", &|label, value| object["metadata"]["labels"][label] == value)
        && all("fieldSelector", &|field, value| {
            object.pointer(&format!("/{}", field.replace('.', "/"))).is_some_and(|found| found == value)
        })
}

#[derive(Clone, Debug, Default)]
struct Path {
    namespace: String,
    resource: String,
    name: String,
    subresource: String,
}

impl Path {
    /// `/api/v1/namespaces/shop/pods/a` or `/apis/apps/v1/namespaces/shop/deployments/a/status`, or without the namespace.
    fn parse(path: &str) -> Self {
        let mut parts = path.trim_start_matches('/').split('/');
        let skip = if parts.next() == Some("api") { 1 } else { 2 };
        let mut parts = parts.skip(skip).peekable();
        let namespace = match parts.next_if_eq(&"namespaces") {
            Some(_) => parts.next().unwrap_or_default().to_owned(),
            None => String::new(),
        };
        let mut next = || parts.next().unwrap_or_default().to_owned();
        Self { namespace, resource: next(), name: next(), subresource: next() }
    }

    fn covers(&self, resource: &str, namespace: &str) -> bool {
        self.resource == resource && (self.namespace.is_empty() || self.namespace == namespace)
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

fn refusal((code, reason, message): &Refused) -> Answer {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                        "message": message, "reason": reason, "code": code});
    json_answer(*code, &status)
}

fn json_answer(code: u16, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}

impl Service<HttpRequest<Body>> for Fake {
    type Response = Answer;
    type Error = tower::BoxError;
    type Future = BoxFuture<'static, Result<Answer, tower::BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), tower::BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}
