//! The step before the backend: room for one more call, now or in a while.
//!
//! A call passes the gate of its tool, where that has a limit of its own, and then the gate of the server. In this
//! order: calls that wait for a slow tool hold none of the permits that calls of other tools need.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use prometheus::Registry;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backend::{CallError, Room, Taken};
use crate::dispatch::gate::{Gate, NoRoom, Pass};
use crate::dispatch::snapshot::Snapshot;
use crate::observe::queues::{Queues, Which};
use crate::protocol::errors::{Code, Fault};
use crate::protocol::raw::Raw;

/// The gates. They outlive a reload, which changes their bounds and sends nobody away.
#[derive(Debug)]
pub struct Admission {
    calls: Arc<Gate>,
    /// Gates of tools with a limit of their own.
    tools: Mutex<HashMap<Arc<str>, Arc<Gate>>>,
    queues: Queues,
}

/// How long calls may wait, as a snapshot says.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub queue_timeout: Duration,
    /// Whether a call is refused at once that would wait in vain.
    pub adaptive: bool,
}

/// Room for a request that a backend makes of several calls.
#[derive(Debug)]
struct Later {
    admission: Arc<Admission>,
    gate: Option<Arc<Gate>>,
    patience: Patience,
}

impl Room for Later {
    fn take(self: Arc<Self>, until: Instant) -> BoxFuture<'static, Result<Taken, CallError>> {
        Box::pin(async move {
            // Nobody takes it back by itself: it is for several.
            let never = CancellationToken::new();
            let permit = self.admission.take(self.gate.as_ref(), self.patience, until, &never).await;
            permit.map(|permit| Box::new(permit) as Taken).map_err(|_busy| CallError::Overloaded)
        })
    }
}

/// What a call holds while a backend works on it.
#[derive(Debug)]
pub(super) struct Permit {
    _of_server: Pass,
    _of_tool: Option<Pass>,
}

impl Admission {
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let calls = Gate::new(0, 0);
        Self { queues: Queues::register(registry, &calls), calls, tools: Mutex::default() }
    }

    /// The gate that every call passes.
    #[must_use]
    pub fn calls(&self) -> &Arc<Gate> {
        &self.calls
    }

    /// Puts the limits of a snapshot in force, and tells its tools their gates.
    pub(super) fn configure(&self, snapshot: &mut Snapshot) {
        let performance = &snapshot.config.service.performance;
        let (limit, max_queued) = (performance.max_concurrent_requests(), performance.max_queued());
        self.calls.set(limit, max_queued);
        let mut gates = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        // A gate that no tool has any more goes when the last call has left it.
        gates.retain(|name, _| snapshot.tool(name).is_some_and(|tool| tool.concurrency.is_some()));
        for tool in snapshot.tools_mut() {
            let Some(most) = tool.concurrency else { continue };
            let queued = share_of(max_queued, most, limit);
            let gate = gates.entry(tool.name.clone()).or_insert_with(|| Gate::new(most, queued));
            gate.set(most, queued);
            tool.gate = Some(gate.clone());
        }
    }

    /// Takes what a call needs, at once where there is room, else after a wait.
    ///
    /// # Errors
    /// Where there is no room, and will be none in time; or where the call was taken back meanwhile.
    pub(super) async fn take(
        &self,
        tool: Option<&Arc<Gate>>,
        patience: Patience,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<Permit, Fault> {
        // The futures of those who wait are large, and those who do not wait should not carry them around.
        let of_tool = match tool.map(|gate| (gate, gate.try_pass())) {
            None => None,
            Some((_, Some(pass))) => Some(pass),
            Some((gate, None)) => {
                Some(Box::pin(self.wait(gate, Which::Tool, patience, deadline, cancel)).await?)
            }
        };
        let of_server = match self.calls.try_pass() {
            Some(pass) => pass,
            None => Box::pin(self.wait(&self.calls, Which::Server, patience, deadline, cancel)).await?,
        };
        Ok(Permit { _of_server: of_server, _of_tool: of_tool })
    }

    /// What a call needs, to be taken by whoever makes one request of several calls.
    pub(super) fn later(self: &Arc<Self>, gate: Option<&Arc<Gate>>, patience: Patience) -> Arc<dyn Room> {
        Arc::new(Later { admission: self.clone(), gate: gate.cloned(), patience })
    }

    /// The same before a body is read: refuses what would wait in vain for the gate of the server.
    ///
    /// # Errors
    /// Where there is no room, and will be none in time.
    pub(super) fn forecast(&self, snapshot: &Snapshot) -> Result<(), Fault> {
        let Patience { queue_timeout, adaptive } = snapshot.patience;
        if !adaptive {
            return Ok(());
        }
        let patience = queue_timeout.min(snapshot.request_timeout);
        self.calls.forecast(patience).map_err(|why| self.refused(&self.calls, Which::Server, why))
    }

    async fn wait(
        &self,
        gate: &Arc<Gate>,
        which: Which,
        patience: Patience,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<Pass, Fault> {
        let began = Instant::now();
        let until = deadline.min(began + patience.queue_timeout);
        if patience.adaptive {
            gate.forecast(until - began).map_err(|why| self.refused(gate, which, why))?;
        }
        let waiting = self.queues.waits(which);
        let waited = tokio::select! {
            waited = gate.wait(until) => waited,
            () = cancel.cancelled() => {
                return Err(Fault::new(Code::Cancelled, "the request was cancelled"));
            }
        };
        if !matches!(waited, Err(NoRoom::Full)) {
            waiting.over(began.elapsed());
        }
        waited.map_err(|why| self.refused(gate, which, why))
    }

    fn refused(&self, gate: &Gate, which: Which, why: NoRoom) -> Fault {
        self.queues.refused(which, why);
        let seconds = gate.expected_wait().as_secs().saturating_add(1).min(60);
        let what = match which {
            Which::Server => "the server",
            Which::Tool => "this tool",
        };
        let message = format!("{what} is busy: {why}; try again in {seconds} s");
        Fault {
            data: Some(Raw::of(&json!({"retryAfterMs": seconds * 1000}))),
            retry_after: u32::try_from(seconds).ok(),
            ..Fault::new(Code::Overloaded, message)
        }
    }
}

/// The part of the queue that belongs to a tool which may use `most` of `limit` permits; one place at least, where there
/// is a queue at all.
fn share_of(max_queued: usize, most: usize, limit: usize) -> usize {
    let share = max_queued.saturating_mul(most).div_ceil(limit.max(1));
    share.min(max_queued)
}

/// What a caller reads for whom a backend has no room.
pub(super) fn overloaded() -> Fault {
    Fault::new(Code::Overloaded, "too many calls at once; try again in 1 s")
}
