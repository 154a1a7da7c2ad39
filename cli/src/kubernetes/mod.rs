//! Environments of the type `kubernetes`: applies manifests with kubectl, watches them, and rolls back.

mod before;
mod cluster;
mod deploy;
mod error;
mod object;
mod pods;
mod readiness;
mod rollback;
mod status;
mod wait;

pub(crate) use cluster::Cluster;
pub(crate) use error::Error;
