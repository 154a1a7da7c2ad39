//! The parts of which a snapshot is made, and the one place that puts a new one in force.

use std::sync::{Arc, Mutex, PoisonError};

use mcp_server_config::ServerConfig;

use crate::auth::access::Access;
use crate::dispatch::Dispatcher;
use crate::dispatch::snapshot::Snapshot;

/// Settings and credentials in force.
#[derive(Clone, Debug)]
pub struct Parts {
    pub config: Arc<ServerConfig>,
    pub access: Access,
}

/// What serves, and what it serves.
#[derive(Debug)]
pub struct Live {
    dispatcher: Arc<Dispatcher>,
    parts: Mutex<Parts>,
}

impl Live {
    #[must_use]
    pub fn new(dispatcher: Arc<Dispatcher>, parts: Parts) -> Self {
        Self { dispatcher, parts: Mutex::new(parts) }
    }

    #[must_use]
    pub fn parts(&self) -> Parts {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[must_use]
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// Changes a part and puts the whole in force, together with the tools that there are now.
    pub fn change(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        let catalogue = self.dispatcher.backend().catalogue();
        let catalogue = catalogue.borrow().clone();
        let snapshot = Snapshot::with_access(parts.config.clone(), parts.access.clone(), &catalogue);
        self.dispatcher.replace(snapshot);
    }

    /// Follows the backend's list of tools for as long as there is a backend.
    pub async fn follow_catalogue(self: Arc<Self>) {
        let mut catalogue = self.dispatcher.backend().catalogue();
        while catalogue.changed().await.is_ok() {
            catalogue.borrow_and_update();
            self.change(|_| {});
        }
    }
}
