//! Where every line goes: to the queue of each sink that wants it, in the shape that the sink has.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mcp_server_config::LogLevel;
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::sync::watch;

use crate::backend::Health;
use crate::observe::logs::clock::Moment;
use crate::observe::logs::line::{Format, Line, Place, Render, Value};
use crate::observe::logs::queue::Queue;
use crate::observe::logs::target::Target;

/// The sinks in force.
#[derive(Debug)]
pub struct Hub {
    sinks: ArcSwap<Vec<Sink>>,
    /// The least severe events that are logged.
    least: AtomicU8,
    dropped: IntCounterVec,
    failures: IntCounterVec,
    /// What is wrong with which sink.
    troubles: Mutex<BTreeMap<&'static str, String>>,
    health: watch::Sender<Health>,
}

/// One place that lines go to.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    pub(super) name: &'static str,
    pub(super) format: Format,
    /// The least severe events that it takes.
    pub(super) least: LogLevel,
    pub(super) queue: Arc<Queue<Target>>,
}

/// How long a process that ends waits for its log.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A line is seldom longer. What an unusual one needed is given back.
const USUAL: usize = 16 * 1024;

thread_local! {
    static LINE: Cell<String> = const { Cell::new(String::new()) };
}

const NAMES: &str = "metric names and labels are constants, and distinct";

impl Hub {
    pub(super) fn new() -> Self {
        let counters =
            |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &["sink"]).expect(NAMES);
        Self {
            sinks: ArcSwap::default(),
            least: AtomicU8::new(LogLevel::default() as u8),
            dropped: counters("mcp_server_log_dropped_total", "Lines of the log that were lost, by sink"),
            failures: counters(
                "mcp_server_log_write_failures_total",
                "Attempts to write the log that failed, by sink",
            ),
            troubles: Mutex::default(),
            health: watch::Sender::new(Health::Healthy),
        }
    }

    /// Shows the counters of the log among the others, once in a registry.
    pub fn register(&self, registry: &Registry) {
        for counters in [&self.dropped, &self.failures] {
            registry.register(Box::new(counters.clone())).expect(NAMES);
        }
    }

    /// Whether all sinks are written.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Whether an event of this level is logged anywhere.
    #[must_use]
    pub fn enabled(&self, level: LogLevel) -> bool {
        level as u8 >= self.least.load(Ordering::Relaxed)
    }

    pub(super) fn set_level(&self, level: LogLevel) {
        self.least.store(level as u8, Ordering::Relaxed);
    }

    pub(super) fn sinks(&self) -> Arc<Vec<Sink>> {
        self.sinks.load_full()
    }

    pub(super) fn replace(&self, sinks: Vec<Sink>) {
        self.sinks.store(Arc::new(sinks));
    }

    pub(super) fn queue(&self, name: &'static str, capacity: usize) -> Arc<Queue<Target>> {
        Arc::new(Queue::new(capacity, self.dropped.with_label_values(&[name])))
    }

    /// Writes a line into the queue of each sink that takes its level. Never waits for a sink.
    pub(super) fn publish(&self, line: &Line<'_>) {
        self.publish_at(line.place.level, line);
    }

    /// Writes what renders itself; once for each format, however many sinks share it.
    pub(crate) fn publish_at(&self, level: LogLevel, line: &dyn Render) {
        self.publish_by(level, line, Queue::push);
    }

    fn publish_by(&self, level: LogLevel, line: &dyn Render, push: fn(&Queue<Target>, &[u8])) {
        let sinks = self.sinks.load();
        let mut text = LINE.take();
        let mut written: Option<&Format> = None;
        for sink in sinks.iter().filter(|sink| level >= sink.least) {
            if written != Some(&sink.format) {
                text.clear();
                line.render(&sink.format, &mut text);
                text.push('\n');
                written = Some(&sink.format);
            }
            push(&sink.queue, text.as_bytes());
        }
        if text.capacity() <= USUAL {
            LINE.set(text);
        }
    }

    /// Waits until everything that was logged is written, for as long as the sinks take any of it; false where not all
    /// of it is.
    pub fn flush(&self) -> bool {
        let until = Instant::now() + LAST_WORDS;
        let sinks = self.sinks();
        // Each gets its chance, also after one that failed.
        let written: Vec<_> = sinks.iter().map(|sink| sink.queue.flush(until)).collect();
        written.into_iter().all(|written| written)
    }

    /// What a writer has to say of its own sink. It goes to all of them: this one takes nothing just now.
    pub(super) fn tell(&self, level: LogLevel, message: &str, sink: &str, more: &[(&'static str, String)]) {
        let mut fields = vec![("sink", Value::Text(sink.to_owned()))];
        fields.extend(more.iter().map(|(name, text)| {
            let number = text.parse::<u64>().is_ok();
            (*name, if number { Value::Raw(text.clone()) } else { Value::Text(text.clone()) })
        }));
        let (target, module, function) = (module_path!(), module_path!(), "tell");
        let place = Place { level, target, module, file: file!(), function, line: line!() };
        let line = Line { moment: Moment::now(), place, message: message.to_owned(), fields };
        self.publish_by(level, &line, Queue::push_report);
    }

    /// Notes that a sink cannot be written.
    pub(super) fn failed(&self, sink: &'static str, why: &str) {
        self.failures.with_label_values(&[sink]).inc();
        self.trouble(sink, Some(why.to_owned()));
    }

    /// Notes that a sink is written, or is no more.
    pub(super) fn well(&self, sink: &'static str) {
        self.trouble(sink, None);
    }

    fn trouble(&self, sink: &'static str, why: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match why {
            Some(why) => troubles.insert(sink, why.clone()) == Some(why),
            None => troubles.remove(sink).is_none(),
        };
        if !before {
            let all: Vec<_> = troubles.iter().map(|(sink, why)| format!("{sink}: {why}")).collect();
            let health = if all.is_empty() { Health::Healthy } else { Health::Degraded(all.join("; ")) };
            self.health.send_replace(health);
        }
    }
}
