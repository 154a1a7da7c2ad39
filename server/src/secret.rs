//! Secrets, followed to where they are.

use std::io;
use std::path::PathBuf;

use mcp_server_config::SecretRef;
use secrecy::{ExposeSecret as _, SecretString};

use crate::environment::Environment;
use crate::observe::scrub;

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    #[error("it is in a Secret of a cluster, and was not mounted from there")]
    NotMounted,
}

/// Reads a secret, which the log does not show from then on.
///
/// # Errors
/// Where there is none at the place that the reference names.
pub fn read(reference: &SecretRef, environment: &Environment) -> Result<SecretString, SecretError> {
    follow(reference, environment).inspect(|secret| scrub::learn(secret.expose_secret()))
}

fn follow(reference: &SecretRef, environment: &Environment) -> Result<SecretString, SecretError> {
    if let Some(file) = &reference.file {
        let text = std::fs::read_to_string(file);
        return text.map(Into::into).map_err(|source| SecretError::Read { path: file.into(), source });
    }
    if let Some(name) = &reference.env {
        let text = environment.get(name).ok_or_else(|| SecretError::NoVariable(name.clone()))?;
        return Ok(text.into());
    }
    reference.value.as_ref().map(|literal| literal.expose().into()).ok_or(SecretError::NotMounted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_server_config::{Literal, SecretKeyRef};

    #[test]
    fn every_kind_of_reference() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("url");
        std::fs::write(&path, "of-file").unwrap();
        let environment = Environment::from([("REDIS_URL", "of-env")]);
        let read = |reference: &SecretRef| {
            read(reference, &environment).map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(read(&SecretRef::from_file(path.to_str().unwrap())).unwrap(), "of-file");
        assert_eq!(read(&SecretRef::from_env("REDIS_URL")).unwrap(), "of-env");
        let literal = SecretRef { value: Some(Literal::new("literal")), ..SecretRef::default() };
        assert_eq!(read(&literal).unwrap(), "literal");
        assert!(matches!(read(&SecretRef::from_env("OTHER")), Err(SecretError::NoVariable(_))));
        assert!(matches!(read(&SecretRef::from_file("/nowhere")), Err(SecretError::Read { .. })));
        let key = SecretKeyRef { name: "redis".into(), key: "url".into() };
        let of_cluster = SecretRef { secret_key_ref: Some(key), ..SecretRef::default() };
        assert!(matches!(read(&of_cluster), Err(SecretError::NotMounted)));
    }
}
