//! The three views of the configuration: of the service, of the process, and both.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Auth, AuthProcess, Cache, FileResource, HealthChecks, Http, HttpProcess, Logging, Metrics, Outbound,
    Performance, Prompt, RateLimit, Redis, Resource, ResourceTemplate, SecretRef, Shutdown, Tool, constants,
    is_default, logging::LoggingProcess, schema::signed_formats,
};

/// What the service does. The resource embeds it as `spec.config`; nothing in its schema has a default, because a
/// stored default never moves again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schemars::transform::RecursiveTransform(signed_formats))]
pub struct ServiceConfig {
    /// Name under which the server presents itself to clients. Default: the name of the resource, or
    /// production-mcp-server outside a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub server_name: Option<String>,
    /// Version that the server presents to clients. Default: 1.0.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub server_version: Option<String>,
    /// How to use the server, for the model behind the client. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16384))]
    pub instructions: Option<String>,
    /// Name of the environment; it appears in the log and in /status. Default: none. Example: staging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub environment: Option<String>,
    /// What the HTTP endpoint accepts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub http: Http,
    /// Who may call, and how callers prove who they are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub auth: Auth,
    /// What is logged.
    #[serde(default, skip_serializing_if = "is_default")]
    pub logging: Logging,
    /// What is counted, and who is told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metrics: Metrics,
    /// What is checked, and how often.
    #[serde(default, skip_serializing_if = "is_default")]
    pub health: HealthChecks,
    /// How much work is done at once, and for how long.
    #[serde(default, skip_serializing_if = "is_default")]
    pub performance: Performance,
    /// How often one caller may ask.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rate_limit: RateLimit,
    /// The cache of answers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cache: Cache,
    /// The Redis server for what replicas share.
    #[serde(default, skip_serializing_if = "is_default")]
    pub redis: Redis,
    /// Keys for the state that a tool leaves with a client while it asks a question: the first one seals, all of them
    /// open; at most 8, each a secret of 32 characters or more. Servers that have them in common go on with each other's
    /// calls. Default: a key of its own for each process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub state_keys: Vec<SecretRef>,
    /// Where the server may connect to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub outbound: Outbound,
    /// Tools that the server answers by itself, in the order in which clients see them; at most 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub tools: Vec<Tool>,
    /// Prompts that the server offers, in the order in which clients see them; at most 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub prompts: Vec<Prompt>,
    /// Resources whose content stands here, in the order in which clients see them; at most 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["uri"])
    )]
    pub resources: Vec<Resource>,
    /// Families of resources, in the order in which clients see them; at most 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["uriTemplate"])
    )]
    pub resource_templates: Vec<ResourceTemplate>,
}

impl ServiceConfig {
    /// The name in force.
    #[must_use]
    pub fn server_name(&self) -> &str {
        self.server_name.as_deref().unwrap_or(constants::DEFAULT_SERVER_NAME)
    }

    /// The version in force.
    #[must_use]
    pub fn server_version(&self) -> &str {
        self.server_version.as_deref().unwrap_or(constants::DEFAULT_SERVER_VERSION)
    }
}

/// What only a process is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessConfig {
    #[serde(default, skip_serializing_if = "is_default")]
    pub http: HttpProcess,
    #[serde(default, skip_serializing_if = "is_default")]
    pub auth: AuthProcess,
    #[serde(default, skip_serializing_if = "is_default")]
    pub logging: LoggingProcess,
    #[serde(default, skip_serializing_if = "is_default")]
    pub shutdown: Shutdown,
    /// How many replicas of this server run: what one of them may let through of a shared limit while it cannot be
    /// shared. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Files and directories that clients can read as resources; at most 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub file_resources: Vec<FileResource>,
}

/// Everything a server is told; in a file, one flat document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerConfig {
    pub service: ServiceConfig,
    pub process: ProcessConfig,
}
