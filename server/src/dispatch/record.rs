//! What is counted of each request: a guard that counts when it is dropped, so that refusals and aborts are counted too.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;

use crate::auth::principal::Caller;
use crate::dispatch::around;
use crate::observe::metrics::Metrics;
use crate::observe::requests::{Entry, Known, Told, UNKNOWN, Why};
use crate::observe::trace::{Context, Finished, Head, Span};
use crate::observe::traffic::Seen;
use crate::protocol::envelope::Params;
use crate::protocol::era::{Era, MODERN};
use crate::protocol::errors::Code;
use crate::protocol::methods::Method;

/// One request, from its head to the last byte of its answer.
#[derive(Debug)]
pub struct Record {
    metrics: Arc<Metrics>,
    started: Instant,
    method: &'static str,
    tool: Option<Arc<str>>,
    era: &'static str,
    outcome: &'static str,
    /// The revision of the protocol; empty while it is not known.
    version: &'static str,
    /// The JSON-RPC code of a refusal.
    code: Option<i32>,
    /// Where the request is sampled.
    span: Option<Box<Span>>,
    /// False where somebody else counts the request.
    counts: bool,
    /// For the request log, where it wants to know.
    entry: Option<Box<Entry>>,
}

/// The answer was never finished: the caller went away, or this server broke.
pub const ABORTED: &str = "aborted";

impl Record {
    #[must_use]
    pub fn begin(metrics: Arc<Metrics>) -> Self {
        metrics.in_flight.inc();
        Self {
            metrics,
            started: Instant::now(),
            method: UNKNOWN,
            tool: None,
            era: UNKNOWN,
            outcome: ABORTED,
            version: "",
            code: None,
            span: None,
            counts: true,
            entry: None,
        }
    }

    /// The same, with what the request log wants to know of it.
    #[must_use]
    pub fn noted(mut self, entry: Option<Box<Entry>>) -> Self {
        self.entry = entry;
        self
    }

    /// The record for somebody else to count; what stays here counts nothing.
    #[must_use]
    pub fn hand_over(&mut self) -> Self {
        let metrics = self.metrics.clone();
        let stays = Self { metrics, tool: None, span: None, counts: false, entry: None, ..*self };
        std::mem::replace(self, stays)
    }

    /// Who sends it.
    pub fn caller(&mut self, caller: &Caller, headers: Option<&HeaderMap>) {
        if let Some(entry) = &mut self.entry {
            entry.caller(caller);
            // Where the message cannot be read, this is all that is known of its trace.
            entry.trace(around::of_headers(headers).0.and_then(Context::parse));
        }
    }

    /// What it asks for, once its method is known.
    pub fn asked(&mut self, id: &str, params: &Params<'_>) {
        let known = Known { method: self.method, era: self.era, tool: None };
        if let Some(entry) = &mut self.entry {
            let name = params.name.text().or(params.uri.text());
            entry.asked(known, id, name, params.arguments);
        }
    }

    /// When the head of the request had arrived.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    pub fn era(&mut self, era: Era) {
        self.era = era.label();
        self.version = match era {
            Era::Modern => MODERN,
            Era::Legacy(version) => version.as_str(),
        };
    }

    /// Takes note of the trace that the request is part of, and begins its span, where it is sampled. Without a trace of
    /// the caller's, the span begins one; the request log has the same.
    pub fn trace(&mut self, head: &Head<'_>) {
        self.span = self.metrics.tracer.begin(head);
        if let Some(entry) = &mut self.entry {
            let own = self.span.as_ref().map(|span| span.context);
            entry.trace(own.or_else(|| head.parent.and_then(Context::parse)));
        }
    }

    /// The span of the request, where it has one.
    #[must_use]
    pub fn span(&self) -> Option<&Span> {
        self.span.as_deref()
    }

    pub fn method(&mut self, method: Method) {
        self.method = method.as_str();
    }

    /// A message that is no request.
    pub fn notification(&mut self) {
        self.method = "notification";
    }

    /// A tool that is served: the name of one that is not would be the caller's own words.
    pub fn tool(&mut self, name: &Arc<str>) {
        self.tool = Some(name.clone());
    }

    pub fn ok(&mut self) {
        self.outcome = "ok";
    }

    pub fn tool_error(&mut self) {
        self.outcome = "tool_error";
    }

    pub fn panicked(&mut self) {
        self.outcome = "panic";
        self.metrics.tool_panics.inc();
    }

    pub fn fault(&mut self, code: Code) {
        self.outcome = code.outcome();
        self.code = Some(code.number());
    }

    /// Why it fails: after its outcome.
    pub fn fails(&mut self, why: Why<'_>) {
        if let Some(entry) = &mut self.entry {
            entry.fails(self.outcome, why);
        }
    }

    /// Takes note, for the request log, of why a request is refused. The first reason counts; the message may be empty where it
    /// follows.
    pub fn refused(&mut self, reason: &'static str, message: impl FnOnce() -> String) {
        if let Some(entry) = &mut self.entry {
            entry.refused(reason, message);
        }
    }

    /// Where it comes from, before it is known who sends it.
    pub fn from(&mut self, address: IpAddr) {
        if let Some(entry) = &mut self.entry {
            entry.from(address);
        }
    }

    pub fn aborted(&mut self) {
        self.outcome = ABORTED;
    }

    pub fn auth_failure(&self, reason: &str) {
        self.metrics.auth_failures.with_label_values(&[reason]).inc();
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.counts {
            return;
        }
        self.metrics.in_flight.dec();
        let elapsed = self.started.elapsed();
        let tool = self.tool.as_deref();
        self.metrics.traffic.count(&Seen {
            method: self.method,
            tool,
            era: self.era,
            outcome: self.outcome,
            took: elapsed,
        });
        if let Some(entry) = &mut self.entry {
            if self.outcome == ABORTED {
                // There is no one who would say why.
                let error = Told::Sentence("the connection ended before the answer was sent");
                entry.fails(ABORTED, Why { error, cause: None, arguments: None });
            }
            let known = Known { method: self.method, era: self.era, tool };
            entry.ended(known, self.outcome, elapsed);
        }
        if let Some(span) = self.span.take() {
            self.metrics.tracer.finish(Finished {
                span,
                method: self.method,
                tool: self.tool.take(),
                version: self.version,
                outcome: self.outcome,
                code: self.code,
                took: elapsed,
            });
        }
    }
}
