//! A key where there is none: made once, kept in a private file, told once.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use mcp_server_config::{AuthMode, ServerConfig};

use crate::auth::keyring::Key;
use crate::auth::keys_file::{self, DEFAULT_ID, KeysError};
use crate::auth::places::Places;
use crate::auth::private_file::{EditError, edit};
use crate::auth::source::Found;
use crate::environment::Environment;

/// Why there is no key and none can be made. Each message ends with the next step.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error(
        "authentication is required and there are no API keys; in a cluster they come from a Secret: \
         mount it and set auth.apiKeys.file, or set auth.mode to Disabled to let everybody in"
    )]
    InCluster,
    #[error(
        "authentication is required, there are no API keys, and a generated one cannot be stored in {}; \
         set MCP_API_KEY, point auth.apiKeys.file to a file of keys, or set auth.mode to Disabled to let everybody in",
        path.display()
    )]
    Store { path: PathBuf, source: EditError },
    #[error(
        "authentication is required, there are no API keys, and neither HOME nor XDG_STATE_HOME says where to store \
         one; set MCP_API_KEY, or point auth.apiKeys.file to a file"
    )]
    Nowhere,
    #[error("the API keys in {} cannot be used", path.display())]
    Kept { path: PathBuf, source: KeysError },
}

/// A key that was made up, or found where an earlier start had left it.
#[derive(Debug)]
pub struct Generated {
    pub keys: Vec<Key>,
    pub file: PathBuf,
    /// The key in clear, where it is new and has to be told.
    pub told: Option<String>,
}

/// Whether a key has to be made: keys are required and nothing in the configuration holds one.
#[must_use]
pub fn needed(config: &ServerConfig, found: &Found) -> bool {
    let nothing_given = config.service.auth.api_keys.is_none() && config.process.auth.api_key.is_none();
    config.service.auth.mode() == AuthMode::Required
        // Whoever has tokens needs no key, unless one is asked for.
        && (config.service.auth.oauth2.is_none() || found.missing_file.is_some())
        && found.keys.is_empty()
        // A missing file that comes as far as this is one that is made.
        && (nothing_given || found.missing_file.is_some() || found.needs_cluster)
}

/// Makes a key for the server at `address` and stores it: in the file that the configuration names, else among the
/// state of this user. One that is there already is used again.
///
/// # Errors
/// Inside a cluster, and where it cannot be stored.
pub fn generate(
    address: SocketAddr,
    found: &Found,
    environment: &Environment,
) -> Result<Generated, GenerateError> {
    if environment.in_cluster() {
        return Err(GenerateError::InCluster);
    }
    let file = match &found.missing_file {
        Some(file) => file.clone(),
        None => Places::find(environment).ok_or(GenerateError::Nowhere)?.generated_key(address),
    };
    if let Some(keys) = kept(&file)? {
        return Ok(Generated { keys, file, told: None });
    }
    let key = random_key();
    match edit(&file, |text| match text {
        None => Ok(keys_file::render(DEFAULT_ID, &key)),
        Some(text) => Err(NotMade::Kept(text.to_owned())),
    }) {
        Ok(()) => Ok(Generated { keys: vec![Key::new(DEFAULT_ID, key.clone())], file, told: Some(key) }),
        // Another server that was started at the same time was quicker.
        Err(NotMade::Kept(text)) => Ok(Generated { keys: parse(&file, &text)?, file, told: None }),
        Err(NotMade::Store(source)) => Err(GenerateError::Store { path: file, source }),
    }
}

/// Why no file was made.
enum NotMade {
    /// There is one, with this text.
    Kept(String),
    Store(EditError),
}

impl From<EditError> for NotMade {
    fn from(error: EditError) -> Self {
        Self::Store(error)
    }
}

fn kept(file: &Path) -> Result<Option<Vec<Key>>, GenerateError> {
    match std::fs::read_to_string(file) {
        Ok(text) => parse(file, &text).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => {
            let source = EditError::Read { path: file.to_owned(), source };
            Err(GenerateError::Store { path: file.to_owned(), source })
        }
    }
}

fn parse(file: &Path, text: &str) -> Result<Vec<Key>, GenerateError> {
    keys_file::parse(text).map_err(|source| GenerateError::Kept { path: file.to_owned(), source })
}

/// 256 random bits in base64url.
pub(super) fn random_key() -> String {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has randomness");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_and_found_again() {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment::from([("HOME", home.path().to_str().unwrap())]);
        let address = "127.0.0.1:8080".parse().unwrap();
        let first = generate(address, &Found::default(), &environment).unwrap();
        assert_eq!(first.told.as_ref().unwrap().len(), 43);
        assert!(first.file.ends_with(".local/state/mcp-server/127.0.0.1-8080.json"), "{:?}", first.file);
        let second = generate(address, &Found::default(), &environment).unwrap();
        assert!(second.told.is_none() && second.keys.len() == 1 && second.file == first.file);
    }

    #[test]
    fn servers_that_start_at_the_same_time_share_one_key() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("config/api_keys.json");
        let made: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                let found = Found { missing_file: Some(file.clone()), ..Found::default() };
                generate("127.0.0.1:1".parse().unwrap(), &found, &Environment::default()).unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|made| made.told.is_some()).count(), 1, "the key is told once");
        assert!(made.iter().all(|one| one.keys[0].fingerprint == made[0].keys[0].fingerprint));
    }

    #[test]
    fn goes_where_the_configuration_says() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("config/api_keys.json");
        let found = Found { missing_file: Some(file.clone()), ..Found::default() };
        let made = generate("127.0.0.1:1".parse().unwrap(), &found, &Environment::default()).unwrap();
        assert_eq!(made.file, file);
        assert!(keys_file::parse(&std::fs::read_to_string(file).unwrap()).is_ok());
    }

    #[test]
    fn never_opens_silently() {
        let address = "127.0.0.1:1".parse().unwrap();
        let nowhere = generate(address, &Found::default(), &Environment::default());
        assert!(matches!(nowhere, Err(GenerateError::Nowhere)));
        let cluster = Environment::from([("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("HOME", "/")]);
        assert!(matches!(generate(address, &Found::default(), &cluster), Err(GenerateError::InCluster)));
        let found = Found { missing_file: Some("/proc/keys.json".into()), ..Found::default() };
        let read_only = generate(address, &found, &Environment::default());
        assert!(matches!(read_only, Err(GenerateError::Store { .. })));
    }
}
