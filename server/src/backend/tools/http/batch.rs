//! Several calls in one request.
//!
//! Calls are collected that differ in nothing but their item: the same tool, caller, URL and headers, secrets included.
//! The first one goes out at once; those that come while it is under way wait for each other, until there are as many as
//! allowed, the first of them has waited long enough, or nothing is under way any more. The answer is split in the order
//! of the items. Where an upstream refuses the whole, each item is asked by itself, so that a bad one harms no other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response};
use mcp_server_config::Batching;
use mcp_server_config::compile::http::BatchShape;
use mcp_server_config::compile::{Body, CompiledTool, HttpProgram};
use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{ask, identity, sentence};
use crate::auth::principal::Caller;
use crate::backend::{CallError, Room, Taken};
use crate::outbound::{Client, Terms};

mod list;

pub(super) use list::failed;
use list::split;

const NAMES: &str = "metric names and labels are constants, and distinct";

/// What the calls of one request have in common.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) tool: Arc<CompiledTool>,
    /// Without its body.
    pub(super) request: Request<Bytes>,
    pub(super) terms: Terms,
}

/// What is a call's own.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) body: String,
    pub(super) deadline: Instant,
    /// Where room for a request is taken, if it is limited.
    pub(super) room: Option<Arc<dyn Room>>,
}

/// The answer to one item, or a sentence on why there is none.
type Outcome = Result<Response<Bytes>, String>;

/// Takes room for one request, where it is limited.
///
/// # Errors
/// Where there is none, and will be none in time.
pub(super) async fn room(room: Option<&Arc<dyn Room>>, until: Instant) -> Result<Option<Taken>, CallError> {
    match room {
        Some(room) => room.clone().take(until).await.map(Some),
        None => Ok(None),
    }
}

/// Digest of everything that calls have in common: it holds no secret that could be read.
type Key = [u8; 32];

/// Collects calls.
#[derive(Debug)]
pub(super) struct Batcher {
    client: Client,
    settings: ArcSwap<Settings>,
    groups: Mutex<Groups>,
    sizes: Histogram,
    flushes: IntCounterVec,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    max_size: usize,
    max_delay: Duration,
}

impl Settings {
    fn of(batching: &Batching) -> Self {
        // Without batching each call is a batch of its own.
        let max_size = if batching.is_on() { batching.max_size() } else { 1 };
        Self { max_size, max_delay: batching.max_delay().as_std() }
    }
}

/// All calls that wait or are under way.
#[derive(Debug, Default)]
struct Groups {
    by_key: HashMap<Key, Group>,
    /// The number of the last batch. It goes on when a group is gone and comes back: a timer is for one batch alone.
    last_batch: u64,
}

impl Groups {
    fn next_batch(&mut self) -> u64 {
        self.last_batch += 1;
        self.last_batch
    }
}

/// Calls that have everything in common.
#[derive(Debug)]
struct Group {
    shared: Shared,
    waiting: Vec<Waiting>,
    /// Requests that are under way.
    in_flight: usize,
    /// The batch that is being collected: a timer that was set for an earlier one does nothing.
    batch: u64,
}

#[derive(Debug)]
struct Waiting {
    item: Item,
    answer: oneshot::Sender<Result<Outcome, CallError>>,
}

/// Why calls were sent off.
#[derive(Clone, Copy, Debug)]
enum Reason {
    /// Nothing was under way.
    Idle,
    /// There were as many as allowed.
    Size,
    /// The first of them had waited long enough.
    Delay,
}

impl Batcher {
    pub(super) fn new(client: Client, batching: &Batching, registry: &Registry) -> Self {
        let sizes = HistogramOpts::new("mcp_server_batch_size", "Calls in one request to an upstream");
        let buckets = vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0];
        let sizes = Histogram::with_opts(sizes.buckets(buckets)).expect(NAMES);
        let flushes = Opts::new(
            "mcp_server_batch_flushes_total",
            "Requests with collected calls, by why they were sent",
        );
        let flushes = IntCounterVec::new(flushes, &["reason"]).expect(NAMES);
        registry.register(Box::new(sizes.clone())).expect(NAMES);
        registry.register(Box::new(flushes.clone())).expect(NAMES);
        Self {
            client,
            settings: ArcSwap::from_pointee(Settings::of(batching)),
            groups: Mutex::default(),
            sizes,
            flushes,
        }
    }

    pub(super) fn reconfigure(&self, batching: &Batching) {
        self.settings.store(Arc::new(Settings::of(batching)));
    }

    /// Asks for one item, perhaps together with others.
    ///
    /// # Errors
    /// Where there was no room for the request.
    pub(super) async fn ask(
        self: &Arc<Self>,
        shared: Shared,
        caller: &Caller,
        item: Item,
    ) -> Result<Outcome, CallError> {
        let key = key(&shared, caller);
        let (answer, answered) = oneshot::channel();
        self.add(key, shared, Waiting { item, answer });
        answered.await.unwrap_or_else(|_| Ok(Err("The request to the upstream was given up.".to_owned())))
    }

    fn add(self: &Arc<Self>, key: Key, shared: Shared, waiting: Waiting) {
        let settings = **self.settings.load();
        let mut groups = self.lock();
        let next = groups.next_batch();
        let group = match groups.by_key.entry(key) {
            Entry::Occupied(group) => group.into_mut(),
            Entry::Vacant(place) => {
                place.insert(Group { shared, waiting: Vec::new(), in_flight: 0, batch: next })
            }
        };
        if group.waiting.is_empty() {
            group.batch = next;
        }
        group.waiting.push(waiting);
        if group.waiting.len() >= settings.max_size {
            self.flush(key, group, Reason::Size);
        } else if group.in_flight == 0 {
            self.flush(key, group, Reason::Idle);
        } else if group.waiting.len() == 1 {
            let (batcher, batch) = (self.clone(), group.batch);
            tokio::spawn(async move {
                tokio::time::sleep(settings.max_delay).await;
                let mut groups = batcher.lock();
                let own = groups.by_key.get_mut(&key).filter(|group| group.batch == batch);
                // The batch may have gone since, and another one not begun yet.
                if let Some(group) = own.filter(|group| !group.waiting.is_empty()) {
                    batcher.flush(key, group, Reason::Delay);
                }
            });
        }
    }

    /// Sends off what waits.
    fn flush(self: &Arc<Self>, key: Key, group: &mut Group, reason: Reason) {
        let mut waiting = std::mem::take(&mut group.waiting);
        waiting.retain(|waiting| !waiting.answer.is_closed());
        if waiting.is_empty() {
            return;
        }
        group.in_flight += 1;
        self.flushes.with_label_values(&[reason.as_str()]).inc();
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
        self.sizes.observe(waiting.len() as f64);
        let under_way = UnderWay { batcher: self.clone(), key };
        let (client, shared) = (self.client.clone(), group.shared.clone());
        tokio::spawn(async move {
            let _under_way = under_way;
            run(&client, &shared, waiting).await;
        });
    }

    /// A request has ended: what waited for company has waited long enough.
    fn ended(self: &Arc<Self>, key: Key) {
        let mut groups = self.lock();
        let Some(group) = groups.by_key.get_mut(&key) else { return };
        group.in_flight -= 1;
        if group.in_flight == 0 {
            self.flush(key, group, Reason::Idle);
        }
        if group.in_flight == 0 && group.waiting.is_empty() {
            groups.by_key.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Groups> {
        // Nothing panics while it is held.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Size => "size",
            Self::Delay => "delay",
        }
    }
}

/// A request under way, until it is dropped.
struct UnderWay {
    batcher: Arc<Batcher>,
    key: Key,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.batcher.ended(self.key);
    }
}

/// Everything that must be the same: who asks, what with, and whom.
fn key(shared: &Shared, caller: &Caller) -> Key {
    let mut context = Context::new(&SHA256);
    // Lengths go first, so that no two lists of parts read the same.
    let mut add = |part: &[u8]| {
        context.update(&part.len().to_le_bytes());
        context.update(part);
    };
    let (kind, id) = identity(caller);
    add(&[kind]);
    add(id.as_bytes());
    // A tool that was declared anew is another.
    add(&Arc::as_ptr(&shared.tool).addr().to_le_bytes());
    add(shared.request.method().as_str().as_bytes());
    add(shared.request.uri().to_string().as_bytes());
    for (name, value) in shared.request.headers() {
        add(name.as_str().as_bytes());
        add(value.as_bytes());
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// Asks for several items at once, unless all who wait for them go away.
async fn run(client: &Client, shared: &Shared, waiting: Vec<Waiting>) {
    let Body::Http(program) = shared.tool.body() else { return };
    let Some(shape) = &program.batch else { return };
    let deadline = waiting.iter().map(|waiting| waiting.item.deadline).max();
    let terms = Terms { deadline: deadline.unwrap_or(shared.terms.deadline), ..shared.terms };
    // All of them would take the same.
    let room = waiting.first().and_then(|waiting| waiting.item.room.clone());
    let (items, mut answers): (Vec<_>, Vec<_>) =
        waiting.into_iter().map(|waiting| (waiting.item.body, waiting.answer)).unzip();
    let outcomes = {
        let asked = asked(client, program, shape, shared, &items, terms, room.as_ref());
        let all_gone = join_all(answers.iter_mut().map(oneshot::Sender::closed));
        tokio::select! {
            outcomes = asked => outcomes,
            _ = all_gone => return,
        }
    };
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        // Whoever went away meanwhile does not need it.
        drop(answer.send(outcome));
    }
}

/// One outcome for each item.
async fn asked(
    client: &Client,
    program: &HttpProgram,
    shape: &BatchShape,
    shared: &Shared,
    items: &[String],
    terms: Terms,
    limited: Option<&Arc<dyn Room>>,
) -> Vec<Result<Outcome, CallError>> {
    let together = match room(limited, terms.deadline).await {
        Ok(_room) => send(client, program, shape, shared, items, terms).await,
        Err(busy) => return vec![Err(busy); items.len()],
    };
    // These say that nothing was done, because of what was sent: perhaps because of one item.
    let refused = matches!(&together, Ok(response) if matches!(response.status().as_u16(), 400 | 413 | 422));
    if refused && items.len() > 1 {
        let each = items.iter().map(async |item| {
            let _room = room(limited, terms.deadline).await?;
            let outcome = send(client, program, shape, shared, std::slice::from_ref(item), terms).await;
            Ok(split(shape, outcome, 1).remove(0))
        });
        return join_all(each).await;
    }
    split(shape, together, items.len()).into_iter().map(Ok).collect()
}

async fn send(
    client: &Client,
    program: &HttpProgram,
    shape: &BatchShape,
    shared: &Shared,
    items: &[String],
    terms: Terms,
) -> Outcome {
    let body = format!("{}[{}]{}", shape.before, items.join(","), shape.after);
    let mut request = shared.request.clone();
    *request.body_mut() = Bytes::from(body);
    ask::ask(client, program, request, terms).await.map_err(|error| sentence(&error))
}
