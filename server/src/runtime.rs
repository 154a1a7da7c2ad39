//! Threads.

use std::io;
use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

/// More threads than this only wait for each other: what they do is small.
const MOST: usize = 32;

/// A runtime with a thread for each processor that this process may use. The standard library knows the CPU quota of
/// the cgroup, which is a container's CPU limit, and the processors that the process is bound to.
///
/// # Errors
/// Where threads cannot be started.
pub fn build() -> io::Result<Runtime> {
    let processors = available_parallelism().map_or(1, NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(processors.clamp(1, MOST))
        .max_blocking_threads(8)
        .thread_name("mcp-server")
        .enable_all()
        .build()
}
