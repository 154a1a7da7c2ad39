//! What the server tells of itself: log, metrics, the state of the process.

pub mod health;
pub mod latency;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod queues;
pub mod recent;
pub mod redact;
pub mod requests;
pub mod scrub;
pub mod summary;
pub mod telemetry;
pub mod trace;
pub mod traffic;
