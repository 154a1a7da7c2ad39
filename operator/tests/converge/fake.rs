//! An API server in memory: enough of get, list, watch, server-side apply, merge patch, create and delete to run the whole operator
//! against, with every request counted and any of them made to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::merge;

/// Resource, namespace and name, as in `("deployments", "shop", "hello")`.
pub(crate) type Id = (String, String, String);

/// A request as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// `get`, `list`, `watch`, `apply`, `patch`, `create`; `apply-status` for the status, `trial` for a dry run of `create`.
    pub(crate) verb: &'static str,
    /// As in `deployments`.
    pub(crate) resource: String,
    /// Empty for the whole cluster.
    pub(crate) namespace: String,
    /// Empty for lists.
    pub(crate) name: String,
}

impl Request {
    /// Whether it asks for a change; events tell of changes, and do not count. The Lease is the operator's, not the resource's.
    pub(crate) fn is_write(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch" | "trial")
            && self.resource != "events"
            && self.resource != "leases"
    }
}

/// What happens to a request instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is refused with this status; nothing was done.
    Refuse(u16),
    /// The same with this message.
    RefuseSaying(u16, &'static str),
    /// It is done, but the answer is lost.
    LoseAnswer,
    /// It is done, and the answer takes two seconds.
    Slow,
}

/// Changes an object on its way into the store.
type Mutate = Box<dyn FnMut(&Id, &mut Value) + Send>;
type Decide = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

/// One change of one object, for watches.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) id: Id,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<Id, Value>,
    /// What our manager applied last, by object and `status` or nothing.
    applied: BTreeMap<(Id, &'static str), Value>,
    pub(crate) history: Vec<Change>,
    version: u64,
    uids: u64,
    pub(crate) requests: Vec<Request>,
    fault: Option<Decide>,
    admission: Option<Mutate>,
}

/// The server. All clones are one.
#[derive(Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

/// A refusal: status and reason.
pub(crate) type Refused = (u16, &'static str, String);

impl Fake {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), changed: watch::Sender::new(0) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Decides about every request from now on.
    pub(crate) fn on_request(&self, decide: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        self.state().fault = Some(Box::new(decide));
    }

    /// A mutating admission webhook, for every write from now on.
    pub(crate) fn on_admission(&self, mutate: impl FnMut(&Id, &mut Value) + Send + 'static) {
        self.state().admission = Some(Box::new(mutate));
    }

    pub(crate) fn calm(&self) {
        self.state().fault = None;
    }

    pub(crate) fn count(&self, request: &Request) -> Option<Fault> {
        let mut state = self.state();
        state.requests.push(request.clone());
        state.fault.as_mut().and_then(|fault| fault(request))
    }

    /// The requests since the last call, watches left out: a renewed watch is none. Neither is a renewed Lease.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        let requests = std::mem::take(&mut self.state().requests);
        requests
            .into_iter()
            .filter(|request| request.verb != "watch" && request.resource != "leases")
            .collect()
    }

    /// How many requests were made since the last [`Fake::take_requests`], those for Leases left out.
    pub(crate) fn requests(&self) -> usize {
        self.state().requests.iter().filter(|request| request.resource != "leases").count()
    }

    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.state().objects.get(&(resource.to_owned(), namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Puts an object in as somebody else would, and gives it what the server gives.
    pub(crate) fn create(&self, resource: &str, object: Value) -> Result<Value, Refused> {
        let id = id_of(resource, &object);
        let mut state = self.state();
        if state.objects.contains_key(&id) {
            return Err((409, "AlreadyExists", format!("{resource} \"{}\" already exists", id.2)));
        }
        let object = state.store(id, object);
        drop(state);
        self.tell();
        Ok(object)
    }

    /// Changes an object as somebody else would.
    pub(crate) fn edit(&self, resource: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let id = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        let mut state = self.state();
        let mut object = state.objects[&id].clone();
        change(&mut object);
        state.store(id, object);
        drop(state);
        self.tell();
    }

    /// Deletes an object, and does what the garbage collector does then: objects lose the owner that is gone, and go when it was the
    /// last one.
    pub(crate) fn delete(&self, resource: &str, namespace: &str, name: &str) {
        let id = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        let mut state = self.state();
        state.remove(&id);
        state.collect_garbage();
        drop(state);
        self.tell();
    }

    /// Deletes an object and makes one of the same name, before the garbage collector has noticed.
    pub(crate) fn recreate(&self, resource: &str, object: Value) {
        let id = id_of(resource, &object);
        let mut state = self.state();
        state.remove(&id);
        state.store(id, object);
        drop(state);
        self.tell();
    }

    /// The garbage collector comes by.
    pub(crate) fn collect_garbage(&self) {
        self.state().collect_garbage();
        self.tell();
    }

    /// Server-side apply by our manager. `part` is `status`, or empty for all the rest.
    pub(crate) fn apply(&self, id: Id, part: &'static str, body: Value) -> Result<Value, Refused> {
        let mut state = self.state();
        let live = state.objects.get(&id).cloned();
        let uid = body.pointer("/metadata/uid").cloned();
        match (&live, &uid) {
            (None, _) if !part.is_empty() => return Err((404, "NotFound", format!("{} not found", id.2))),
            (None, Some(_)) => return Err((409, "Conflict", "uid mismatch: no existing object".to_owned())),
            (Some(live), Some(uid)) if live.pointer("/metadata/uid") != Some(uid) => {
                return Err((409, "Conflict", "Precondition failed: UID in precondition".to_owned()));
            }
            _ => {}
        }
        let version = body.pointer("/metadata/resourceVersion").cloned();
        if version.is_some()
            && live.as_ref().and_then(|live| live.pointer("/metadata/resourceVersion").cloned()) != version
        {
            return Err((409, "Conflict", "the object has been modified".to_owned()));
        }
        let mut body = body;
        let config = if part.is_empty() {
            body.as_object_mut().unwrap().remove("status");
            body
        } else {
            json!({"status": body["status"]})
        };
        let before = state.applied.insert((id.clone(), part), config.clone());
        let mut object = live.unwrap_or_else(|| json!({}));
        merge::apply("", &mut object, before.as_ref(), &config);
        let object = state.store(id, object);
        drop(state);
        self.tell();
        Ok(object)
    }

    pub(crate) fn merge_patch(&self, id: Id, body: &Value) -> Result<Value, Refused> {
        let mut state = self.state();
        let Some(mut object) = state.objects.get(&id).cloned() else {
            return Err((404, "NotFound", format!("{} not found", id.2)));
        };
        merge::merge_patch(&mut object, body);
        let object = state.store(id, object);
        drop(state);
        self.tell();
        Ok(object)
    }

    pub(crate) fn strategic_patch(&self, id: Id, body: &Value) -> Result<Value, Refused> {
        let mut state = self.state();
        let Some(mut object) = state.objects.get(&id).cloned() else {
            return Err((404, "NotFound", format!("{} not found", id.2)));
        };
        if body.pointer("/metadata/uid").is_some_and(|uid| *uid != object["metadata"]["uid"]) {
            return Err((409, "Conflict", "Precondition failed: UID in precondition".to_owned()));
        }
        merge::strategic_patch("", &mut object, body);
        let object = state.store(id, object);
        drop(state);
        self.tell();
        Ok(object)
    }

    fn tell(&self) {
        let version = self.state().version;
        self.changed.send_replace(version);
    }
}

impl State {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Stores an object unless it is what is stored already; gives uid, versions and defaults.
    fn store(&mut self, id: Id, mut object: Value) -> Value {
        let before = self.objects.get(&id).cloned();
        defaults(&id, &mut object);
        if let Some(mutate) = &mut self.admission {
            mutate(&id, &mut object);
        }
        if before.as_ref() == Some(&object) {
            return object;
        }
        self.version += 1;
        let generation = match &before {
            None => 1,
            Some(before) => {
                let changed = before.get("spec") != object.get("spec");
                before.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1)
                    + i64::from(changed)
            }
        };
        let uid = before.as_ref().map_or_else(
            || {
                self.uids += 1;
                json!(format!("uid-{}-{}", id.0, self.uids))
            },
            |before| before["metadata"]["uid"].clone(),
        );
        let meta = object["metadata"].as_object_mut().unwrap();
        meta.insert("namespace".to_owned(), json!(id.1));
        meta.insert("uid".to_owned(), uid);
        meta.insert("resourceVersion".to_owned(), json!(self.version.to_string()));
        meta.insert("generation".to_owned(), json!(generation));
        meta.entry("creationTimestamp").or_insert_with(|| json!("2026-01-01T00:00:00Z"));
        self.history.push(Change {
            version: self.version,
            id: id.clone(),
            before,
            after: Some(object.clone()),
        });
        self.objects.insert(id, object.clone());
        object
    }

    fn remove(&mut self, id: &Id) {
        let Some(mut before) = self.objects.remove(id) else { return };
        self.applied.retain(|(of, _), _| of != id);
        self.version += 1;
        // A deletion carries the version of the deletion.
        before["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.history.push(Change {
            version: self.version,
            id: id.clone(),
            before: Some(before),
            after: None,
        });
    }

    fn collect_garbage(&mut self) {
        loop {
            let living: Vec<Value> =
                self.objects.values().map(|object| object["metadata"]["uid"].clone()).collect();
            let orphan = self.objects.iter().find_map(|(id, object)| {
                let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
                let kept: Vec<Value> =
                    owners.iter().filter(|o| living.contains(&o["uid"])).cloned().collect();
                (kept.len() < owners.len()).then(|| (id.clone(), object.clone(), kept))
            });
            match orphan {
                None => return,
                Some((id, _, kept)) if kept.is_empty() => self.remove(&id),
                Some((id, mut object, kept)) => {
                    object["metadata"]["ownerReferences"] = Value::Array(kept);
                    self.store(id, object);
                }
            }
        }
    }
}

/// What a real server fills in, where an operator that compares carelessly would see a difference.
fn defaults(id: &Id, object: &mut Value) {
    let default = |object: &mut Value, path: &str, value: Value| {
        let (parent, name) = path.rsplit_once('/').unwrap();
        if let Some(Value::Object(map)) = object.pointer_mut(parent) {
            map.entry(name).or_insert(value);
        }
    };
    match id.0.as_str() {
        "deployments" => {
            default(object, "/spec/revisionHistoryLimit", json!(10));
            default(object, "/spec/template/spec/restartPolicy", json!("Always"));
            default(object, "/spec/template/spec/schedulerName", json!("default-scheduler"));
            default(object, "/spec/template/spec/dnsPolicy", json!("ClusterFirst"));
            default(
                object,
                "/spec/template/spec/containers/0/terminationMessagePath",
                json!("/dev/termination-log"),
            );
        }
        "services" => {
            default(object, "/spec/clusterIP", json!("10.0.0.1"));
            default(object, "/spec/type", json!("ClusterIP"));
            default(object, "/spec/sessionAffinity", json!("None"));
        }
        _ => {}
    }
}

pub(crate) fn id_of(resource: &str, object: &Value) -> Id {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (resource.to_owned(), text("namespace"), text("name"))
}
