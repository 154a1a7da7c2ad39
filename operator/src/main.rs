//! The program `mcp-operator`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use mcp_operator::args::{Cli, Command};
use mcp_operator::{app, render};

fn main() -> ExitCode {
    // Before anything that could open a connection. It fails only when a provider is installed already, which nothing here does.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Cli::parse().command {
        Command::Run(args) => match tokio::runtime::Runtime::new() {
            Ok(runtime) => {
                let result = runtime.block_on(app::run(args));
                // A blocked thread of the runtime must not hold up the exit.
                runtime.shutdown_background();
                finish(result.map_err(|error| Box::new(error) as _))
            }
            Err(error) => finish(Err(Box::new(error))),
        },
        Command::Crd => {
            finish(render::crd(&mut std::io::stdout().lock()).map_err(|error| Box::new(error) as _))
        }
        Command::Render(args) => match render::run(&args, &mut std::io::stdout().lock()) {
            Err(error @ render::Error::Invalid { .. }) => complain(&error, 2),
            result => finish(result.map_err(|error| Box::new(error) as _)),
        },
    }
}

fn finish(result: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&*error, 1),
    }
}

/// The error and its causes, one line each, on standard error.
fn complain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    let mut text = format!("mcp-operator: {error}\n");
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!("  because: {next}\n"));
        cause = next.source();
    }
    // Where standard error is closed there is nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(code)
}
