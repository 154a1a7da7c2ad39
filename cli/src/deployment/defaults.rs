//! The environments that there are without a file.

use std::path::{Path, PathBuf};

use super::{Environment, Error, Target, folder};

/// Their names.
pub(super) const NAMES: [&str; 2] = ["production", "k8s"];

/// Where their configuration files are looked for; the first that exists counts.
const COMPOSE_FILES: &[&str] =
    &["deploy/compose/docker-compose.yaml", "docker-compose.yml", "docker-compose.yaml", "compose.yaml"];
const MANIFESTS: &[&str] = &["k8s/deployment.yaml", "k8s", "examples/hello.yaml"];

/// The namespace of `k8s`.
const NAMESPACE: &str = "mcp-production";

pub(super) fn read(name: &str) -> Result<Environment, Error> {
    let (files, target) = match name {
        "production" => (COMPOSE_FILES, Target::Compose),
        "k8s" => (MANIFESTS, Target::Kubernetes { namespace: NAMESPACE.to_owned(), context: None }),
        _ => return Err(Error::UnknownDefault { name: name.to_owned() }),
    };
    match files.iter().find(|file| Path::new(file).exists()) {
        Some(file) => Ok(Environment { name: name.to_owned(), config_file: PathBuf::from(file), target }),
        None => Err(Error::NoDefaultConfigFile {
            name: name.to_owned(),
            tried: files.iter().map(|file| (*file).to_owned()).collect(),
            folder: folder(),
        }),
    }
}
