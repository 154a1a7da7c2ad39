//! `mcp-server health`: what a container without a shell uses as its health check.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use mcp_server_config::constants::READY_PATH;

use crate::app::StartError;
use crate::client::http::{Client, Url};
use crate::commands::{fail, print, say};
use crate::environment::{Environment, reachable};
use crate::reload::chain;
use crate::settings::{Choice, Flags, Loaded, Sources};

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
    let mut sources = Sources::of_file(config, environment, flags);
    let mut loaded = load(&sources);
    if let (Err(error), Choice::Usual, true) = (&loaded, sources.choice, sources.file.is_some()) {
        // A running server goes on with its last good configuration, and is as healthy as before.
        say(&format!("{} is passed over: {}", sources.name(), chain(&**error)));
        sources.file = None;
        loaded = load(&sources);
    }
    let loaded = loaded.map_err(|error| fail(&*error, 2))?;
    let address = loaded.config.process.http.admin_address();
    let reached = address.parse().map_or_else(|_| address.to_owned(), |at| reachable(at).to_string());
    Ok(format!("http://{reached}{READY_PATH}"))
}

fn load(sources: &Sources) -> Result<Loaded, Box<dyn Error>> {
    let text = sources.read().map_err(|source| StartError::Read { name: sources.name(), source })?;
    Ok(sources.load(&text)?)
}
