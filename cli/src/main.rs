//! The program `kubectl-mcp`. Exit codes: 0 done, 1 failed, 2 wrong usage.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_cli::run(std::env::args_os())
}
