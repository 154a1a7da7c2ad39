//! Where keys come from: the references in the configuration, followed.

use std::io;
use std::path::{Path, PathBuf};

use mcp_server_config::{SecretRef, ServerConfig};
use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::keyring::Key;
use crate::auth::keys_file::{self, KeysError};
use crate::environment::Environment;
use crate::secret::{self, SecretError};

/// Why keys could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot read the API keys in {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the API keys in {place} cannot be used")]
    Keys { place: String, source: KeysError },
    #[error("the environment variable {0}, which should hold API keys, is not set")]
    NoVariable(String),
    #[error("auth.oauth2.introspection.clientSecret cannot be had")]
    ClientSecret(#[source] SecretError),
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub keys: Vec<Key>,
    /// How many keys the file holds in clear.
    pub plain: usize,
    /// Where `auth.apiKeys` points to a file that does not exist.
    pub missing_file: Option<PathBuf>,
    /// A Secret of a cluster was named, and this is none.
    pub needs_cluster: bool,
}

/// The file that `auth.apiKeys` points to.
#[must_use]
pub fn file(config: &ServerConfig) -> Option<&Path> {
    config.service.auth.api_keys.as_ref()?.file.as_deref().map(Path::new)
}

/// Reads every key that the configuration refers to.
///
/// # Errors
/// Where one is there and cannot be read. A file that does not exist is no error here.
pub fn read(config: &ServerConfig, environment: &Environment) -> Result<Found, SourceError> {
    let mut found = Found::default();
    for secret in [&config.service.auth.api_keys, &config.process.auth.api_key].into_iter().flatten() {
        match follow(secret, environment)? {
            Followed::Keys(keys) => {
                if secret.file.is_some() {
                    found.plain += keys.iter().filter(|key| key.plain.is_some()).count();
                }
                keys.into_iter().for_each(|key| add(&mut found.keys, key));
            }
            Followed::NoFile(path) => found.missing_file = Some(path),
            Followed::NeedsCluster => found.needs_cluster = true,
        }
    }
    Ok(found)
}

/// The secret with which the server asks about tokens, where it does.
///
/// # Errors
/// Where it is not at the place that the configuration names.
pub fn client_secret(
    config: &ServerConfig,
    environment: &Environment,
) -> Result<Option<SecretString>, SourceError> {
    let oauth2 = config.service.auth.oauth2.as_ref();
    let introspection = oauth2.and_then(|oauth2| oauth2.introspection.as_ref());
    let reference = introspection.and_then(|introspection| introspection.client_secret.as_ref());
    let secret = reference.map(|reference| secret::read(reference, environment)).transpose();
    let secret = secret.map_err(SourceError::ClientSecret)?;
    // Whoever writes a secret into a file ends the line; no secret ends so.
    Ok(secret
        .map(|secret| SecretString::from(secret.expose_secret().trim_end_matches(['\r', '\n']).to_owned())))
}

/// A key that is given twice, in the file and by itself, is one key.
fn add(keys: &mut Vec<Key>, key: Key) {
    if !keys.iter().any(|other| other.fingerprint == key.fingerprint) {
        keys.push(key);
    }
}

enum Followed {
    Keys(Vec<Key>),
    NoFile(PathBuf),
    NeedsCluster,
}

fn follow(secret: &SecretRef, environment: &Environment) -> Result<Followed, SourceError> {
    let (text, place) = if let Some(file) = &secret.file {
        match std::fs::read_to_string(file) {
            Ok(text) => (text, file.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Followed::NoFile(file.into()));
            }
            Err(source) => return Err(SourceError::Read { path: file.into(), source }),
        }
    } else if let Some(name) = &secret.env {
        let text = environment.get(name).ok_or_else(|| SourceError::NoVariable(name.clone()))?;
        (text.to_owned(), format!("the environment variable {name}"))
    } else if let Some(literal) = &secret.value {
        (literal.expose().to_owned(), "the configuration".to_owned())
    } else {
        return Ok(Followed::NeedsCluster);
    };
    let keys = keys_file::parse(&text).map_err(|source| SourceError::Keys { place, source })?;
    Ok(Followed::Keys(keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_server_config::Literal;

    #[test]
    fn follows_every_kind_of_reference() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        std::fs::write(&path, keys_file::render("ci", "key-of-ci")).unwrap();
        let environment = Environment::from([("MCP_API_KEY", "key-of-env")]);
        let mut config = ServerConfig::default();
        config.service.auth.api_keys = Some(SecretRef::from_file(path.to_str().unwrap()));
        config.process.auth.api_key = Some(SecretRef::from_env("MCP_API_KEY"));
        let ids = |found: Found| found.keys.into_iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(ids(read(&config, &environment).unwrap()), ["ci", "default"]);

        let literal = SecretRef { value: Some(Literal::new("key-of-ci")), ..SecretRef::default() };
        config.process.auth.api_key = Some(literal);
        assert_eq!(ids(read(&config, &environment).unwrap()), ["ci"], "the same key twice");

        config.process.auth.api_key = Some(SecretRef::from_env("ELSEWHERE"));
        assert!(matches!(read(&config, &environment), Err(SourceError::NoVariable(_))));

        std::fs::remove_file(&path).unwrap();
        config.process.auth.api_key = None;
        assert_eq!(read(&config, &environment).unwrap().missing_file, Some(path));
    }
}
