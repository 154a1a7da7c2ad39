//! Why a Compose project could not be worked on.

use std::path::PathBuf;

use crate::program::RunError;

/// Each message ends with the next step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "there is no Docker engine to talk to: neither docker nor docker-compose is on the PATH; install Docker with its Compose plugin (docs.docker.com/compose/install), or correct the PATH"
    )]
    NoEngine,
    #[error(
        "docker has no Compose plugin, and docker-compose is not on the PATH; install the plugin (docs.docker.com/compose/install/linux)"
    )]
    NoPlugin,
    #[error(
        "{program} is version {version}, and Compose 2 or newer is needed; install the Compose plugin of docker (docs.docker.com/compose/install/linux)"
    )]
    TooOld { program: String, version: String },
    #[error(
        "the Docker engine does not answer: {reason}; start it (systemctl start docker), or let DOCKER_HOST or `docker context` point to one that runs"
    )]
    EngineDown { reason: String },
    #[error("Compose refuses {}: {reason}; correct the file, and check it with `{check}`", file.display())]
    File { file: PathBuf, reason: String, check: String },
    #[error("the answer of `{command}` cannot be read: {reason}; run it to see what it prints")]
    Answer { command: String, reason: String },
    #[error("`{command}` failed: {reason}; run it to see all that it prints")]
    Failed { command: String, reason: String },
    #[error("{0}; run it by hand to see why")]
    Run(#[from] RunError),
}
