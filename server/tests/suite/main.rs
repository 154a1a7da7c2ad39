//! The server as clients see it, over real sockets and pipes. One binary, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod auth;
mod commands;
mod harness;
mod legacy;
mod limits;
mod modern;
mod process;
mod reload;
mod security;
mod shutdown;
mod stdio;
