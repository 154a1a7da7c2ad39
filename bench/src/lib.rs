//! Measures the server beside the official Rust SDK and beside a server that does nothing, in one run on one machine.
//!
//! Rates depend on the machine; what carries over are ratios and the processor time of a call. Every answer is checked,
//! and a run in which the load generator was the bottleneck does not count.

pub mod dispatch;
pub mod goals;
pub mod histogram;
pub mod instructions;
pub mod load;
pub mod machine;
pub mod plan;
pub mod plot;
pub mod report;
pub mod servers;
pub mod wire;
