//! What is counted of each request. Series are found once and kept: of a method by its name, of a tool in a map that
//! changes with the list of tools. Labels come from closed lists only: methods we know, tools we serve, eras and
//! outcomes we decide. Never a caller's own words.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::observe::latency::{Latencies, Latency};
use crate::observe::recent::Recent;

/// The most tools that have series of their own; all others share one.
pub const MOST_TOOLS: usize = 256;
/// What the shared one is called.
const OTHER: &str = "_OTHER";

const NAMES: &str = "metric names and labels are constants, and distinct";

/// Requests, as they are counted.
#[derive(Debug)]
pub struct Traffic {
    requests: IntCounterVec,
    by_method: Latencies,
    by_tool: Latencies,
    methods: ArcSwap<Vec<(&'static str, Arc<Series>)>>,
    tools: ArcSwap<HashMap<Arc<str>, Arc<Series>>>,
    /// All requests by outcome: they stay when a tool and its series go.
    totals: Series,
    recent: Recent,
}

/// What is counted of one request.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub method: &'static str,
    /// A tool that is served.
    pub tool: Option<&'a str>,
    pub era: &'static str,
    pub outcome: &'static str,
    pub took: Duration,
}

impl Traffic {
    #[must_use]
    pub fn register(registry: &Registry) -> Self {
        let requests = IntCounterVec::new(
            Opts::new(
                "mcp_server_requests_total",
                "Requests by method, tool, era of the protocol and outcome",
            ),
            &["method", "tool", "era", "outcome"],
        )
        .expect(NAMES);
        registry.register(Box::new(requests.clone())).expect(NAMES);
        let latencies = |name, help, label| Latencies::register(registry, name, help, label).expect(NAMES);
        Self {
            requests,
            by_method: latencies(
                "mcp_server_request_duration_seconds",
                "Time from the head of a request to the last byte of its answer, by method",
                "method",
            ),
            by_tool: latencies(
                "mcp_server_tool_duration_seconds",
                "Time from the head of a call to the last byte of its answer, by tool",
                "tool",
            ),
            methods: ArcSwap::default(),
            tools: ArcSwap::default(),
            totals: Series::new("", None, None),
            recent: Recent::default(),
        }
    }

    /// Goes by another list of tools. The series of those that are gone go with them.
    pub fn serve<'a>(&self, tools: impl Iterator<Item = &'a Arc<str>>) {
        let old = self.tools.load();
        let mut new = HashMap::with_capacity(old.len());
        let mut other = None;
        for name in tools {
            let series = match old.get(name).filter(|series| *series.tool == **name) {
                Some(series) => series.clone(),
                None if new.len() < MOST_TOOLS => self.of_tool(name),
                None => other.get_or_insert_with(|| self.shared(&old)).clone(),
            };
            new.insert(name.clone(), series);
        }
        let kept: std::collections::HashSet<_> = new.values().map(Arc::as_ptr).collect();
        let gone: Vec<_> =
            old.values().filter(|series| !kept.contains(&Arc::as_ptr(series))).cloned().collect();
        self.tools.store(Arc::new(new));
        for series in gone {
            series.retired.store(true, Ordering::Relaxed);
            for slot in series.slots.load().iter() {
                // It was there, or another series of the same shared name took it along.
                let _gone = self.requests.remove_label_values(&slot.labels(series.method, &series.tool));
            }
            self.by_tool.remove(&series.tool);
        }
    }

    fn of_tool(&self, name: &str) -> Arc<Series> {
        Arc::new(Series::new("tools/call", Some(name), Some(self.by_tool.of(name))))
    }

    fn shared(&self, old: &HashMap<Arc<str>, Arc<Series>>) -> Arc<Series> {
        let found = old.values().find(|series| &*series.tool == OTHER);
        found.cloned().unwrap_or_else(|| self.of_tool(OTHER))
    }

    /// Counts a request.
    pub fn count(&self, seen: &Seen<'_>) {
        self.totals.count(seen.era, seen.outcome, detached);
        self.recent.note(seen.took);
        let methods = self.methods.load();
        let first;
        let method = match methods.iter().find(|(method, _)| same(method, seen.method)) {
            Some((_, series)) => series,
            None => {
                first = self.of_method(seen.method);
                &first
            }
        };
        method.took(seen.took);
        let tools = self.tools.load();
        let series = seen.tool.and_then(|tool| tools.get(tool)).unwrap_or(method);
        if !Arc::ptr_eq(series, method) {
            series.took(seen.took);
        }
        let labels = [series.method, &*series.tool, seen.era, seen.outcome];
        let made = series.count(seen.era, seen.outcome, || self.requests.with_label_values(&labels));
        if made && series.retired.load(Ordering::Relaxed) {
            // The tool went while its first call of this kind was counted.
            let _gone = self.requests.remove_label_values(&labels);
        }
    }

    /// The first request of a method: names of methods are written in this program, so there are few.
    fn of_method(&self, method: &'static str) -> Arc<Series> {
        let new = Arc::new(Series::new(method, None, Some(self.by_method.of(method))));
        self.methods.rcu(|methods| {
            let mut methods = Vec::clone(methods);
            if !methods.iter().any(|(known, _)| same(known, method)) {
                methods.push((method, new.clone()));
            }
            methods
        });
        let methods = self.methods.load();
        methods.iter().find(|(known, _)| same(known, method)).map_or(new, |(_, series)| series.clone())
    }

    /// How many requests had each outcome since the start.
    #[must_use]
    pub fn outcomes(&self) -> Vec<(&'static str, u64)> {
        let mut outcomes: Vec<(&'static str, u64)> = Vec::new();
        for slot in self.totals.slots.load().iter() {
            match outcomes.iter_mut().find(|(outcome, _)| *outcome == slot.outcome) {
                Some((_, count)) => *count += slot.counter.get(),
                None => outcomes.push((slot.outcome, slot.counter.get())),
            }
        }
        outcomes
    }

    /// How long the latest requests took.
    #[must_use]
    pub fn recent(&self) -> &Recent {
        &self.recent
    }
}

/// The series of one method or tool, by era and outcome.
#[derive(Debug)]
struct Series {
    method: &'static str,
    /// Empty where it is a method's.
    tool: Box<str>,
    latency: Option<Arc<Latency>>,
    slots: ArcSwap<Vec<Slot>>,
    /// Its tool is gone: what was under way is counted where nobody sees it, so that no series comes back.
    retired: AtomicBool,
}

#[derive(Clone, Debug)]
struct Slot {
    era: &'static str,
    outcome: &'static str,
    counter: IntCounter,
}

impl Slot {
    fn labels<'a>(&'a self, method: &'a str, tool: &'a str) -> [&'a str; 4] {
        [method, tool, self.era, self.outcome]
    }
}

impl Series {
    fn new(method: &'static str, tool: Option<&str>, latency: Option<Arc<Latency>>) -> Self {
        Self {
            method,
            tool: tool.unwrap_or_default().into(),
            latency,
            slots: ArcSwap::default(),
            retired: AtomicBool::new(false),
        }
    }

    fn took(&self, duration: Duration) {
        if let Some(latency) = &self.latency {
            latency.observe(duration);
        }
    }

    /// Counts one; `make` makes the counter the first time, and then the answer is true.
    fn count(&self, era: &'static str, outcome: &'static str, make: impl Fn() -> IntCounter) -> bool {
        let find = |slots: &[Slot]| {
            slots
                .iter()
                .find(|slot| same(slot.outcome, outcome) && same(slot.era, era))
                .map(|slot| slot.counter.inc())
        };
        if find(&self.slots.load()).is_some() || self.retired.load(Ordering::Relaxed) {
            return false;
        }
        let counter = make();
        self.slots.rcu(|slots| {
            let mut slots = Vec::clone(slots);
            if !slots.iter().any(|slot| same(slot.outcome, outcome) && same(slot.era, era)) {
                slots.push(Slot { era, outcome, counter: counter.clone() });
            }
            slots
        });
        find(&self.slots.load());
        true
    }
}

/// The same word: nearly always it is the same constant, and then it need not be read.
fn same(one: &str, other: &str) -> bool {
    std::ptr::eq(one, other) || one == other
}

fn detached() -> IntCounter {
    IntCounter::new("detached", "never shown").expect(NAMES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(tool: Option<&'a str>, outcome: &'static str) -> Seen<'a> {
        let took = Duration::from_millis(1);
        Seen { method: "tools/call", tool, era: "modern", outcome, took }
    }

    fn text(registry: &Registry) -> String {
        prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    fn names(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn counts_under_the_labels_of_the_request() {
        let registry = Registry::new();
        let traffic = Traffic::register(&registry);
        traffic.serve(names(&["greet"]).iter());
        traffic.count(&seen(Some("greet"), "ok"));
        traffic.count(&seen(Some("greet"), "ok"));
        traffic.count(&seen(None, "invalid_params"));
        let ping = Seen { method: "ping", era: "legacy", ..seen(None, "ok") };
        traffic.count(&ping);
        let text = text(&registry);
        for line in [
            r#"mcp_server_requests_total{era="modern",method="tools/call",outcome="ok",tool="greet"} 2"#,
            r#"mcp_server_requests_total{era="modern",method="tools/call",outcome="invalid_params",tool=""} 1"#,
            r#"mcp_server_requests_total{era="legacy",method="ping",outcome="ok",tool=""} 1"#,
            r#"mcp_server_request_duration_seconds_count{method="tools/call"} 3"#,
            r#"mcp_server_tool_duration_seconds_count{tool="greet"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(traffic.outcomes(), [("ok", 3), ("invalid_params", 1)]);
        assert_eq!(traffic.recent().durations().count, 4);
    }

    #[test]
    fn names_that_nobody_serves_make_no_series() {
        let registry = Registry::new();
        let traffic = Traffic::register(&registry);
        traffic.serve(names(&["greet"]).iter());
        traffic.count(&seen(Some("greet"), "ok"));
        traffic.count(&seen(None, "ok"));
        let before = text(&registry).lines().count();
        (0..10_000).for_each(|n| traffic.count(&seen(Some(&format!("tool-{n}")), "ok")));
        assert_eq!(text(&registry).lines().count(), before);
    }

    #[test]
    fn a_tool_that_is_gone_takes_its_series_along_and_not_the_totals() {
        let registry = Registry::new();
        let traffic = Traffic::register(&registry);
        traffic.serve(names(&["stays", "goes"]).iter());
        traffic.count(&seen(Some("stays"), "ok"));
        traffic.count(&seen(Some("goes"), "ok"));
        let in_flight = traffic.tools.load().get("goes").unwrap().clone();
        traffic.serve(names(&["stays", "new"]).iter());
        in_flight.count("modern", "timeout", || unreachable!("no series comes back"));
        traffic.count(&seen(Some("goes"), "ok"));
        let text = text(&registry);
        assert!(!text.contains("goes"), "{text}");
        assert!(text.contains(r#"outcome="ok",tool="stays"} 1"#), "{text}");
        assert_eq!(traffic.outcomes(), [("ok", 3)]);
    }

    #[test]
    fn more_tools_than_anybody_reads_share_a_series() {
        let registry = Registry::new();
        let traffic = Traffic::register(&registry);
        let many: Vec<Arc<str>> = (0..MOST_TOOLS + 50).map(|n| format!("t{n}").into()).collect();
        traffic.serve(many.iter());
        many.iter().for_each(|tool| traffic.count(&seen(Some(tool), "ok")));
        let shown = text(&registry);
        let lines = shown.lines().filter(|line| line.starts_with("mcp_server_requests_total")).count();
        assert_eq!(lines, MOST_TOOLS + 1);
        assert!(shown.contains(r#"tool="_OTHER"} 50"#), "{shown}");
        traffic.serve(many[MOST_TOOLS..].iter());
        assert!(!text(&registry).contains("_OTHER"), "there is room for them now");
    }
}
