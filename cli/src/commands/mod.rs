//! The commands, one file each: its arguments, and what it does.

mod completions;
mod deploy;
mod man;
mod status;
mod undeploy;

use std::process::ExitCode;

use clap::Subcommand;

use crate::args::{Declared, Invoked, Output};
use crate::compose::{self, Compose};
use crate::deployment::{self, Environment, Target};
use crate::kubernetes::{self, Cluster};
use crate::output::Report;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Deploy an environment, wait until it is healthy, and go back to what ran before if it does not become so
    Deploy(deploy::Deploy),
    /// Take an environment down again
    Undeploy(undeploy::Undeploy),
    /// Say how an environment is; exit code 0 if all of it is healthy
    Status(status::Status),
    /// Print the completion script of a shell
    Completions(completions::Completions),
    /// Print the manual page
    #[command(hide = true)]
    Man(man::Man),
}

impl Command {
    pub(crate) fn run(self, invoked: &Invoked, output: Output) -> ExitCode {
        let report = match self {
            Self::Deploy(command) => command.run(),
            Self::Undeploy(command) => command.run(),
            Self::Status(command) => command.run(),
            Self::Completions(command) => return command.run(invoked),
            Self::Man(command) => return command.run(),
        };
        report.unwrap_or_else(|error| Report::failed(error.to_string())).finish(output)
    }
}

/// Why a command failed. Each message ends with the next step.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Deployment(#[from] deployment::Error),
    #[error(transparent)]
    Compose(#[from] compose::Error),
    #[error(transparent)]
    Kubernetes(#[from] kubernetes::Error),
}

/// What carries an environment out.
#[derive(Debug)]
enum Backend {
    Compose(Compose),
    Kubernetes(Cluster),
}

/// Reads the environment and finds what carries it out.
fn open(declared: &Declared) -> Result<(Environment, Backend), Error> {
    let environment = deployment::read(&declared.environment, declared.file.as_deref())?;
    let backend = match &environment.target {
        Target::Compose => Backend::Compose(Compose::find(&environment.config_file)?),
        Target::Kubernetes { namespace, context } => {
            Backend::Kubernetes(Cluster::find(&environment.config_file, namespace, context.as_deref())?)
        }
    };
    Ok((environment, backend))
}
