//! Counters and gauges, in the names that Prometheus users expect. Labels come from closed lists: methods we know, tools
//! we serve, outcomes we decide. Never a caller's own words.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::observe::process;

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub requests: IntCounterVec,
    pub duration: HistogramVec,
    pub in_flight: IntGauge,
    pub connections: IntGauge,
    pub connections_total: IntCounter,
    pub auth_failures: IntCounterVec,
    pub tool_panics: IntCounter,
    pub reloads: IntCounterVec,
    pub last_reload_ok: IntGauge,
    pub last_reload_time: Gauge,
    pub tools: IntGauge,
    pub ready: IntGauge,
    resident: IntGauge,
    open_fds: IntGauge,
    threads: IntGauge,
    cpu: Gauge,
}

/// Bounds of the duration histogram in seconds: from what a declared tool takes to the longest timeout.
const BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0];

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
            requests: counters(
                r,
                "mcp_server_requests_total",
                "Requests by method, tool, era of the protocol and outcome",
                &["method", "tool", "era", "outcome"],
            ),
            duration: {
                let opts = HistogramOpts::new(
                    "mcp_server_request_duration_seconds",
                    "Time from the head of a request to the last byte of its answer",
                );
                let histogram = HistogramVec::new(opts.buckets(BUCKETS.to_vec()), &["method"]).expect(NAMES);
                register(r, &histogram);
                histogram
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
            resident: gauge(r, "process_resident_memory_bytes", "Resident memory"),
            open_fds: gauge(r, "process_open_fds", "Open file descriptors"),
            threads: gauge(r, "process_threads", "Threads"),
            cpu: gauge_f(r, "process_cpu_seconds_total", "Processor time, user and system"),
            registry,
        }
    }

    /// The duration histogram of one method.
    #[must_use]
    pub fn duration_of(&self, method: &str) -> Histogram {
        self.duration.with_label_values(&[method])
    }

    /// Notes that a change of configuration or keys is in force.
    pub fn reloaded(&self) {
        self.last_reload_ok.set(1);
        self.last_reload_time.set(now());
    }

    /// All metrics in the text format of Prometheus.
    ///
    /// # Errors
    /// Where two metrics contradict each other, which registration rules out.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let process = process::sample();
        self.resident.set(clamp(process.resident_bytes));
        self.open_fds.set(clamp(process.open_fds));
        self.threads.set(clamp(process.threads));
        self.cpu.set(process.cpu_seconds);
        TextEncoder::new().encode_to_string(&self.registry.gather())
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

fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_under_the_names_that_users_expect() {
        let metrics = Metrics::new();
        metrics.requests.with_label_values(&["tools/call", "greet", "modern", "ok"]).inc();
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
