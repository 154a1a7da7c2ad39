//! One span for each request that is sampled. While tracing is off, a request looks at one flag.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use prometheus::IntCounter;
use tokio::sync::mpsc;

pub use context::Context;

mod context;

/// Spans that wait to be sent; more are dropped and counted.
pub const WAITING: usize = 4096;

/// Begins spans and passes them on when they end.
#[derive(Debug)]
pub struct Tracer {
    on: AtomicBool,
    sink: ArcSwapOption<Sink>,
    dropped: IntCounter,
}

#[derive(Debug)]
struct Sink {
    spans: mpsc::Sender<Finished>,
    /// Requests without a trace are sampled where a random number is below; `u64::MAX` samples all.
    below: u64,
}

/// What is known of a request when its head was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// `traceparent`, of `_meta` or else of the HTTP header.
    pub parent: Option<&'a str>,
    /// `tracestate` from the same place.
    pub state: Option<&'a str>,
    /// The id of the request as JSON text.
    pub request_id: &'a str,
    /// True where it came by HTTP, false by standard input.
    pub http: bool,
}

/// The span of a request that is being answered.
#[derive(Debug)]
pub struct Span {
    pub context: Context,
    pub parent: Option<u64>,
    pub state: Box<str>,
    pub request_id: Box<str>,
    pub http: bool,
    pub started: SystemTime,
}

/// A span that has ended.
#[derive(Debug)]
pub struct Finished {
    pub span: Box<Span>,
    pub method: &'static str,
    pub tool: Option<Arc<str>>,
    /// The revision of the protocol that the request spoke; empty where that was never known.
    pub version: &'static str,
    pub outcome: &'static str,
    /// The JSON-RPC code of a refusal.
    pub code: Option<i32>,
    pub took: Duration,
}

impl Tracer {
    /// A tracer that is off.
    #[must_use]
    pub fn new(dropped: IntCounter) -> Self {
        Self { on: AtomicBool::new(false), sink: ArcSwapOption::empty(), dropped }
    }

    /// Passes spans on from now on; of requests without a trace, this part of them.
    pub fn turn_on(&self, spans: mpsc::Sender<Finished>, ratio: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a part of the whole range; the conversion saturates"
        )]
        let below = (ratio * u64::MAX as f64) as u64;
        self.sink.store(Some(Arc::new(Sink { spans, below })));
        self.on.store(true, Ordering::Relaxed);
    }

    /// Begins no more spans. Those that were begun are lost when they end.
    pub fn turn_off(&self) {
        self.on.store(false, Ordering::Relaxed);
        self.sink.store(None);
    }

    /// Begins the span of a request, where it is sampled: as its caller decided, else by chance.
    #[must_use]
    pub fn begin(&self, head: &Head<'_>) -> Option<Box<Span>> {
        self.on.load(Ordering::Relaxed).then(|| self.sampled(head)).flatten()
    }

    fn sampled(&self, head: &Head<'_>) -> Option<Box<Span>> {
        let sink = self.sink.load_full()?;
        let parent = head.parent.and_then(Context::parse);
        let sampled = match parent {
            Some(parent) => parent.sampled,
            None => sink.below == u64::MAX || random() < sink.below,
        };
        if !sampled {
            return None;
        }
        let trace_id =
            parent.map_or_else(|| u128::from(random()) << 64 | u128::from(random()), |p| p.trace_id);
        let state = head.state.filter(|state| parent.is_some() && state.len() <= context::MOST_STATE);
        Some(Box::new(Span {
            // An id of nothing but zeros is none.
            context: Context { trace_id: trace_id.max(1), span_id: random().max(1), sampled: true },
            parent: parent.map(|parent| parent.span_id),
            state: state.unwrap_or_default().into(),
            request_id: head.request_id.into(),
            http: head.http,
            started: SystemTime::now(),
        }))
    }

    /// Counts spans that could not be sent.
    pub fn lost(&self, spans: usize) {
        self.dropped.inc_by(spans as u64);
    }

    /// Passes a span on. Never waits: where too many wait already, it is dropped and counted.
    pub fn finish(&self, finished: Finished) {
        let sink = self.sink.load();
        let passed_on = sink.as_ref().is_some_and(|sink| sink.spans.try_send(finished).is_ok());
        if !passed_on {
            self.dropped.inc();
        }
    }
}

/// Random numbers for ids and for chance, not for secrets: one generator a thread, seeded by the system.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(SystemTime::now()));
    }
    STATE.with(|state| {
        // A counter in steps of an odd constant, its bits mixed until each depends on all (the finalizer of MurmurHash3).
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 33)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn tracer(ratio: f64) -> (Tracer, mpsc::Receiver<Finished>) {
        let tracer = Tracer::new(IntCounter::new("dropped", "x").unwrap());
        let (send, receive) = mpsc::channel(2);
        tracer.turn_on(send, ratio);
        (tracer, receive)
    }

    fn head(parent: Option<&'static str>) -> Head<'static> {
        Head { parent, state: Some("vendor=1"), request_id: "7", http: true }
    }

    #[test]
    fn the_caller_decides_where_it_brings_a_trace() {
        for ratio in [0.0, 1.0] {
            let (tracer, _spans) = tracer(ratio);
            let span = tracer.begin(&head(Some(PARENT))).unwrap();
            assert_eq!(span.context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
            assert_eq!((span.parent, &*span.state), (Some(0x00f0_67aa_0ba9_02b7), "vendor=1"));
            assert_ne!(span.context.span_id, 0x00f0_67aa_0ba9_02b7);
            assert!(tracer.begin(&head(Some(UNSAMPLED))).is_none());
        }
    }

    #[test]
    fn chance_decides_elsewhere() {
        for (ratio, least, most) in [(0.0, 0, 0), (0.25, 2_200, 2_800), (1.0, 10_000, 10_000)] {
            let (tracer, _spans) = tracer(ratio);
            let spans: Vec<_> = (0..10_000).filter_map(|_| tracer.begin(&head(Some("nonsense")))).collect();
            assert!((least..=most).contains(&spans.len()), "{ratio}: {}", spans.len());
            assert!(spans.iter().all(|span| span.parent.is_none() && span.state.is_empty()));
            let distinct: std::collections::HashSet<_> =
                spans.iter().map(|span| span.context.trace_id).collect();
            assert_eq!(distinct.len(), spans.len());
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (tracer, mut spans) = tracer(1.0);
        let finish = || {
            let span = tracer.begin(&head(None)).unwrap();
            tracer.finish(Finished {
                span,
                method: "ping",
                tool: None,
                version: "",
                outcome: "ok",
                code: None,
                took: Duration::ZERO,
            });
        };
        (0..3).for_each(|_| finish());
        assert_eq!(tracer.dropped.get(), 1);
        assert!(spans.try_recv().is_ok() && spans.try_recv().is_ok() && spans.try_recv().is_err());
        tracer.turn_off();
        assert!(tracer.begin(&head(Some(PARENT))).is_none());
    }
}
