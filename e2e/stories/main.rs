//! Stories: each is named for what a user would notice, and told on a real cluster with real pods.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests may, and clippy knows only marked functions as tests"
)]

mod calls;
mod drift;
mod edits;
mod quiet;
mod refusals;
mod trouble;
