//! Tools declared in the configuration: CEL expressions and texts, answered by this process.
//!
//! A call is answered where it arrives as long as that is sure to be quick: small arguments, and an expression whose cost
//! for them was bounded beforehand ([`mcp_server_config::compile::cost`]). Everything else goes to a [`pool`] of threads
//! of its own, where it can take its time, overrun its deadline or panic without holding up anybody. Handing work to
//! another thread and back costs 8 µs on an idle machine and 50 µs on a busy one; greeting somebody costs 2 µs.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::future::BoxFuture;
use mcp_server_config::compile::{CompiledTool, CompiledTools};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Answer, Backend, Call, CallError, Catalogue, Cx, Entry, Health, Outcome};
use crate::protocol::raw::Raw;

mod answer;
pub(crate) mod convert;
mod evaluate;
mod failure;
pub(in crate::backend) mod in_flight;
pub(in crate::backend) mod pool;
mod run;
mod text;

#[cfg(test)]
mod tests;

use in_flight::InFlight;
use pool::{Pool, PoolLimits};
use run::Step;
pub(crate) use run::misfits;

/// The tools of the configuration in force.
pub struct DeclaredTools {
    tools: ArcSwap<HashMap<Arc<str>, Arc<CompiledTool>>>,
    catalogue: watch::Sender<Arc<Catalogue>>,
    pool: Arc<Pool>,
    in_flight: Arc<InFlight>,
}

impl DeclaredTools {
    /// Serves `tools`, with as many threads at most as there are processors for this process.
    #[must_use]
    pub fn new(tools: CompiledTools) -> Arc<Self> {
        Self::with_limits(tools, PoolLimits::default())
    }

    /// Changes how many threads work on what may take long; without a number, one for each processor.
    pub fn set_threads(&self, threads: Option<usize>) {
        self.pool.set_limits(PoolLimits::of(threads));
    }

    fn with_limits(tools: CompiledTools, limits: PoolLimits) -> Arc<Self> {
        Arc::new(Self {
            catalogue: watch::Sender::new(Arc::new(catalogue(&tools))),
            tools: ArcSwap::from_pointee(by_name(tools)),
            pool: Arc::new(Pool::new(limits)),
            in_flight: Arc::default(),
        })
    }

    /// The threads for work that may take long. Others may use them, too: their number is the server's.
    pub(in crate::backend) fn pool(&self) -> Arc<Pool> {
        self.pool.clone()
    }

    /// Serves `tools` from now on, and tells whoever watches the catalogue. Calls in flight end on the tools that they
    /// began with. The same tools again are no change.
    pub fn replace(&self, tools: CompiledTools) {
        let catalogue = catalogue(&tools);
        self.tools.store(Arc::new(by_name(tools)));
        self.catalogue.send_if_modified(|current| {
            let changed = **current != catalogue;
            if changed {
                *current = Arc::new(catalogue);
            }
            changed
        });
    }

    async fn answer(self: Arc<Self>, call: Call, cx: Cx) -> Result<Outcome, CallError> {
        let tool = call.target.as_tool().and_then(|name| self.tools.load().get(name).cloned());
        let tool = tool.ok_or(CallError::Unknown)?;
        if cx.cancel.is_cancelled() {
            return Err(CallError::Cancelled);
        }
        if cx.deadline <= Instant::now() {
            return Err(CallError::Timeout);
        }
        let step = guarded(|| run::begin(&tool, call.arguments))?;
        let later = match step {
            Step::Done(answer) => return Ok(Outcome::Complete(answer)),
            Step::Later(work) => self.pool.submit(work)?,
        };
        tokio::select! {
            biased;
            answer = later => answer.map(Outcome::Complete),
            () = cx.cancel.cancelled() => Err(CallError::Cancelled),
            () = sleep_until(cx.deadline) => Err(CallError::Timeout),
        }
    }
}

// === impl DeclaredTools ===

impl Backend for DeclaredTools {
    fn call(self: Arc<Self>, call: Call, cx: Cx) -> BoxFuture<'static, Result<Outcome, CallError>> {
        let entered = self.in_flight.enter();
        Box::pin(async move {
            let outcome = self.answer(call, cx).await;
            drop(entered);
            outcome
        })
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.pool.health()
    }

    fn drain(&self, until: Instant) -> BoxFuture<'_, ()> {
        Box::pin(self.in_flight.none(until))
    }
}

impl fmt::Debug for DeclaredTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeclaredTools").field("tools", &self.tools.load().len()).finish_non_exhaustive()
    }
}

fn by_name(tools: CompiledTools) -> HashMap<Arc<str>, Arc<CompiledTool>> {
    tools.into_iter().map(|tool| (Arc::clone(tool.name()), tool)).collect()
}

fn catalogue(tools: &CompiledTools) -> Catalogue {
    let entry = |tool: &Arc<CompiledTool>| Entry {
        name: Arc::clone(tool.name()),
        definition: Raw::check(Bytes::copy_from_slice(tool.definition().as_bytes()))
            .expect("a definition is JSON of ours, and its schemas are bounded in depth"),
    };
    Catalogue::of_tools(tools.iter().map(entry).collect())
}

/// Turns a panic into an error: one broken tool must not take a connection, or the process, with it.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, CallError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        super::tell_of_panic(&*panic);
        CallError::Panicked
    })
}

/// Work for the pool.
type Work = Box<dyn FnOnce() -> Answer + Send>;
