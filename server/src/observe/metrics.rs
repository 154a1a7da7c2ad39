//! Counters and gauges, in the names that Prometheus users expect. Labels come from closed lists: methods we know, tools
//! we serve, outcomes we decide. Never a caller's own words.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::proto::MetricFamily;
use prometheus::{
    Counter, Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::auth::metrics::AuthMetrics;
use crate::observe::process;
use crate::observe::trace::Tracer;
use crate::observe::traffic::Traffic;

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests by method, tool, era and outcome, and how long they took.
    pub traffic: Traffic,
    /// Makes spans of requests, where somebody wants them.
    pub tracer: Tracer,
    pub in_flight: IntGauge,
    pub connections: IntGauge,
    pub connections_total: IntCounter,
    pub auth_failures: IntCounterVec,
    pub auth: std::sync::Arc<AuthMetrics>,
    pub tool_panics: IntCounter,
    pub reloads: IntCounterVec,
    pub last_reload_ok: IntGauge,
    pub last_reload_time: Gauge,
    pub tools: IntGauge,
    pub ready: IntGauge,
    started: Instant,
    uptime_seconds: Gauge,
    resident: IntGauge,
    virtual_memory: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
    cpu: Counter,
}

const NAMES: &str = "metric names and labels are constants, and distinct";

impl Metrics {
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let r = &registry;
        let build = IntGaugeVec::new(
            Opts::new("mcp_server_build_info", "Version of this program; always 1"),
            &["version"],
        )
        .expect(NAMES);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        register(r, &build);
        gauge_f(r, "process_start_time_seconds", "Start time of the process since the epoch").set(now());
        Self {
            traffic: Traffic::register(r),
            tracer: {
                let dropped = IntCounter::new(
                    "mcp_server_spans_dropped_total",
                    "Spans of sampled requests that were not sent: too many waited, or the collector did not take them",
                )
                .expect(NAMES);
                register(r, &dropped);
                Tracer::new(dropped)
            },
            in_flight: gauge(r, "mcp_server_requests_in_flight", "Requests that are being answered"),
            connections: gauge(r, "mcp_server_connections", "Open connections to the MCP endpoint"),
            connections_total: {
                let counter = IntCounter::new(
                    "mcp_server_connections_total",
                    "Connections accepted by the MCP endpoint",
                )
                .expect(NAMES);
                register(r, &counter);
                counter
            },
            auth_failures: counters(
                r,
                "mcp_server_auth_failures_total",
                "Callers that were not let in, by reason",
                &["reason"],
            ),
            auth: std::sync::Arc::new(AuthMetrics::register(r)),
            tool_panics: {
                let counter =
                    IntCounter::new("mcp_server_tool_panics_total", "Calls in which a tool panicked")
                        .expect(NAMES);
                register(r, &counter);
                counter
            },
            reloads: counters(
                r,
                "mcp_server_config_reloads_total",
                "Changes of the configuration or the keys, by outcome",
                &["outcome"],
            ),
            last_reload_ok: gauge(
                r,
                "mcp_server_config_last_reload_successful",
                "1 where the last change of the configuration or the keys is in force, else 0",
            ),
            last_reload_time: gauge_f(
                r,
                "mcp_server_config_last_reload_success_timestamp_seconds",
                "When the configuration in force was loaded, since the epoch",
            ),
            tools: gauge(r, "mcp_server_tools", "Tools that are served"),
            ready: gauge(
                r,
                "mcp_server_ready",
                "1 where requests are answered, 0 while starting and stopping",
            ),
            started: Instant::now(),
            uptime_seconds: gauge_f(r, "mcp_server_uptime_seconds", "Time since the start"),
            resident: gauge(r, "process_resident_memory_bytes", "Resident memory"),
            virtual_memory: gauge(r, "process_virtual_memory_bytes", "Virtual memory"),
            open_fds: gauge(r, "process_open_fds", "Open file descriptors"),
            max_fds: gauge(r, "process_max_fds", "The most file descriptors that may be open"),
            threads: gauge(r, "process_threads", "Threads"),
            cpu: counter_f(r, "process_cpu_seconds_total", "Processor time, user and system"),
            registry,
        }
    }

    /// Where components register what they count themselves.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Notes that a change of configuration or keys is in force.
    pub fn reloaded(&self) {
        self.last_reload_ok.set(1);
        self.last_reload_time.set(now());
    }

    /// Time since the start.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// All metrics as they are now.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        let process = process::sample();
        self.uptime_seconds.set(self.uptime().as_secs_f64());
        self.resident.set(clamp(process.resident_bytes));
        self.virtual_memory.set(clamp(process.virtual_bytes));
        self.open_fds.set(clamp(process.open_fds));
        self.max_fds.set(clamp(process.max_fds));
        self.threads.set(clamp(process.threads));
        self.cpu.inc_by((process.cpu_seconds - self.cpu.get()).max(0.0));
        self.registry.gather()
    }

    /// All metrics in the text format of Prometheus.
    ///
    /// # Errors
    /// Where two metrics contradict each other, which registration rules out.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.gather())
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: &C) {
    registry.register(Box::new(metric.clone())).expect(NAMES);
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let counters = IntCounterVec::new(Opts::new(name, help), labels).expect(NAMES);
    register(registry, &counters);
    counters
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    let gauge = IntGauge::new(name, help).expect(NAMES);
    register(registry, &gauge);
    gauge
}

fn gauge_f(registry: &Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::new(name, help).expect(NAMES);
    register(registry, &gauge);
    gauge
}

fn counter_f(registry: &Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::new(name, help).expect(NAMES);
    register(registry, &counter);
    counter
}

fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::observe::traffic::Seen;

    #[test]
    fn renders_under_the_names_that_users_expect() {
        let metrics = Metrics::new();
        metrics.traffic.serve([Arc::from("greet")].iter());
        let took = std::time::Duration::from_millis(1);
        metrics.traffic.count(&Seen {
            method: "tools/call",
            tool: Some("greet"),
            era: "modern",
            outcome: "ok",
            took,
        });
        metrics.reloaded();
        let text = metrics.render().unwrap();
        for line in [
            r#"mcp_server_requests_total{era="modern",method="tools/call",outcome="ok",tool="greet"} 1"#,
            "mcp_server_config_last_reload_successful 1",
            "# TYPE mcp_server_requests_total counter",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
