//! Tools of the program that this library is part of.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::tools::DeclaredTools;
use super::tools::in_flight::InFlight;
use super::tools::pool::Pool;
use super::{Backend, Call, CallError, Catalogue, Cx, Health, Outcome};
use crate::protocol::raw::Raw;
use crate::tool::{Context, RegisteredTool, Run};

/// Arguments up to this size, in bytes of JSON, are checked where they arrive.
const SMALL: usize = 16 << 10;

/// The tools that a program registered before it began to serve.
pub struct ProgramTools {
    tools: HashMap<Arc<str>, Arc<RegisteredTool>>,
    catalogue: watch::Sender<Arc<Catalogue>>,
    health: watch::Sender<Health>,
    pool: Arc<Pool>,
    in_flight: Arc<InFlight>,
}

impl ProgramTools {
    /// Serves these tools; those that compute share the threads of the declared ones. `logs` says whether some of them
    /// send log messages to clients.
    #[must_use]
    pub fn new(tools: Vec<RegisteredTool>, logs: bool, declared: &DeclaredTools) -> Arc<Self> {
        let entries = tools.iter().map(|tool| tool.entry().clone()).collect();
        let catalogue = Catalogue { logs, ..Catalogue::of_tools(entries) };
        let by_name = |tool: RegisteredTool| (tool.entry().name.clone(), Arc::new(tool));
        Arc::new(Self {
            tools: tools.into_iter().map(by_name).collect(),
            catalogue: watch::Sender::new(Arc::new(catalogue)),
            health: watch::Sender::new(Health::Healthy),
            pool: declared.pool(),
            in_flight: Arc::default(),
        })
    }

    async fn answer(self: Arc<Self>, call: Call, cx: Cx) -> Result<Outcome, CallError> {
        let tool =
            call.target.as_tool().and_then(|name| self.tools.get(name)).ok_or(CallError::Unknown)?.clone();
        let (arguments, replies) = (call.arguments, call.replies);
        match &tool.run {
            Run::Cpu(run) => {
                let (tool, run) = (tool.clone(), run.clone());
                let work = move || match tool.checked(arguments.as_ref()) {
                    Ok(arguments) => run(arguments, &Context::new(cx, replies)),
                    Err(answer) => Ok(Outcome::Complete(answer)),
                };
                // Whoever waits for it goes away when the grace is over: then its thread is given up.
                self.pool.submit(work)?.await?
            }
            Run::Async(run) => {
                let checked = if arguments.as_ref().map_or(0, |raw: &Raw| raw.bytes().len()) > SMALL {
                    let tool = tool.clone();
                    self.pool.submit(move || tool.checked(arguments.as_ref()))?.await?
                } else {
                    tool.checked(arguments.as_ref())
                };
                match checked {
                    Ok(arguments) => run(arguments, Context::new(cx, replies)).await,
                    Err(answer) => Ok(Outcome::Complete(answer)),
                }
            }
        }
    }
}

// === impl ProgramTools ===

impl Backend for ProgramTools {
    fn call(self: Arc<Self>, call: Call, cx: Cx) -> BoxFuture<'static, Result<Outcome, CallError>> {
        let entered = self.in_flight.enter();
        async move {
            let outcome = self.answer(call, cx).await;
            drop(entered);
            outcome
        }
        .boxed()
    }

    fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    /// What the threads do is told by the declared tools, whose they are.
    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn drain(&self, until: Instant) -> BoxFuture<'_, ()> {
        self.in_flight.none(until).boxed()
    }
}

impl fmt::Debug for ProgramTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgramTools").field("tools", &self.tools.keys()).finish_non_exhaustive()
    }
}
