//! The keys in force: those that the configuration refers to, or a generated one.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use mcp_server_config::{AuthMode, ServerConfig};
use secrecy::SecretString;

use crate::auth::generate::{self, GenerateError};
use crate::auth::keyring::Key;
use crate::auth::places::{Places, ServerRecord};
use crate::auth::source::{self, Found, SourceError};
use crate::environment::{self, Environment};

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum ObtainError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Generate(#[from] GenerateError),
    #[error("{} does not exist; make it with `mcp-server keys --file {} add ID`, or correct auth.apiKeys.file", .0.display(), .0.display())]
    NoFile(PathBuf),
    #[error("{} does not exist; mount the Secret that holds the API keys there, or correct auth.apiKeys.file", .0.display())]
    NotMounted(PathBuf),
    #[error("the API keys file {} is gone; the keys that were in it stay valid until it is back or the server restarts", .0.display())]
    Gone(PathBuf),
}

/// What becomes of a keys file that is named and does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is an error: a mistyped name must not lock out everybody who has a key.
    Refused,
    /// It is made with a new key in it, as the classic server did.
    Made,
}

/// Where a server is reached, for whom a new key is shown to.
#[derive(Clone, Copy, Debug)]
pub struct Reached<'a> {
    pub address: SocketAddr,
    pub path: &'a str,
}

impl Reached<'_> {
    /// The URL for a program on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", environment::reachable(self.address), self.path)
    }
}

/// Keys and secrets.
#[derive(Debug, Default)]
pub struct Obtained {
    pub keys: Vec<Key>,
    /// The file that holds the keys, if one does.
    pub file: Option<PathBuf>,
    /// How many keys a file of the user's holds in clear.
    pub plain: usize,
    /// With what the server asks an authorization server about tokens.
    pub client_secret: Option<SecretString>,
}

impl Obtained {
    /// Says what could be kept more safely.
    pub fn warn(&self) {
        if let (Some(file), 1..) = (&self.file, self.plain) {
            tracing::warn!(
                file = %file.display(),
                keys = self.plain,
                "the file holds API keys in clear; `mcp-server keys add` stores only their SHA-256"
            );
        }
    }
}

/// Reads the keys, or makes one where one is required and nothing holds any.
///
/// # Errors
/// Where keys are referred to and cannot be read, or are required and cannot be made.
pub fn obtain(
    config: &ServerConfig,
    environment: &Environment,
    address: SocketAddr,
    missing: Missing,
) -> Result<Obtained, ObtainError> {
    if config.service.auth.mode() == AuthMode::Disabled {
        return Ok(Obtained::default());
    }
    let found = source::read(config, environment)?;
    if let Some(file) = found.missing_file.clone().filter(|_| missing == Missing::Refused) {
        return Err(match environment.in_cluster() {
            true => ObtainError::NotMounted(file),
            false => ObtainError::NoFile(file),
        });
    }
    let client_secret = source::client_secret(config, environment)?;
    if generate::needed(config, &found) {
        let made = generate::generate(address, &found, environment)?;
        match &made.told {
            Some(key) => {
                let reached = Reached { address, path: config.process.http.path() };
                tell(key, &made.file, &found, reached);
            }
            None => {
                tracing::info!(file = %made.file.display(), "using the API key that was generated before")
            }
        }
        return Ok(Obtained { keys: made.keys, file: Some(made.file), plain: 0, client_secret });
    }
    let file = source::file(config).filter(|file| file.exists()).map(PathBuf::from);
    if let Some(missing) = found.missing_file {
        tracing::warn!(file = %missing.display(), "the API keys file does not exist");
    }
    let required = config.service.auth.mode() == AuthMode::Required;
    if found.keys.is_empty() && required && config.service.auth.oauth2.is_none() {
        tracing::warn!("authentication is required and there are no API keys: every caller is refused");
    }
    Ok(Obtained { keys: found.keys, file, plain: found.plain, client_secret })
}

/// Reads the keys again after something changed. Nothing is made up while serving unless the configuration has come to
/// need it: a file that disappeared is an accident, and a new key would not be the one that callers have.
///
/// # Errors
/// As [`obtain`], and where the file is gone that held the keys until now.
pub fn obtain_again(
    config: &ServerConfig,
    environment: &Environment,
    address: SocketAddr,
    until_now: Option<&PathBuf>,
    missing: Missing,
) -> Result<Obtained, ObtainError> {
    match until_now {
        Some(file) if source::file(config) == Some(file) && !file.exists() => {
            Err(ObtainError::Gone(file.clone()))
        }
        _ => obtain(config, environment, address, missing),
    }
}

/// Says the key, once, where people look and logs are not collected from as data.
fn tell(key: &str, file: &std::path::Path, found: &Found, reached: Reached<'_>) {
    let why = if found.missing_file.is_some() {
        format!(
            "The file {} that auth.apiKeys names did not exist; it was made, with one key",
            file.display()
        )
    } else if found.needs_cluster {
        "The Secret that auth.apiKeys names is in a cluster, so a key was made".to_owned()
    } else {
        "No API keys were configured, so one was made".to_owned()
    };
    let text = format!(
        "\n{why}:\n\n    {key}\n\nClients send it to {} as `Authorization: Bearer <key>`.\n\
         It is kept in {} and not shown again. `mcp-server call` on this machine finds it by itself.\n\n",
        reached.url(),
        file.display()
    );
    if let Err(error) = io::stderr().write_all(text.as_bytes()) {
        tracing::warn!(%error, file = %file.display(), "a generated API key could not be shown; the file has it");
    }
}

/// Leaves word for `mcp-server call`. It is a convenience: where there is no place for it, the server runs all the same.
pub fn remember(address: SocketAddr, path: &str, file: &std::path::Path, environment: &Environment) {
    let Some(places) = Places::find(environment) else { return };
    let keys_file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let record = ServerRecord { url: format!("http://{address}{path}"), keys_file };
    if let Err(error) = places.remember(address, &record) {
        tracing::debug!(%error, "cannot leave word for `mcp-server call`");
    }
}
