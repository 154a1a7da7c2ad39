//! What an `McpServer` should become, without any input or output: no client, no clock, no randomness.
//!
//! A reconcile reads `validate` → [`objects()`] → [`difference`] → [`status()`] → [`events()`]; what happens between
//! them (reading caches, applying) is the operator's. One Kubernetes kind a file; facts about the cluster, the time
//! and random bytes are arguments.

pub mod claim;
pub mod config_map;
pub mod contention;
pub mod deployment;
pub mod diff;
pub mod events;
pub mod fields;
#[cfg(test)]
mod fixtures;
pub mod foreign;
pub mod labels;
pub mod last_valid;
pub mod names;
pub mod notices;
pub mod objects;
pub mod observed;
mod pod;
mod probes;
pub mod quantity;
pub mod reason;
pub mod render;
pub mod secret;
pub mod service;
pub mod service_account;
pub mod status;
pub mod validate;

pub use contention::{Contention, ContentionReason, Decision, Reverts};
pub use diff::{Difference, difference, needs_apply};
pub use events::{Event, EventKind, events};
pub use last_valid::LastValid;
pub use names::Names;
pub use objects::{Change, ChangeKind, Objects, Settings, objects};
pub use observed::{Observed, PodReport, Taken, Trouble, Warning};
pub use reason::Reason;
pub use render::to_yaml;
pub use secret::ApiKeySecret;
pub use status::{Applied, Verdict, standing_back, status};
pub use validate::{ValidatedServer, validate};

pub use k8s_openapi::jiff::Timestamp;
pub use mcp_server_config::Violation;
