//! `mcp-server health`: what a container without a shell uses as its health check.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use mcp_server_config::constants::READY_PATH;

use crate::app::StartError;
use crate::client::http::{Client, Url};
use crate::commands::{fail, print, say};
use crate::environment::{Environment, reachable};
use crate::settings::{Flags, Sources};

/// A server that takes longer to say that it is ready is not.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn run(url: Option<String>, config: Option<PathBuf>, environment: Environment) -> ExitCode {
    let url = match url {
        Some(url) => url,
        None => match admin_url(config, environment) {
            Ok(url) => url,
            Err(code) => return code,
        },
    };
    let url = match Url::parse(&url) {
        Ok(url) => url,
        Err(error) => return fail(&error, 2),
    };
    match Client::new(TIMEOUT).get(&url).await {
        Ok(response) if response.status.is_success() => print(&response.text()),
        Ok(response) => {
            say(&format!("{}: {}", response.status, response.text().trim()));
            ExitCode::FAILURE
        }
        Err(error) => fail(&error, 1),
    }
}

/// Where the admin port of the server with this configuration is, seen from this machine.
fn admin_url(config: Option<PathBuf>, environment: Environment) -> Result<String, ExitCode> {
    // Nothing is run here.
    let flags = Flags { allow_commands: true, ..Flags::default() };
    let sources = Sources { file: config, environment, flags, ..Sources::default() };
    let text =
        sources.read().map_err(|source| fail(&StartError::Read { name: sources.name(), source }, 2))?;
    let loaded = sources.load(&text).map_err(|refused| fail(&refused, 2))?;
    let address = loaded.config.process.http.admin_address();
    let reached = address.parse().map_or_else(|_| address.to_owned(), |at| reachable(at).to_string());
    Ok(format!("http://{reached}{READY_PATH}"))
}
