//! `man`: the manual page, for packages and `make build`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};

use crate::args::{Cli, Output};
use crate::output::{Report, print};

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for the program and one for each command into this folder instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self) -> ExitCode {
        let command = Cli::command();
        let Some(dir) = &self.dir else {
            let mut page = Vec::new();
            return match clap_mangen::Man::new(command).render(&mut page) {
                Ok(()) => print(&page),
                Err(error) => {
                    Report::failed(format!("the page cannot be made: {error}")).finish(Output::Text)
                }
            };
        };
        let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
        let report = match written {
            Ok(()) => Report::done(format!("The pages are in {}.", dir.display())),
            Err(error) => {
                Report::failed(format!("The pages cannot be written to {}: {error}", dir.display()))
            }
        };
        report.finish(Output::Text)
    }
}
