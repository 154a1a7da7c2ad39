//! `undeploy ENV`.

use clap::Args;

use super::{Backend, Error, open};
use crate::args::{Declared, Patience};
use crate::output::Report;

#[derive(Debug, Args)]
pub(crate) struct Undeploy {
    #[command(flatten)]
    declared: Declared,
    #[command(flatten)]
    patience: Patience,
}

impl Undeploy {
    pub(super) fn run(&self) -> Result<Report, Error> {
        let (environment, backend) = open(&self.declared)?;
        Ok(match backend {
            Backend::Compose(compose) => compose.undeploy(&environment.name, self.patience.timeout)?,
            Backend::Kubernetes(cluster) => cluster.undeploy(&environment.name, self.patience.timeout)?,
        })
    }
}
