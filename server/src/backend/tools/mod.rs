//! Tools declared in the configuration: CEL expressions and texts, answered by this process; requests to others; programs.
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
use mcp_server_config::ServiceConfig;
use mcp_server_config::compile::{Body, CompiledTool, CompiledTools};
use prometheus::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Answer, Backend, Call, CallError, Catalogue, Cx, Entry, Health, Outcome};
use crate::environment::Environment;
use crate::outbound::Client;
use crate::protocol::raw::Raw;

mod answer;
mod arguments;
mod command;
pub(crate) mod convert;
mod evaluate;
mod failure;
mod http;
pub(in crate::backend) mod in_flight;
mod media;
pub(in crate::backend) mod pool;
mod run;
mod text;

#[cfg(test)]
mod tests;

use command::Commands;
use http::{Asked, Asker, Secrets};
use in_flight::InFlight;
use pool::{Pool, PoolLimits};
pub(crate) use run::misfits;
use run::{Checked, Step};

/// The tools of the configuration in force.
pub struct DeclaredTools {
    tools: ArcSwap<HashMap<Arc<str>, Arc<CompiledTool>>>,
    catalogue: watch::Sender<Arc<Catalogue>>,
    pool: Arc<Pool>,
    in_flight: Arc<InFlight>,
    outside: Option<Outside>,
}

/// What tools need that do not answer by themselves.
#[derive(Debug)]
pub struct Reach<'a> {
    pub client: Client,
    /// Where secrets are, and what programs get.
    pub environment: Environment,
    pub config: &'a ServiceConfig,
    pub registry: &'a Registry,
}

#[derive(Debug)]
struct Outside {
    asker: Asker,
    commands: Commands,
}

impl DeclaredTools {
    /// Serves `tools`, with as many threads at most as there are processors for this process. Those that ask others, or
    /// run programs, answer that they cannot: for them there is [`DeclaredTools::reaching`].
    #[must_use]
    pub fn new(tools: CompiledTools) -> Arc<Self> {
        Self::with_limits(tools, PoolLimits::default())
    }

    /// Changes how many threads work on what may take long; without a number, one for each processor.
    pub fn set_threads(&self, threads: Option<usize>) {
        self.pool.set_limits(PoolLimits::of(threads));
    }

    /// Serves `tools` of every kind.
    #[must_use]
    pub fn reaching(tools: CompiledTools, reach: Reach<'_>) -> Arc<Self> {
        let Reach { client, environment, config, registry } = reach;
        let secrets = Secrets::new(environment.clone());
        let outside = Outside {
            asker: Asker::new(client, secrets, &config.performance, registry),
            commands: Commands::new(environment),
        };
        outside.asker.declare(&tools);
        Arc::new(Self::made(tools, PoolLimits::default(), Some(outside)))
    }

    /// Goes by other settings from now on.
    pub fn reconfigure(&self, config: &ServiceConfig) {
        if let Some(outside) = &self.outside {
            outside.asker.reconfigure(&config.performance);
        }
    }

    /// A sentence of each secret that the tools need and that is not there.
    #[must_use]
    pub fn lacking(&self) -> Vec<String> {
        self.outside.as_ref().map(|outside| outside.asker.lacking()).unwrap_or_default()
    }

    fn with_limits(tools: CompiledTools, limits: PoolLimits) -> Arc<Self> {
        Arc::new(Self::made(tools, limits, None))
    }

    fn made(tools: CompiledTools, limits: PoolLimits, outside: Option<Outside>) -> Self {
        Self {
            outside,
            catalogue: watch::Sender::new(Arc::new(catalogue(&tools))),
            tools: ArcSwap::from_pointee(by_name(tools)),
            pool: Arc::new(Pool::new(limits)),
            in_flight: Arc::default(),
        }
    }

    /// The threads for work that may take long. Others may use them, too: their number is the server's.
    pub(in crate::backend) fn pool(&self) -> Arc<Pool> {
        self.pool.clone()
    }

    /// Serves `tools` from now on, and tells whoever watches the catalogue. Calls in flight end on the tools that they
    /// began with. The same tools again are no change.
    pub fn replace(&self, tools: CompiledTools) {
        let catalogue = catalogue(&tools);
        if let Some(outside) = &self.outside {
            outside.asker.declare(&tools);
        }
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
        let later = match guarded(|| run::begin(&tool, call.arguments))? {
            Step::Done(answer) => return Ok(Outcome::Complete(answer)),
            step => self.later(&tool, step, &cx),
        };
        tokio::select! {
            biased;
            answer = later => answer.map(Outcome::Complete),
            () = cx.cancel.cancelled() => Err(CallError::Cancelled),
            () = sleep_until(cx.deadline) => Err(CallError::Timeout),
        }
    }

    /// What takes a thread, or somebody else. Boxed: calls that are answered at once do not carry the room for it.
    fn later<'a>(
        &'a self,
        tool: &'a Arc<CompiledTool>,
        step: Step,
        cx: &'a Cx,
    ) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            match step {
                Step::Done(answer) => Ok(answer),
                Step::Later(work) => self.pool.submit(work)?.await,
                Step::Ask(arguments) => self.asked(tool, &arguments, cx).await,
                Step::CheckFirst(check) => match self.pool.submit(check)?.await? {
                    Ok(arguments) => self.asked(tool, &arguments, cx).await,
                    Err(answer) => Ok(answer),
                },
            }
        })
    }

    /// The answer of somebody else.
    async fn asked(
        &self,
        tool: &Arc<CompiledTool>,
        arguments: &Checked,
        cx: &Cx,
    ) -> Result<Answer, CallError> {
        let Some(outside) = &self.outside else {
            return Ok(answer::error(
                "This server answers by itself only; the tool would have to ask somebody else.",
            ));
        };
        match tool.body() {
            Body::Http(program) => match outside.asker.call(tool, program, arguments, cx).await? {
                Asked::Done(answer) => Ok(answer),
                Asked::Later(work) => self.pool.submit(work)?.await,
            },
            Body::Command(program) => outside.commands.call(tool, program, arguments, cx).await,
            Body::Cel(_) | Body::Text(_) => Ok(answer::error("The tool was asked for what it does itself.")),
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
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| CallError::Panicked(super::tell_of_panic(&*panic)))
}

/// Work for the pool.
type Work = Box<dyn FnOnce() -> Answer + Send>;
