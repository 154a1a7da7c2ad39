//! `completions SHELL`.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::args::{Cli, Invoked};
use crate::output::print;

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell; source what is printed, or save it where the shell looks for completions
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, invoked: &Invoked) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), invoked.program.clone(), &mut script);
        print(&script)
    }
}
