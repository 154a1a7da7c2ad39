//! The program `mcp-server`. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 an address cannot be had,
//! 4 keys cannot be read, 5 the log cannot be written, 129, 130 and 143 told twice to stop.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use mcp_server::args::Cli;
use mcp_server::observe::logs;
use mcp_server::{commands, runtime};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match runtime::build() {
        Ok(runtime) => runtime,
        Err(error) => return commands::fail(&error, 1),
    };
    let code = runtime.block_on(commands::run(cli.command));
    // A thread may still be waiting for a line of input that never comes.
    runtime.shutdown_timeout(Duration::ZERO);
    // Last, whatever the end: also those that were cut off have left a line.
    logs::flush();
    code
}
