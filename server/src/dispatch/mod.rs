//! The way of a request behind the door, one step a file:
//!
//! [`head`] reads the message and decides its era, [`control`] answers what needs no permit, [`call`] does the rest, and
//! a [`record`] counts whatever happened.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, StatusCode};
use tokio::sync::mpsc::Sender;

use crate::auth::failures::Failures;
use crate::auth::principal::Caller;
use crate::backend::Backend;
use crate::cache::Cache;
use crate::dispatch::admit::Admission;
use crate::dispatch::cached::Flown;
use crate::dispatch::in_flight::InFlight;
use crate::dispatch::limits::{Bound, Share};
use crate::dispatch::record::Record;
use crate::dispatch::seal::Seal;
use crate::dispatch::snapshot::Snapshot;
use crate::dispatch::under_way::UnderWay;
use crate::limit::Limiter;
use crate::memory;
use crate::observe::logs;
use crate::observe::metrics::Metrics;
use crate::observe::requests::{RequestLog, Told, Why};
use crate::protocol::answer::{self, Message};
use crate::protocol::era::Era;
use crate::protocol::errors::{Code, Fault};
use crate::protocol::methods::Method;
use crate::redis::{self, Redis};
use crate::state_keys::StateKeys;

pub mod admit;
mod allow;
mod around;
mod ask;
mod batch;
pub mod cached;
mod call;
mod control;
pub mod gate;
mod head;
pub mod in_flight;
mod limit;
pub mod limits;
pub mod lists;
mod pace;
pub mod record;
mod refuse;
mod route;
pub mod seal;
mod shed;
pub mod snapshot;
pub mod tells;
mod under_way;
pub mod views;

/// Answers messages, whatever door they came in by.
pub struct Dispatcher {
    snapshot: ArcSwap<Snapshot>,
    backend: Arc<dyn Backend>,
    /// Room for calls.
    pub admission: Arc<Admission>,
    /// Bytes of request bodies that are held.
    pub body_budget: Arc<Bound>,
    pub redis: Arc<Redis>,
    pub limiter: Arc<Limiter>,
    /// Wrong credentials, by client address.
    pub failures: Failures,
    pub cache: Arc<Cache<Flown>>,
    pub metrics: Arc<Metrics>,
    pub requests: Arc<RequestLog>,
    /// For state that travels by way of clients.
    seal: ArcSwap<Seal>,
    /// Calls that older clients can take back.
    under_way: UnderWay,
}

/// A message at the door.
#[derive(Debug)]
pub struct Arrival<'a> {
    pub body: Bytes,
    /// What the body takes of the budget, given back when nobody holds the body any more.
    pub share: Option<Share>,
    /// Absent where the door has none.
    pub headers: Option<&'a HeaderMap>,
    pub caller: Caller,
    /// Where what happens during the request can be told, if anywhere.
    pub notices: Option<Sender<Message>>,
    /// Where the door has one client: its requests, which can be taken back by id.
    pub in_flight: Option<&'a InFlight>,
}

/// What the door sends back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    /// Nothing for what was accepted without an answer, and for what was taken back.
    pub message: Option<Message>,
    /// After how many seconds it is worth trying again.
    pub retry_after: Option<u32>,
}

impl Dispatcher {
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, mut snapshot: Snapshot, metrics: Arc<Metrics>) -> Self {
        let (admission, body_budget) = (Arc::new(Admission::new(metrics.registry())), Bound::new(0));
        apply_limits(&mut snapshot, &admission, &body_budget, &metrics);
        let redis = Redis::new(metrics.registry());
        redis.configure(redis::settings::Settings::of(&snapshot.config.service));
        let limiter = Arc::new(Limiter::new(metrics.registry(), redis.clone()));
        let cache = Arc::new(Cache::new(metrics.registry(), redis.clone()));
        cache.configure(&snapshot.config.service.cache);
        let (failures, seal) = (Failures::new(max_failures(&snapshot)), ArcSwap::from_pointee(Seal::new()));
        let requests = RequestLog::new(logs::hub().cloned());
        requests.configure(&snapshot.config.service.logging.requests);
        let snapshot = ArcSwap::from_pointee(snapshot);
        Self {
            snapshot,
            backend,
            admission,
            body_budget,
            redis,
            limiter,
            cache,
            failures,
            seal,
            under_way: UnderWay::default(),
            metrics,
            requests,
        }
    }

    /// What is in force now. A request takes it once and keeps to it.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Puts other settings, keys or lists in force for the requests that come from now on.
    pub fn replace(&self, mut snapshot: Snapshot) {
        apply_limits(&mut snapshot, &self.admission, &self.body_budget, &self.metrics);
        self.failures.set_limit(max_failures(&snapshot));
        self.cache.configure(&snapshot.config.service.cache);
        self.redis.configure(redis::settings::Settings::of(&snapshot.config.service));
        self.requests.configure(&snapshot.config.service.logging.requests);
        self.snapshot.store(Arc::new(snapshot));
    }

    /// Seals states with these keys from now on; where there are none, with one that no other process has.
    pub fn seal_with(&self, keys: &StateKeys) {
        match Seal::shared(keys) {
            Some(seal) => self.seal.store(Arc::new(seal)),
            // What was sealed with it can still be opened.
            None if self.seal.load().is_own() => {}
            None => self.seal.store(Arc::new(Seal::new())),
        }
    }

    /// Answers one message, or several of a client that may send them together.
    pub async fn handle(&self, snapshot: &Arc<Snapshot>, arrival: Arrival<'_>, record: &mut Record) -> Reply {
        record.caller(&arrival.caller, arrival.headers);
        let body = match head::text(&arrival.body) {
            Ok(body) => body,
            Err(fault) => return Reply::refused(None, &fault, None, record),
        };
        if batch::is_one(&body, arrival.headers) {
            return Box::pin(self.handle_batch(snapshot, arrival, body, record)).await;
        }
        self.handle_one(snapshot, arrival, &body, false, record).await
    }

    /// Answers one message; `in_batch` where it came together with others.
    async fn handle_one(
        &self,
        snapshot: &Arc<Snapshot>,
        arrival: Arrival<'_>,
        body: &ByteString,
        in_batch: bool,
        record: &mut Record,
    ) -> Reply {
        let head = match head::read(body, arrival.headers, snapshot.offer, record) {
            Ok(head) => head,
            Err(refused) => return Reply::refused(refused.id, &refused.fault, refused.era, record),
        };
        match head {
            head::Head::Message(message) => {
                self.take_note(&message, &arrival);
                record.ok();
                Reply::accepted()
            }
            head::Head::Request(request) => {
                record.asked(request.id, &request.params);
                if in_batch && (request.era == Era::Modern || request.method == Method::Initialize) {
                    let fault =
                        Fault::new(Code::InvalidRequest, "send this request by itself, not in a batch");
                    return Reply::refused(Some(request.id), &fault, Some(request.era), record);
                }
                let answered = match control::answer(&request, snapshot, &arrival.caller) {
                    Some(answered) => answered.inspect(|_| record.ok()),
                    None => self.call(&request, snapshot, arrival, body, record).await,
                };
                match answered {
                    Ok(message) => Reply::ok(message),
                    Err(fault) => {
                        record.fault(fault.code);
                        let (error, cause) = (Told::Sentence(&fault.message), fault.cause.as_deref());
                        record.fails(Why { error, cause, arguments: request.params.arguments });
                        refuse::refused(&request, &fault, record)
                    }
                }
            }
        }
    }
}

/// Tells what outlives a snapshot what this one says.
fn apply_limits(snapshot: &mut Snapshot, admission: &Admission, body_budget: &Bound, metrics: &Metrics) {
    admission.configure(snapshot);
    body_budget.set_limit(memory::body_budget(memory::limit(), snapshot.max_body));
    metrics.traffic.serve(snapshot.tool_names());
    metrics.tools.set(i64::try_from(snapshot.tools()).unwrap_or(i64::MAX));
}

fn max_failures(snapshot: &Snapshot) -> u32 {
    snapshot.config.service.auth.max_failures_per_minute()
}

impl Reply {
    /// An answer, whether it brings good news or not.
    fn ok(message: Message) -> Self {
        Self { status: StatusCode::OK, message: Some(message), retry_after: None }
    }

    /// Of a message that is not answered.
    fn accepted() -> Self {
        Self { status: StatusCode::ACCEPTED, message: None, retry_after: None }
    }

    /// The refusal of a message.
    #[must_use]
    pub fn refused(id: Option<&str>, fault: &Fault, era: Option<Era>, record: &mut Record) -> Self {
        record.fault(fault.code);
        // The failure of a call is logged, each of them.
        if !matches!(fault.code, Code::Internal | Code::Timeout) {
            record.refused(fault.code.outcome(), String::new);
        }
        let (error, cause) = (Told::Sentence(&fault.message), fault.cause.as_deref());
        record.fails(Why { error, cause, arguments: None });
        let message = (fault.code != Code::Cancelled).then(|| answer::error(id, fault));
        let status = fault.code.status(era);
        // Where the status says that all is well, the message says when to try again.
        Self { status, message, retry_after: fault.retry_after.filter(|_| !status.is_success()) }
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").field("admission", &self.admission).finish_non_exhaustive()
    }
}
