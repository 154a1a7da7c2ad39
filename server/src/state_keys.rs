//! The keys for state that travels by way of clients, from where the configuration says that they are.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use mcp_server_config::ServiceConfig;
use secrecy::ExposeSecret as _;

use crate::environment::Environment;
use crate::secret::{self, SecretError};

/// The shortest secret, in bytes: whoever has a state can try to guess what it was sealed with.
const LEAST: usize = 32;
/// What the keys are for: the same secret used for something else gives other keys.
const PURPOSE: &[u8] = b"mcp-server requestState 1";

/// Why the keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateKeyError {
    #[error("the secret stateKeys[{index}] cannot be had")]
    Secret { index: usize, source: SecretError },
    #[error(
        "the secret stateKeys[{index}] has {length} characters, and could be guessed; give it {LEAST} random ones, \
         as `openssl rand -base64 32` prints them"
    )]
    Short { index: usize, length: usize },
}

/// Keys that servers have in common: the first one seals, all of them open. Empty where each has its own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StateKeys(Vec<[u8; 32]>);

impl StateKeys {
    /// Reads what the configuration refers to.
    ///
    /// # Errors
    /// Where one is not there, or too short.
    pub fn read(service: &ServiceConfig, environment: &Environment) -> Result<Self, StateKeyError> {
        let keys = service.state_keys.iter().enumerate().map(|(index, reference)| {
            let secret = secret::read(reference, environment);
            let secret = secret.map_err(|source| StateKeyError::Secret { index, source })?;
            // Whoever writes a secret into a file ends the line.
            let secret = secret.expose_secret().trim();
            match secret.len() {
                length if length < LEAST => Err(StateKeyError::Short { index, length }),
                _ => Ok(derived(secret)),
            }
        });
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// The keys themselves.
    #[must_use]
    pub fn expose(&self) -> &[[u8; 32]] {
        &self.0
    }
}

impl fmt::Debug for StateKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateKeys").field("count", &self.0.len()).finish()
    }
}

/// A key made of a secret of any length (HKDF, RFC 5869).
fn derived(secret: &str) -> [u8; 32] {
    let mut key = [0; 32];
    let made = Salt::new(HKDF_SHA256, &[]).extract(secret.as_bytes());
    made.expand(&[PURPOSE], HKDF_SHA256)
        .and_then(|made| made.fill(&mut key))
        .expect("the digest is as long as the key");
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_server_config::SecretRef;

    #[test]
    fn a_secret_is_read_and_makes_the_same_key_everywhere() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        let secret = "0123456789abcdef0123456789abcdef";
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let environment = Environment::from([("KEY", secret), ("SHORT", "canary-short")]);
        let read = |keys: Vec<SecretRef>| {
            StateKeys::read(&ServiceConfig { state_keys: keys, ..ServiceConfig::default() }, &environment)
        };
        let keys =
            read(vec![SecretRef::from_file(file.to_str().unwrap()), SecretRef::from_env("KEY")]).unwrap();
        let [one, two] = keys.expose() else { panic!("{keys:?}") };
        assert_eq!(one, two);
        assert_ne!(one, secret.as_bytes(), "what is used is made of it");
        assert_eq!(read(Vec::new()).unwrap(), StateKeys::default());
        let short = read(vec![SecretRef::from_env("KEY"), SecretRef::from_env("SHORT")]).unwrap_err();
        let told = short.to_string();
        assert!(told.contains("stateKeys[1] has 12 characters") && !told.contains("canary"), "{told}");
        let gone = read(vec![SecretRef::from_env("GONE")]).unwrap_err();
        assert!(matches!(gone, StateKeyError::Secret { index: 0, .. }));
    }
}
