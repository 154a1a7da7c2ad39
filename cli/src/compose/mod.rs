//! Environments of the type `docker-compose`: deploys, watches and rolls back a Compose project.

mod container;
mod deploy;
mod engine;
mod error;
mod health;
mod previous;
mod project;
mod rollback;
mod state;
mod status;

pub(crate) use engine::Compose;
pub(crate) use error::Error;
