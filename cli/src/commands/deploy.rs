//! `deploy ENV`.

use clap::Args;

use super::{Backend, Error, open};
use crate::args::{Declared, Patience};
use crate::output::Report;

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    declared: Declared,
    #[command(flatten)]
    patience: Patience,
}

impl Deploy {
    pub(super) fn run(&self) -> Result<Report, Error> {
        let (environment, backend) = open(&self.declared)?;
        Ok(match backend {
            Backend::Compose(compose) => compose.deploy(&environment.name, self.patience.timeout)?,
            Backend::Kubernetes(cluster) => cluster.deploy(&environment.name, self.patience.timeout)?,
        })
    }
}
