//! A server for the Model Context Protocol.
//!
//! Bytes come in by a door ([`http`] or [`stdio`]), [`protocol`] says what they mean, [`dispatch`] decides what happens
//! to them, and a [`backend`] does the work. [`app`] starts and stops all of it in order.

mod address;
pub mod admin;
pub mod app;
pub mod args;
pub mod auth;
pub mod backend;
pub mod cache;
pub mod client;
pub mod commands;
pub mod dispatch;
pub mod environment;
pub mod http;
pub(crate) mod human;
mod interval;
pub mod lifecycle;
pub mod limit;
pub mod live;
pub mod memory;
pub mod observe;
pub mod outbound;
pub mod protocol;
pub mod redis;
pub mod reload;
pub mod runtime;
pub mod secret;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod state_keys;
pub mod status;
pub mod stdio;
pub mod termination;
pub mod tool;
pub mod troubles;

pub use server::Server;
