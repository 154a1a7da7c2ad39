//! Finding the API key to call with, so that nobody has to copy one on their own machine.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::app::StartError;
use crate::auth::keyring::Key;
use crate::auth::keys_file::{self, KeysError};
use crate::auth::places::Places;
use crate::auth::source::{self, SourceError};
use crate::client::http::Url;
use crate::environment::Environment;
use crate::settings::{Flags, Refused, Sources};

/// Why a key that was pointed to cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(transparent)]
    Config(#[from] StartError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("the API keys in {} cannot be used", path.display())]
    Keys { path: PathBuf, source: KeysError },
}

/// The key to call `url` with: the given one, that of the environment, that of a configuration, or that of the server
/// that was started on this machine. None where there is none: the server may need none.
///
/// # Errors
/// Where a configuration was named and its keys cannot be read.
pub fn find(
    given: Option<&str>,
    config: Option<&Path>,
    url: &Url,
    environment: &Environment,
) -> Result<Option<SecretString>, FindError> {
    if let Some(key) = given.or_else(|| environment.get("MCP_API_KEY")) {
        // The variable may hold a whole file of keys, as the server's may.
        let keys = keys_file::parse(key).unwrap_or_default();
        return Ok(first(keys).or_else(|| Some(SecretString::from(key.trim().to_owned()))));
    }
    if let Some(config) = config {
        let sources = Sources {
            file: Some(config.to_owned()),
            environment: environment.clone(),
            // Nothing is run here.
            flags: Flags { allow_commands: true, ..Flags::default() },
            ..Sources::default()
        };
        let text = sources.read().map_err(|source| StartError::Read { name: sources.name(), source })?;
        let loaded = sources.load(&text)?;
        let found = source::read(&loaded.config, environment)?;
        // Of a key that is kept as a digest, nothing can be sent.
        if let Some(key) = first(found.keys) {
            return Ok(Some(key));
        }
    }
    let Some(record) = Places::find(environment).and_then(|places| places.recall(url.host(), url.port()))
    else {
        return Ok(None);
    };
    // The server that left it may be gone, and its keys with it.
    let Ok(text) = std::fs::read_to_string(&record.keys_file) else { return Ok(None) };
    let keys = keys_file::parse(&text)
        .map_err(|source| FindError::Keys { path: record.keys_file.clone(), source })?;
    Ok(first(keys))
}

fn first(keys: Vec<Key>) -> Option<SecretString> {
    keys.into_iter().find_map(|key| key.plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::places::ServerRecord;
    use secrecy::ExposeSecret as _;

    #[test]
    fn the_nearest_key_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let keys_file = home.path().join("keys.json");
        std::fs::write(&keys_file, keys_file::render("x", "of-record")).unwrap();
        let config = home.path().join("config.json");
        std::fs::write(&config, r#"{"auth":{"apiKey":{"value":"of-config"}}}"#).unwrap();
        let plain = Environment::from([("HOME", home.path().to_str().unwrap())]);
        let with_variable =
            Environment::from([("HOME", home.path().to_str().unwrap()), ("MCP_API_KEY", "of-env")]);
        let url = Url::parse("http://127.0.0.1:8080/mcp").unwrap();
        let find = |given, config, environment| {
            find(given, config, &url, environment).unwrap().map(|key| key.expose_secret().to_owned())
        };
        assert_eq!(find(None, None, &plain), None);
        let record = ServerRecord { url: url.to_string(), keys_file };
        Places::find(&plain).unwrap().remember("127.0.0.1:8080".parse().unwrap(), &record).unwrap();
        assert_eq!(find(None, None, &plain).as_deref(), Some("of-record"));
        assert_eq!(find(None, Some(&config), &plain).as_deref(), Some("of-config"));
        assert_eq!(find(None, Some(&config), &with_variable).as_deref(), Some("of-env"));
        assert_eq!(find(Some("given"), Some(&config), &with_variable).as_deref(), Some("given"));
    }
}
