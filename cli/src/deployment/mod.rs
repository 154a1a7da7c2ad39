//! Environments: where an MCP server is deployed to, as `config/deployment.json` declares it.

mod defaults;
mod file;

use std::io;
use std::path::{Path, PathBuf};

/// The file that is read where none is named, as in the working directory.
pub(crate) const DEFAULT_FILE: &str = "config/deployment.json";

/// One environment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) name: String,
    /// A Compose file, or a manifest or a folder of manifests; relative to the working directory.
    pub(crate) config_file: PathBuf,
    pub(crate) target: Target,
}

/// What an environment runs on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Compose,
    Kubernetes {
        namespace: String,
        /// The context of the kubeconfig; the current one without.
        context: Option<String>,
    },
}

/// Why there is no environment to work on. Each message ends with the next step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "{} does not exist; create it, or name another file with --file (without a file there are the environments {})",
        file.display(), list(defaults::NAMES)
    )]
    NoFile { file: PathBuf },
    #[error("{} cannot be read: {source}; check its permissions", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("{}:{line}:{column} is not JSON: {problem}; correct that line", file.display())]
    Syntax { file: PathBuf, line: usize, column: usize, problem: String },
    #[error("{}: {path} {problem}", file.display())]
    Field { file: PathBuf, path: String, problem: String },
    #[error("the environment {name} is unknown; {} declares {}", file.display(), known(known_names))]
    Unknown { name: String, file: PathBuf, known_names: Vec<String> },
    #[error(
        "the environment {name} is unknown; without {DEFAULT_FILE} there are {}. Name one of these, or declare {name} in {DEFAULT_FILE}",
        list(defaults::NAMES)
    )]
    UnknownDefault { name: String },
    #[error(
        "the configuration file {} of the environment {name} does not exist in {}; correct config_file in {}, or change to the folder that holds it",
        config_file.display(), folder.display(), file.display()
    )]
    NoConfigFile { name: String, config_file: PathBuf, folder: PathBuf, file: PathBuf },
    #[error(
        "there is no configuration file for the environment {name}: none of {} exists in {}; create one, or name yours as config_file in {DEFAULT_FILE}",
        tried.join(", "), folder.display()
    )]
    NoDefaultConfigFile { name: String, tried: Vec<String>, folder: PathBuf },
}

fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    names.join(", ")
}

fn known(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { list(names) }
}

/// Reads the environment `name` from `file`, or from the default file, or where that does not exist from the built-in
/// ones. Its configuration file exists.
///
/// # Errors
/// As [`Error`] lists them.
pub(crate) fn read(name: &str, file: Option<&Path>) -> Result<Environment, Error> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match file {
                Some(file) => Err(Error::NoFile { file: file.to_owned() }),
                None => defaults::read(name),
            };
        }
        Err(source) => return Err(Error::Unreadable { file: path.to_owned(), source }),
    };
    let environment = file::parse(&text, path, name)?;
    if environment.config_file.exists() {
        return Ok(environment);
    }
    Err(Error::NoConfigFile {
        name: name.to_owned(),
        config_file: environment.config_file,
        folder: folder(),
        file: path.to_owned(),
    })
}

/// The working directory, for a message.
fn folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("the working directory"))
}
