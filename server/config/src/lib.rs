//! The configuration of an MCP server, declared once.
//!
//! [`ServiceConfig`] says what the service does; the `McpServer` resource embeds it as `spec.config`.
//! [`ProcessConfig`] is what only a process is told: addresses, files, what the operator worked out.
//! [`ServerConfig`] is both, in one flat document: the file `production.json`.
//!
//! This crate does no input or output: text comes in, values and text go out.

pub mod auth;
pub mod auth_rules;
pub mod cache;
pub mod compat;
#[cfg(feature = "compile")]
pub mod compile;
pub mod constants;
pub mod convert;
pub mod duration;
pub mod env;
pub mod glob;
pub mod health;
pub mod http;
pub mod load;
pub mod locate;
pub mod logging;
pub mod metrics;
pub mod oauth;
pub mod outbound;
pub mod path;
pub mod performance;
pub mod prompts;
pub mod quantity;
pub mod rate_limit;
pub mod redis;
pub mod render;
pub mod resources;
pub mod restart;
pub mod schema;
pub mod secret;
mod secrets;
mod server;
pub mod shutdown;
pub mod text_format;
pub mod tools;
pub mod uri_template;
pub mod validate;

pub use auth::{Auth, AuthMode, AuthProcess};
pub use auth_rules::{ClaimMatch, Rule};
pub use cache::{Cache, CacheMode, Sharing, Store, ToolCache};
pub use duration::Duration;
pub use health::{HealthCheck, HealthChecks};
pub use http::{AddressHosts, Http, HttpProcess};
pub use load::{Document, LoadError, Origin, UnknownKey, load};
pub use logging::{
    LevelNames, LogFile, LogFormat, LogLevel, LoggedArguments, Logging, LoggingProcess, RequestLogMode,
    RequestLogging, UnknownLevel,
};
pub use metrics::{Metrics, MetricsMode, Otlp, PushGateway};
pub use oauth::{Introspection, OAuth2, SignatureAlgorithm};
pub use outbound::Outbound;
pub use path::Path;
pub use performance::{Batching, BatchingMode, Performance, Shedding};
pub use prompts::{Prompt, PromptArgument, PromptMessage, Role};
pub use quantity::ByteSize;
pub use rate_limit::{OnStoreLoss, RateLimit, RateLimitMode, Refusal, ToolRateLimit};
pub use redis::Redis;
pub use render::{config_hash, render, render_yaml, sha256};
pub use resources::{FileResource, Resource, ResourceTemplate, TemplateVariable};
pub use restart::{needs_restart, restart_hash, restart_settings};
pub use secret::{Literal, SecretKeyRef, SecretRef};
pub use server::{ProcessConfig, ServerConfig, ServiceConfig};
pub use shutdown::Shutdown;
pub use text_format::TextFormat;
pub use tools::{CommandTool, HttpTool, Tool, ToolAnnotations};
pub use validate::{Violation, validate, validate_service};

/// True where a section holds nothing that a user set: such a section is left out of what is rendered.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
