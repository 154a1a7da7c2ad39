//! Names, ports and paths that the operator, the server and the charts agree on.

/// File name of the configuration, and the key of the ConfigMap that holds it.
pub const CONFIG_FILE: &str = "production.json";
/// Directory in the container where the configuration is mounted.
pub const CONFIG_DIR: &str = "/app/config";
/// Directory in the container where the API keys are mounted.
pub const API_KEYS_DIR: &str = "/app/secrets/api-keys";
/// Name of the keys file, and the default key of a Secret that holds API keys.
pub const API_KEYS_FILE: &str = "keys.json";
/// Directory in the container where every other secret is mounted, as `<Secret>/<key>`.
pub const SECRETS_DIR: &str = "/app/secrets/refs";

/// Container port that speaks MCP, and its name.
pub const MCP_PORT: u16 = 8080;
pub const MCP_PORT_NAME: &str = "mcp";
/// Container port for health, readiness, metrics and status, and its name.
pub const ADMIN_PORT: u16 = 9090;
pub const ADMIN_PORT_NAME: &str = "admin";

/// Path of the MCP endpoint.
pub const MCP_PATH: &str = "/mcp";
/// Liveness: the process answers. Never depends on anything outside the process.
pub const HEALTH_PATH: &str = "/health";
/// Readiness: MCP requests are answered.
pub const READY_PATH: &str = "/ready";
/// Metrics in the Prometheus text format.
pub const METRICS_PATH: &str = "/metrics";
/// What of the server fails, as JSON; asked with `since` and `wait`, it answers when that changes.
pub const TROUBLES_PATH: &str = "/troubles";
/// Everything the server knows of itself, as JSON.
pub const STATUS_PATH: &str = "/status";

/// Name of a server that was given none.
pub const DEFAULT_SERVER_NAME: &str = "production-mcp-server";
/// Version of a server that was given none.
pub const DEFAULT_SERVER_VERSION: &str = "1.0.0";

/// The most declared tools in one server.
pub const MAX_TOOLS: usize = 128;
