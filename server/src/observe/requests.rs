//! The request log: a line as a request comes, and one as it is answered or fails. It is on the way of every request, so
//! a line is written straight into a buffer and does not go through `tracing`.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcp_server_config::{LogLevel, LoggedArguments, RequestLogMode, RequestLogging};

use crate::auth::principal::{Caller, Principal};
use crate::observe::logs::escape;
use crate::observe::logs::hub::Hub;
use crate::observe::redact;
use crate::observe::trace::Context;
use refusals::Refusals;

mod line;
mod reason;
mod refusals;
#[cfg(test)]
mod tests;

/// The settings in force, and the numbers that requests get.
#[derive(Debug)]
pub struct RequestLog {
    /// Absent in a program that has a log of its own: then lines are events of `tracing`.
    hub: Option<Arc<Hub>>,
    mode: AtomicU8,
    arguments: AtomicU8,
    sample_every: AtomicU32,
    requests: AtomicU64,
    /// Tells the requests of one process from those of another.
    process: u32,
    refusals: Arc<Refusals>,
}

/// What the log has to know of one request until it ends.
#[derive(Debug)]
pub struct Entry {
    log: Arc<RequestLog>,
    number: u64,
    /// Whether it is one of those that are logged from the beginning to the end.
    sampled: bool,
    /// Whether its message was read.
    read: bool,
    /// Whether the line was written that says what is asked.
    asked: bool,
    /// Its id, as JSON text.
    id: String,
    /// The tool, prompt or resource, as the caller names it.
    name: String,
    arguments: Option<String>,
    trace: Option<u128>,
    principal: Option<Arc<Principal>>,
    address: Option<IpAddr>,
    /// Present where the request was refused.
    refusal: Option<Refusal>,
    /// Why it failed, as the client is told; empty where it did not, or that is not known.
    error: String,
    /// What lies behind that, which the client is not told.
    exception: Option<String>,
}

/// That a request was refused, for the line about it.
#[derive(Debug)]
struct Refusal {
    /// Finer than the outcome, where more is known.
    reason: &'static str,
    /// Refusals like this one since the last line; absent where no line is written of this one.
    left_out: Option<u64>,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a> {
    /// What the client is told.
    pub error: Told<'a>,
    /// What lies behind that.
    pub cause: Option<&'a str>,
    /// What the caller sent, of which the log may have to hide what is quoted.
    pub arguments: Option<&'a str>,
}

/// What a client is told of a failure.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    Sentence(&'a str),
    /// A result of a tool that says `isError`, as JSON.
    Result(&'a str),
}

/// What is known of a request when its line is written.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub method: &'static str,
    pub era: &'static str,
    /// The tool that is served under the name.
    pub tool: Option<&'a str>,
}

/// The method and the era of a request that was refused before its message was read, and a method that does not exist.
pub const UNKNOWN: &str = "unknown";

/// Names and ids longer than this are cut.
const LONGEST: usize = 128;

impl RequestLog {
    #[must_use]
    pub fn new(hub: Option<Arc<Hub>>) -> Arc<Self> {
        let process = RandomState::new().hash_one(std::process::id());
        let log = Self {
            hub,
            mode: AtomicU8::default(),
            arguments: AtomicU8::default(),
            sample_every: AtomicU32::default(),
            requests: AtomicU64::default(),
            process: u32::try_from(process >> 32).unwrap_or_default(),
            refusals: Arc::default(),
        };
        log.configure(&RequestLogging::default());
        Arc::new(log)
    }

    /// Puts settings in force for the requests that come from now on.
    pub fn configure(&self, settings: &RequestLogging) {
        self.mode.store(settings.mode() as u8, Ordering::Relaxed);
        self.arguments.store(settings.arguments() as u8, Ordering::Relaxed);
        self.sample_every.store(settings.sample_every(), Ordering::Relaxed);
    }

    /// Begins to take note of a request; none where requests leave no trace.
    #[must_use]
    pub fn begin(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Box<Entry>> {
        let mode = self.mode.load(Ordering::Relaxed);
        if mode == RequestLogMode::Off as u8 {
            return None;
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let every = u64::from(self.sample_every.load(Ordering::Relaxed));
        let sampled = mode == RequestLogMode::All as u8 && number.is_multiple_of(every.max(1));
        Some(Box::new(Entry {
            log: self.clone(),
            number,
            sampled,
            read: false,
            asked: false,
            id: String::new(),
            name: String::new(),
            arguments: None,
            trace: None,
            principal: None,
            address,
            refusal: None,
            error: String::new(),
            exception: None,
        }))
    }

    fn enabled(&self, level: LogLevel) -> bool {
        self.hub.as_ref().is_none_or(|hub| hub.enabled(level))
    }

    fn arguments(&self) -> LoggedArguments {
        let policy = self.arguments.load(Ordering::Relaxed);
        [LoggedArguments::Full, LoggedArguments::Redact]
            .into_iter()
            .find(|known| *known as u8 == policy)
            .unwrap_or(LoggedArguments::Omit)
    }
}

impl Entry {
    /// Takes note of who asks.
    pub fn caller(&mut self, caller: &Caller) {
        self.principal.clone_from(&caller.principal);
        self.address = caller.address.or(self.address);
    }

    /// Takes note of the address of the client, where proxies have one of their own.
    pub fn from(&mut self, address: IpAddr) {
        self.address = Some(address);
    }

    /// Takes note of why the request is refused. The first reason counts. The message is only made where a line is
    /// written; see [`refusals`].
    pub fn refused(&mut self, reason: &'static str, message: impl FnOnce() -> String) {
        if self.refusal.is_some() || !self.log.enabled(LogLevel::Warn) {
            return;
        }
        // Where each request is logged, so is how it ended; but what a stranger sends is not worth more than a line.
        let left_out = match self.read && self.sampled {
            true => Some(0),
            false => self.log.refusals.admit(reason, self.address, Instant::now()),
        };
        self.refusal = Some(Refusal { reason, left_out });
        if left_out.is_some() && self.error.is_empty() {
            self.error = reason::shown(&message(), None, self.log.arguments());
        }
    }

    /// Whether it is a refusal of which no line is written.
    fn is_left_out(&self) -> bool {
        self.refusal.as_ref().is_some_and(|refusal| refusal.left_out.is_none())
    }

    /// Takes note of the trace that the request is part of.
    pub fn trace(&mut self, context: Option<Context>) {
        self.trace = context.map(|context| context.trace_id);
    }

    /// Takes note of what is asked, and writes the line that says so.
    pub fn asked(&mut self, known: Known<'_>, id: &str, name: Option<&str>, arguments: Option<&str>) {
        cut(id, &mut self.id);
        if !self.id.is_empty() && id.len() > LONGEST {
            // Half of a JSON string is none.
            let cut = std::mem::take(&mut self.id);
            escape::json(&cut, &mut self.id);
        }
        cut(name.unwrap_or_default(), &mut self.name);
        let policy = self.log.arguments();
        if let (Some(raw), true) = (arguments, policy != LoggedArguments::Omit) {
            // Where nothing is written of what goes well, this is only for what fails.
            self.arguments = redact::arguments(raw, policy);
        }
        self.read = true;
        if self.sampled && self.log.enabled(LogLevel::Info) {
            self.asked = true;
            self.write(line::Kind::Request, known, LogLevel::Info, ("asked", line!()));
        }
    }

    /// Takes note of why it fails. The first reason is the closest to it, and stays.
    pub fn fails(&mut self, outcome: &'static str, why: Why<'_>) {
        if !self.error.is_empty() || self.is_left_out() || !self.log.enabled(level_of(outcome)) {
            return;
        }
        let policy = self.log.arguments();
        self.error = match why.error {
            Told::Sentence(sentence) => reason::shown(sentence, why.arguments, policy),
            Told::Result(result) => reason::shown(&reason::of_result(result), why.arguments, policy),
        };
        self.exception = why.cause.map(|cause| reason::shown(cause, why.arguments, policy));
    }

    /// Writes the line of a request that has ended.
    pub fn ended(&mut self, known: Known<'_>, outcome: &'static str, took: Duration) {
        if outcome == "ok" {
            // A message that wants no answer is no request.
            if self.sampled && known.method != "notification" && self.log.enabled(LogLevel::Info) {
                self.write(line::Kind::Response { took }, known, LogLevel::Info, ("ended", line!()));
            }
            return;
        }
        let level = level_of(outcome);
        // What a call did is told of each call. Whatever costs a caller nothing is a refusal, or like one.
        if level == LogLevel::Warn && outcome != "tool_error" {
            self.refused(outcome, String::new);
        }
        if !self.is_left_out() && self.log.enabled(level) {
            self.write(line::Kind::Error { took, outcome }, known, level, ("ended", line!()));
        }
    }

    fn write(&self, kind: line::Kind, known: Known<'_>, level: LogLevel, at: (&'static str, u32)) {
        let line = line::RequestLine::new(self, kind, known, level, at);
        match &self.log.hub {
            Some(hub) => hub.publish_at(level, &line),
            None => line.tell(),
        }
    }

    /// Its number, which no other request of any process has.
    fn write_own_id(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _written = write!(out, "{:08x}-{:x}", self.log.process, self.number);
    }
}

/// How severe a failure is: those of this server are errors.
fn level_of(outcome: &str) -> LogLevel {
    match outcome {
        "internal_error" | "panic" | "timeout" => LogLevel::Error,
        _ => LogLevel::Warn,
    }
}

fn cut(text: &str, to: &mut String) {
    to.push_str(match text.char_indices().nth(LONGEST) {
        Some((at, _)) if text.len() > LONGEST => &text[..at],
        _ => text,
    });
}
