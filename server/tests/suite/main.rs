//! The server as clients see it, over real sockets and pipes. One binary, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]
#![allow(clippy::needless_pass_by_value, reason = "a value is passed as it is written down: json!({…})")]
#![allow(clippy::print_stdout, reason = "what was seen under attack is worth reading where a test fails")]

mod auth;
mod cache;
mod classic;
mod classic_document;
mod collector;
mod command_tools;
mod commands;
mod connections;
mod declared;
mod docs;
#[path = "../../examples/everything/fixtures.rs"]
mod fixtures;
mod harness;
mod health;
mod hostile_host;
mod hostile_http2;
mod hostile_ids;
mod hostile_json;
mod hostile_size;
mod hostile_slow;
mod hostile_smuggling;
mod hostile_target;
mod http_batches;
mod http_tools;
mod idp;
mod legacy;
mod library;
mod limits;
mod logging;
mod mistakes;
mod modern;
mod oauth;
mod outbound;
mod peers;
mod process;
mod properties;
mod queue;
mod rate;
#[path = "../../src/redis/testing.rs"]
#[allow(dead_code, reason = "shared with the unit tests, which use the rest")]
mod redis_server;
mod redis_tls;
mod refusals;
mod reload;
mod security;
mod shutdown;
mod silence;
mod states;
mod stdio;
mod telemetry;
mod timing;
mod tool_arguments;
mod tool_results;
mod upstream;
