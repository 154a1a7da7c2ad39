//! The operator: turns McpServer resources into Deployments, ConfigMaps, Services and their companions, and keeps them true.
//!
//! Everything that decides is in `mcp-desired`, which cannot see a cluster. This crate watches, calls it, and writes what it says:
//! [`reconcile`] is the reading order, [`controller`] the wiring, [`operator`] the whole without a process around it.

pub mod admin;
pub mod app;
pub mod args;
pub mod backoff;
pub mod by_uid;
pub mod cache;
pub mod client;
pub mod context;
pub mod controller;
pub mod ending;
pub mod error;
pub mod events;
pub mod gauges;
pub mod guard;
pub mod holders;
pub mod labels;
pub mod metrics;
pub mod object;
pub mod operator;
pub mod pods;
pub mod random;
pub mod readiness;
pub mod reconcile;
pub mod render;
pub mod reports;
pub mod shutdown;
pub mod starting;
pub mod telemetry;
pub mod trim;
pub mod watch;
