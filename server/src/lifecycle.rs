//! Where the process is between start and stop.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use http::{Response, StatusCode};

use crate::http::body::Payload;
use crate::http::plain;

/// The stages of a process, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    Starting,
    Ready,
    /// Told to stop: still answering, no longer asking for more.
    Draining,
}

/// Where the process is. Stages only go forward.
#[derive(Debug)]
pub struct Lifecycle {
    stage: AtomicU8,
    started: Instant,
}

impl Lifecycle {
    #[must_use]
    pub fn new() -> Self {
        Self { stage: AtomicU8::new(Stage::Starting as u8), started: Instant::now() }
    }

    pub fn enter(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == Stage::Ready as u8
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == Stage::Draining as u8
    }

    #[must_use]
    pub fn uptime(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// Liveness: the process answers, whatever else is wrong.
    #[must_use]
    pub fn health(&self) -> Response<Payload> {
        plain(StatusCode::OK, "ok\n")
    }

    /// Readiness: requests are welcome.
    #[must_use]
    pub fn readiness(&self) -> Response<Payload> {
        if self.is_ready() {
            return plain(StatusCode::OK, "ready\n");
        }
        let word = if self.is_draining() { "stopping\n" } else { "starting\n" };
        plain(StatusCode::SERVICE_UNAVAILABLE, word)
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}
