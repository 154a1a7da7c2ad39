//! `status ENV`.

use clap::Args;

use super::{Backend, Error, open};
use crate::args::Declared;
use crate::output::Report;

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    declared: Declared,
}

impl Status {
    pub(super) fn run(&self) -> Result<Report, Error> {
        let (environment, backend) = open(&self.declared)?;
        Ok(match backend {
            Backend::Compose(compose) => compose.status(&environment.name)?,
            Backend::Kubernetes(cluster) => cluster.status(&environment.name)?,
        })
    }
}
