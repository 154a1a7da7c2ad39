//! The whole operator against an API server in memory: what it costs, what it survives, and what it leaves alone.
//!
//! Time is simulated: waits pass at once when nothing else is to be done.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod complaints;
mod contention;
mod cost;
mod fake;
mod faults;
mod http;
mod invalid;
mod keys;
mod merge;
mod ownership;
mod reports;
mod wishes;
mod world;
