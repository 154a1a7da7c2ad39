//! `mcp-server keys`: the file of API keys, without a text editor.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::app::StartError;
use crate::args::{Keys, KeysAction};
use crate::auth::manage::{self, ManageError, Wanted};
use crate::auth::source;
use crate::commands::{fail, print, say};
use crate::environment::Environment;
use crate::reload::refused;
use crate::settings::{Flags, Refused, Sources};

/// Why it is not known which file is meant.
#[derive(Debug, thiserror::Error)]
enum PlaceError {
    #[error("say which file holds the keys: --file FILE, or --config FILE with auth.apiKeys.file in it")]
    Nowhere,
    #[error("{0} names no file of keys; set auth.apiKeys.file in it, or say --file FILE")]
    NotNamed(String),
    #[error(transparent)]
    Read(#[from] StartError),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Runs one of the actions.
pub(super) fn run(arguments: Keys, environment: Environment) -> ExitCode {
    let file = match place(arguments.file, arguments.config, environment) {
        Ok(file) => file,
        Err(PlaceError::Refused(problems)) => {
            say(&refused(&problems));
            return ExitCode::from(2);
        }
        Err(error) => return fail(&error, 2),
    };
    let done = match arguments.action {
        KeysAction::Add { id, scopes, expires, requests_per_minute, burst } => {
            add(&file, &Wanted { id, scopes, expires, requests_per_minute, burst })
        }
        KeysAction::List => manage::list(&file).map(|table| print(&table)),
        KeysAction::Revoke { id } => manage::revoke(&file, &id).map(|()| {
            say(&format!("{id:?} is revoked; a running server notices within a second or two"));
            ExitCode::SUCCESS
        }),
    };
    done.unwrap_or_else(|error| fail(&error, 1))
}

/// The key alone goes to standard output, so that a script can take it.
fn add(file: &Path, wanted: &Wanted) -> Result<ExitCode, ManageError> {
    let key = manage::add(file, wanted)?;
    let code = print(&format!("{key}\n"));
    say(&format!("{} keeps only its SHA-256: the key is not shown again", file.display()));
    Ok(code)
}

fn place(
    file: Option<PathBuf>,
    config: Option<PathBuf>,
    environment: Environment,
) -> Result<PathBuf, PlaceError> {
    if let Some(file) = file {
        return Ok(file);
    }
    let from_environment = environment.get("MCP_AUTH_API_KEYS_FILE").is_some();
    // Nothing is run here.
    let flags = Flags { allow_commands: true, ..Flags::default() };
    let sources = Sources::of_file(config, environment, flags);
    if sources.file.is_none() && !from_environment {
        return Err(PlaceError::Nowhere);
    }
    let text = sources.read().map_err(|source| StartError::Read { name: sources.name(), source })?;
    let loaded = sources.load(&text)?;
    let file = source::file(&loaded.config).map(Path::to_owned);
    file.ok_or_else(|| PlaceError::NotNamed(sources.name()))
}
