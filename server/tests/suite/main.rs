//! The server as clients see it, over real sockets and pipes. One binary, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod auth;
mod cache;
mod commands;
mod docs;
#[path = "../../examples/everything/fixtures.rs"]
mod fixtures;
mod harness;
mod hostile_host;
mod hostile_http2;
mod hostile_ids;
mod hostile_json;
mod hostile_size;
mod hostile_slow;
mod hostile_smuggling;
mod hostile_target;
mod legacy;
mod library;
mod limits;
mod logging;
mod modern;
mod outbound;
mod process;
mod properties;
mod queue;
mod rate;
#[path = "../../src/redis/testing.rs"]
#[allow(dead_code, reason = "shared with the unit tests, which use the rest")]
mod redis_server;
mod reload;
mod security;
mod shutdown;
mod stdio;
mod upstream;
