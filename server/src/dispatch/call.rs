//! Calls of tools, prompts, resources and completions: route, admit, call, shape.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytestring::ByteString;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::poll;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backend::{self, Answer, Backend, Call, CallError, Cx, Hints, Outcome, Target};
use crate::dispatch::admit::Permit;
use crate::dispatch::cached::From;
use crate::dispatch::head::Request;
use crate::dispatch::limit::Over;
use crate::dispatch::limits::Share;
use crate::dispatch::record::Record;
use crate::dispatch::route::Route;
use crate::dispatch::snapshot::Snapshot;
use crate::dispatch::{Arrival, Dispatcher, admit, allow, around, ask, cached, limit, route};
use crate::observe::requests::{Told, Why};
use crate::protocol::answer::{self, Message};
use crate::protocol::capabilities::{CACHE_TTL_MS, CacheScope};
use crate::protocol::era::Era;
use crate::protocol::errors::{Code, Fault};
use crate::protocol::headers;
use crate::protocol::raw::Raw;

/// How long a backend may take to notice that nobody waits any more; then its call is dropped.
const GRACE: Duration = Duration::from_secs(1);

/// What a model reads where a tool panicked. What happened is for the log.
const PANICKED: &str =
    r#"{"content":[{"type":"text","text":"the tool failed unexpectedly"}],"isError":true}"#;

/// How a call ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Answered(Outcome),
    Failed(CallError),
    /// With what happened, for the log.
    Panicked(Arc<str>),
    /// There was no room to begin.
    Refused(Fault),
}

/// What a call holds until the backend is done with it, be the caller there or not.
struct Held {
    /// None where room is taken for several calls together.
    _permit: Option<Permit>,
    _body: Option<Share>,
}

impl Dispatcher {
    pub(super) async fn call(
        &self,
        request: &Request<'_>,
        snapshot: &Arc<Snapshot>,
        arrival: Arrival<'_>,
        body: &ByteString,
        record: &mut Record,
    ) -> Result<Message, Fault> {
        // Route.
        let Route { target, tool } = route::find(request, snapshot, body)?;
        if let Some(tool) = tool {
            // First of all, so that nothing tells of a tool that the caller may not know of.
            let arguments = request.params.arguments.filter(|text| *text != "null");
            let unknown = || route::not_found(&target, request.era);
            allow::check(snapshot, &arrival.caller, tool, arguments, unknown).await.inspect_err(|_| {
                self.metrics.auth.denied.inc();
            })?;
            record.tool(&tool.name);
            if let (Era::Modern, Some(headers)) = (request.era, arrival.headers) {
                headers::check_properties(headers, &tool.mirrored, request.params.arguments)?;
            }
        }
        match limit::check(&self.limiter, snapshot, &arrival.caller, request.method, tool).await {
            Ok(()) => {}
            Err(Over::Fault(fault)) => return Err(fault),
            Err(Over::Result(result)) => {
                record.fault(Code::TooManyRequests);
                let (error, arguments) = (Told::Result(result.as_str()), request.params.arguments);
                record.fails(Why { error, cause: None, arguments });
                return Ok(shaped(request, snapshot, &target, Answer::failed(result), None));
            }
        }
        let replies = ask::replies(request, &self.seal.load(), &arrival.caller, &target, body)?;

        let entry = match arrival.in_flight {
            None => None,
            Some(in_flight) => Some(in_flight.begin(request.id).ok_or_else(id_in_use)?),
        };

        // Call.
        let cancel = entry.as_ref().map_or_else(CancellationToken::new, |entry| entry.token().clone());
        // The caller of a modern request that goes away takes it back; an older one may only have lost its connection.
        let _gone = (request.era == Era::Modern).then(|| cancel.clone().drop_guard());
        let deadline = Instant::now() + snapshot.request_timeout;
        let arguments = request.params.arguments.filter(|text| *text != "null");
        let arguments = arguments.map(|text| Raw::part(body, text));
        let cx = Cx {
            client: around::client(request, body),
            events: around::events(request, snapshot, arrival.notices, body),
            trace: around::trace(request, arrival.headers, record),
            caller: arrival.caller.clone(),
            deadline,
            cancel: cancel.clone(),
            room: None,
        };
        let call = Call { target: target.clone(), arguments, replies };
        let question = cached::question(snapshot, tool, &call, &cx);
        let (backend, share, patience) = (self.backend().clone(), arrival.share, snapshot.patience);
        let gate = tool.and_then(|tool| tool.gate.as_ref());
        let gathers = tool.is_some_and(|tool| tool.gathers);
        let cx = Cx { room: gathers.then(|| self.admission.later(gate, patience)), ..cx };
        let work = async {
            Ok::<_, Fault>(match question {
                None => {
                    let permit = if gathers {
                        None
                    } else {
                        Some(self.admission.take(gate, patience, deadline, &cancel).await?)
                    };
                    let held = Held { _permit: permit, _body: share };
                    (run(backend, call, cx, held, deadline, &cancel).await, None)
                }
                Some(question) => {
                    let (admission, gate) = (self.admission.clone(), gate.cloned());
                    let ask = |taken_back: CancellationToken| {
                        let work = async move {
                            let permit = if gathers {
                                Ok(None)
                            } else {
                                admission.take(gate.as_ref(), patience, deadline, &taken_back).await.map(Some)
                            };
                            let held = match permit {
                                Ok(permit) => Held { _permit: permit, _body: share },
                                Err(fault) => return Ended::Refused(fault),
                            };
                            let cx = Cx { cancel: taken_back.clone(), ..cx };
                            run(backend, call, cx, held, deadline, &taken_back).await
                        };
                        work.boxed()
                    };
                    let (ended, from) = cached::answer(&self.cache, question, &cancel, ask).await;
                    (ended, Some(from).filter(|_| tool.is_some()))
                }
            })
        };
        let mut work = pin!(work);
        let (ended, from) = match poll!(work.as_mut()) {
            Poll::Ready(done) => done?,
            Poll::Pending => {
                // A modern client takes a call back by hanging up, and on stdio it is noted already.
                let notes = request.era != Era::Modern && arrival.in_flight.is_none();
                let noted =
                    notes.then(|| self.under_way.note(&arrival.caller, request.id, &cancel, deadline));
                let done = work.await;
                if let Some(noted) = noted {
                    noted.end();
                }
                done?
            }
        };
        let ended = match ended {
            // At the deadline the call is taken back, and whoever notices first may call it that.
            Ended::Failed(CallError::Cancelled) if Instant::now() >= deadline => {
                Ended::Failed(CallError::Timeout)
            }
            ended => ended,
        };

        // Shape.
        match ended {
            Ended::Answered(Outcome::Complete(answer)) => {
                if answer.is_error {
                    record.tool_error();
                    let (error, cause) = (Told::Result(answer.result.as_str()), answer.cause.as_deref());
                    record.fails(Why { error, cause, arguments: request.params.arguments });
                } else {
                    record.ok();
                }
                Ok(shaped(request, snapshot, &target, answer, from))
            }
            Ended::Answered(Outcome::NeedInput(questions)) => {
                let seal = self.seal.load();
                let asked = ask::shaped(request, snapshot, &seal, &arrival.caller, &target, questions, body)?;
                record.ok();
                Ok(asked)
            }
            Ended::Refused(fault) => Err(fault),
            Ended::Failed(error) => Err(fault(error, request.era, snapshot, &target)),
            Ended::Panicked(exception) => {
                record.panicked();
                match target {
                    Target::Tool(_) => {
                        let (error, cause) = (Told::Result(PANICKED), Some(&*exception));
                        record.fails(Why { error, cause, arguments: request.params.arguments });
                        let answer = Answer::failed(Raw::ours(PANICKED));
                        Ok(shaped(request, snapshot, &target, answer, from))
                    }
                    _ => Err(failed(&target, &exception)),
                }
            }
        }
    }
}

impl Ended {
    /// Whether it has to do with the caller of that very call: another one may fare better.
    pub(super) fn is_of_its_caller(&self) -> bool {
        match self {
            Self::Answered(Outcome::Complete(_)) | Self::Panicked(_) => false,
            Self::Answered(_) | Self::Refused(_) => true,
            Self::Failed(error) => {
                !matches!(error, CallError::Unknown | CallError::InvalidParams(_) | CallError::Internal(_))
            }
        }
    }
}

/// Calls the backend. A call that answers at once is never spawned; any other gets a task of its own, so that it
/// outlives the connection by as much as it needs to hear of it.
async fn run(
    backend: Arc<dyn Backend>,
    call: Call,
    cx: Cx,
    held: Held,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Ended {
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
        Ok(Err(CallError::Panicked(exception))) => Ended::Panicked(exception),
        Ok(Err(error)) => Ended::Failed(error),
        Err(panic) => panicked(&*panic),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Ended {
    Ended::Panicked(backend::tell_of_panic(panic))
}

/// The answer as a client of its era reads it. What was read of a resource says how long it stays true.
fn shaped(
    request: &Request<'_>,
    snapshot: &Snapshot,
    target: &Target,
    answer: Answer,
    from: Option<From>,
) -> Message {
    let id = request.id;
    let stamp = from.map_or(&snapshot.stamp, |from| &snapshot.cache_stamps[from as usize]);
    match request.era {
        Era::Legacy(_) => match from {
            None => answer::result(id, answer.for_legacy().bytes()),
            Some(from) => answer::stamped(id, &cached::legacy_stamp(from), answer.for_legacy().bytes()),
        },
        Era::Modern if matches!(target, Target::Resource(_)) => {
            let Hints { ttl_ms, scope } =
                answer.hints.unwrap_or(Hints { ttl_ms: CACHE_TTL_MS.into(), scope: None });
            // Where callers have keys, what one reads is not for the caches of others, whatever the backend thinks.
            let scope = scope.filter(|_| snapshot.scope == CacheScope::Public).unwrap_or(snapshot.scope);
            let scope = scope.as_str();
            let hints = format!(r#","ttlMs":{ttl_ms},"cacheScope":"{scope}""#);
            answer::stamped_with(id, stamp, &hints, answer.result.bytes())
        }
        Era::Modern => answer::stamped(id, stamp, answer.result.bytes()),
    }
}

fn fault(error: CallError, era: Era, snapshot: &Snapshot, target: &Target) -> Fault {
    match error {
        CallError::Unknown => route::not_found(target, era),
        CallError::InvalidParams(message) => Fault::new(Code::InvalidParams, message),
        CallError::MissingCapability(kind) => ask::missing(&[kind]),
        CallError::Cancelled => Fault::new(Code::Cancelled, "the request was cancelled"),
        CallError::Timeout => Fault::new(
            Code::Timeout,
            format!(
                "the {} took longer than {}; performance.requestTimeout sets how long it may take",
                target.kind(),
                mcp_server_config::Duration::from_millis(
                    u64::try_from(snapshot.request_timeout.as_millis()).unwrap_or(u64::MAX)
                )
            ),
        ),
        CallError::Overloaded => admit::overloaded(),
        CallError::Panicked(exception) => failed(target, &exception),
        CallError::Internal(cause) => {
            tracing::error!(kind = target.kind(), name = target.name(), cause, "a backend failed");
            failed(target, &cause)
        }
    }
}

/// A failure whose cause is for the log alone.
fn failed(target: &Target, cause: &str) -> Fault {
    let message = match target {
        Target::Tool(_) => "the server failed to call the tool",
        Target::Prompt(_) => "the server failed to make the prompt",
        Target::Resource(_) => "the server failed to read the resource",
        Target::Completion(_) => "the server failed to complete the argument",
    };
    Fault { cause: Some(cause.into()), ..Fault::new(Code::Internal, message) }
}

fn id_in_use() -> Fault {
    Fault::new(Code::InvalidRequest, "a request with this id is still being answered")
}
