//! The command line for people and pipelines: `kubectl-mcp`, which kubectl runs as `kubectl mcp`, and which answers as
//! `mcp` too where it is linked under that name.
//!
//! A command is a file in [`commands`]. What a command works on is a module beside it: [`deployment`] reads
//! environments, [`compose`] and [`kubernetes`] carry them out by running `docker` and `kubectl`.

mod args;
mod commands;
mod compose;
mod deadline;
mod deployment;
mod kubernetes;
mod output;
mod program;
mod text;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with the arguments of a process, its name included, and returns its exit code: 0 done, 1 failed,
/// 2 wrong usage.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let invoked = args::Invoked::of(arguments.first());
    match args::parse(&invoked, arguments) {
        Ok(cli) => cli.command.run(&invoked, cli.output),
        Err(error) => {
            // A closed pipe is all that can go wrong here, and then nobody reads the usage.
            let _unread = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}
