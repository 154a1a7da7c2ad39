//! Secrets that requests carry. A file is looked at again after a while, for a mounted Secret changes under a running
//! server; while it cannot be read, the last good value stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_server_config::SecretRef;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::environment::Environment;
use crate::reload::chain;
use crate::secret;

/// For how long a value is taken for the right one.
const FRESH: Duration = Duration::from_secs(5);
/// For how long a value is used whose file can no longer be read.
const LAST_GOOD: Duration = Duration::from_secs(600);

/// The secrets of declared tools.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    environment: Environment,
    read: Mutex<HashMap<String, Read>>,
}

#[derive(Clone, Debug)]
struct Read {
    value: Arc<SecretString>,
    at: Instant,
}

impl Secrets {
    pub(crate) fn new(environment: Environment) -> Self {
        Self { environment, read: Mutex::default() }
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The secret that `reference` leads to, without line breaks at its end.
    ///
    /// # Errors
    /// With a sentence for the log.
    pub(super) async fn get(&self, reference: &SecretRef) -> Result<Arc<SecretString>, String> {
        let Some(file) = &reference.file else {
            return secret::read(reference, &self.environment).map(trimmed).map_err(|error| chain(&error));
        };
        let known = self.lock().get(file).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < FRESH) {
            return Ok(known.value.clone());
        }
        let (wanted, environment) = (reference.clone(), self.environment.clone());
        // Reading may hang where the file is far away.
        let read = tokio::task::spawn_blocking(move || secret::read(&wanted, &environment)).await;
        match (read.map_err(|error| error.to_string()), known) {
            (Ok(Ok(value)), _) => {
                let value = trimmed(value);
                self.lock().insert(file.clone(), Read { value: value.clone(), at: Instant::now() });
                Ok(value)
            }
            (_, Some(known)) if known.at.elapsed() < LAST_GOOD => Ok(known.value),
            (Ok(Err(error)), _) => Err(chain(&error)),
            (Err(error), _) => Err(error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Read>> {
        // Nothing panics while it is held.
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn trimmed(secret: SecretString) -> Arc<SecretString> {
    let text = secret.expose_secret();
    let trimmed = text.trim_end_matches(['\n', '\r']);
    Arc::new(if trimmed.len() == text.len() { secret } else { trimmed.into() })
}
