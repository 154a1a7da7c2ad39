//! What the server tells of itself: log, metrics, the state of the process.

pub mod logs;
pub mod metrics;
pub mod process;
pub mod summary;
