//! Calls of tools: route, admit, call, shape.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backend::{self, Call, CallError, Cx, Outcome};
use crate::dispatch::head::Request;
use crate::dispatch::limit::Over;
use crate::dispatch::limits::Share;
use crate::dispatch::record::Record;
use crate::dispatch::snapshot::Snapshot;
use crate::dispatch::{Arrival, Dispatcher, admit, allow, limit};
use crate::protocol::answer::{self, Message};
use crate::protocol::envelope::Field;
use crate::protocol::era::Era;
use crate::protocol::errors::{Code, Fault};
use crate::protocol::headers;
use crate::protocol::raw::Raw;

/// How long a backend may take to notice that nobody waits any more; then its call is dropped.
const GRACE: Duration = Duration::from_secs(1);

/// What a model reads where a tool panicked. What happened is for the log.
const PANICKED: &[u8] =
    br#"{"content":[{"type":"text","text":"the tool failed unexpectedly"}],"isError":true}"#;

/// How a call ended.
enum Ended {
    Answered(Outcome),
    Failed(CallError),
    Panicked,
}

/// What a call holds until the backend is done with it, be the caller there or not.
struct Held {
    _permit: Share,
    _body: Option<Share>,
}

impl Dispatcher {
    pub(super) async fn call(
        &self,
        request: &Request<'_>,
        snapshot: &Arc<Snapshot>,
        arrival: Arrival<'_>,
        body: &Bytes,
        record: &mut Record,
    ) -> Result<Message, Fault> {
        // Route: names of tools are what the list says, exactly.
        let Field::Text(name) = &request.params.name else {
            return Err(Fault::new(Code::InvalidParams, "params.name is missing or not a string"));
        };
        let tool = snapshot.tool(name).ok_or_else(|| unknown(name))?;
        record.tool(&tool.name);
        if let (Era::Modern, Some(headers)) = (request.era, arrival.headers) {
            headers::check_properties(headers, &tool.mirrored, request.params.arguments)?;
        }

        allow::check(snapshot, &arrival.caller, tool)?;
        match limit::check(&self.limiter, snapshot, &arrival.caller, Some(tool)).await {
            Ok(()) => {}
            Err(Over::Fault(fault)) => return Err(fault),
            Err(Over::Result(result)) => {
                record.fault(Code::TooManyRequests);
                return Ok(shaped(request, snapshot, result.bytes()));
            }
        }

        let permit = admit::take(&self.permits)?;
        let entry = match arrival.in_flight {
            None => None,
            Some(in_flight) => Some(in_flight.begin(request.id).ok_or_else(id_in_use)?),
        };

        // Call.
        let cancel = entry.as_ref().map_or_else(CancellationToken::new, |entry| entry.token().clone());
        // The caller of a modern request that goes away takes it back; an older one may only have lost its connection.
        let _gone = (request.era == Era::Modern).then(|| cancel.clone().drop_guard());
        let deadline = Instant::now() + snapshot.request_timeout;
        let arguments = request.params.arguments.map(|raw| raw.get()).filter(|text| *text != "null");
        let call =
            Call { tool: tool.name.to_string(), arguments: arguments.map(|text| Raw::part(body, text)) };
        let cx = Cx { caller: arrival.caller, deadline, cancel: cancel.clone() };
        let held = Held { _permit: permit, _body: arrival.share };
        let ended = match self.run(call, cx, held, deadline, &cancel).await {
            // At the deadline the call is taken back, and whoever notices first may call it that.
            Ended::Failed(CallError::Cancelled) if Instant::now() >= deadline => {
                Ended::Failed(CallError::Timeout)
            }
            ended => ended,
        };

        // Shape.
        let outcome = match ended {
            Ended::Answered(outcome) => outcome,
            Ended::Failed(error) => return Err(fault(error, snapshot, name)),
            Ended::Panicked => {
                record.panicked();
                return Ok(shaped(request, snapshot, &Bytes::from_static(PANICKED)));
            }
        };
        let Outcome::Complete(complete) = outcome;
        if complete.is_error {
            record.tool_error()
        } else {
            record.ok()
        }
        let result = match request.era {
            Era::Modern => complete.result,
            Era::Legacy(_) => complete.for_legacy(),
        };
        Ok(shaped(request, snapshot, result.bytes()))
    }

    /// Calls the backend. A call that answers at once is never spawned; any other gets a task of its own, so that it
    /// outlives the connection by as much as it needs to hear of it.
    async fn run(
        &self,
        call: Call,
        cx: Cx,
        held: Held,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Ended {
        let backend = self.backend().clone();
        let started = catch_unwind(AssertUnwindSafe(move || backend.call(call, cx)));
        let mut call: Caught = match started {
            Ok(call) => AssertUnwindSafe(call).catch_unwind(),
            Err(panic) => return panicked(&*panic),
        };
        if let Some(ended) = (&mut call).now_or_never() {
            return ended_as(ended);
        }
        let task = tokio::spawn(watched(call, cancel.clone(), deadline, held));
        tokio::select! {
            ended = task => ended.unwrap_or(Ended::Failed(CallError::Cancelled)),
            () = tokio::time::sleep_until(deadline) => {
                // The task has its own alarm; this one is for the caller, who does not wait for the grace.
                Ended::Failed(CallError::Timeout)
            }
            () = cancel.cancelled() => Ended::Failed(CallError::Cancelled),
        }
    }
}

type Called = BoxFuture<'static, Result<Outcome, CallError>>;
type Caught = futures::future::CatchUnwind<AssertUnwindSafe<Called>>;
type Panic = Box<dyn Any + Send>;

/// Runs a call to its end, or until a while after nobody waits for it any more.
async fn watched(call: Caught, cancel: CancellationToken, deadline: Instant, _held: Held) -> Ended {
    let hopeless = async {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = tokio::time::sleep_until(deadline) => cancel.cancel(),
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = call => ended_as(ended),
        () = hopeless => Ended::Failed(CallError::Cancelled),
    }
}

fn ended_as(ended: Result<Result<Outcome, CallError>, Panic>) -> Ended {
    match ended {
        Ok(Ok(outcome)) => Ended::Answered(outcome),
        Ok(Err(error)) => Ended::Failed(error),
        Err(panic) => panicked(&*panic),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Ended {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("not a text"), "a tool panicked");
    Ended::Panicked
}

fn shaped(request: &Request<'_>, snapshot: &Snapshot, result: &Bytes) -> Message {
    match request.era {
        Era::Modern => answer::stamped(request.id, &snapshot.stamp, result),
        Era::Legacy(_) => answer::result(request.id, result),
    }
}

fn fault(error: backend::CallError, snapshot: &Snapshot, name: &str) -> Fault {
    match error {
        CallError::UnknownTool(_) => unknown(name),
        CallError::Cancelled => Fault::new(Code::Cancelled, "the request was cancelled"),
        CallError::Timeout => Fault::new(
            Code::Timeout,
            format!(
                "the tool took longer than {}; performance.requestTimeout sets how long it may take",
                mcp_server_config::Duration::from_millis(
                    u64::try_from(snapshot.request_timeout.as_millis()).unwrap_or(u64::MAX)
                )
            ),
        ),
        CallError::Overloaded => admit::overloaded(),
        CallError::Internal(cause) => {
            tracing::error!(tool = name, cause, "a backend failed");
            Fault::new(Code::Internal, "the server failed to call the tool")
        }
    }
}

fn unknown(name: &str) -> Fault {
    Fault::new(Code::InvalidParams, format!("unknown tool {name:?}"))
}

fn id_in_use() -> Fault {
    Fault::new(Code::InvalidRequest, "a request with this id is still being answered")
}
