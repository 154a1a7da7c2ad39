//! What a start tells: to the log, and to whoever sits at the terminal.

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::Path;

use crate::auth::obtain::Reached;
use crate::commands;
use crate::dispatch::Dispatcher;
use crate::memory;
use crate::reload::{tell, unknown_and_notes};
use crate::settings::defaults::{Created, USUAL_FILE};
use crate::settings::{Choice, Loaded, Sources};

/// Says once what a user should know of the configuration.
pub(super) fn tell_of(sources: &Sources, created: &Created, loaded: &Loaded) {
    match (sources.choice, &sources.file) {
        (Choice::Named, _) => {}
        (Choice::Usual, Some(file)) => {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            tracing::info!(file = %file.display(), "no --config was given; using {USUAL_FILE}");
        }
        (Choice::Usual, None) => {
            tracing::info!(
                "no --config was given and there is no {USUAL_FILE}; using the defaults and the environment"
            );
        }
    }
    match created {
        Created::NotNeeded => {}
        Created::Created => {
            let file = sources
                .file
                .as_deref()
                .map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
            tracing::warn!(
                file = %file.unwrap_or_default().display(),
                "the file did not exist; it was made with the defaults, and declares no tools: add some under tools, or correct --config"
            );
        }
        Created::ReadOnly(error) => {
            tracing::warn!(file = sources.name(), %error, "the file does not exist and cannot be made; running with the defaults");
        }
    }
    tell(&unknown_and_notes(&loaded.unknown, &loaded.notes));
    tell(memory::warning(&loaded.config, memory::limit()).as_slice());
}

pub(super) fn tell_ready(dispatcher: &Dispatcher, address: Option<SocketAddr>, admin: Option<SocketAddr>) {
    let snapshot = dispatcher.snapshot();
    let Some(address) = address else {
        tracing::info!(tools = snapshot.tools(), "ready on standard input and output");
        return;
    };
    tracing::info!(
        %address,
        path = snapshot.config.process.http.path(),
        admin = admin.map(|address| address.to_string()),
        tools = snapshot.tools(),
        name = snapshot.config.service.server_name(),
        environment = snapshot.config.service.environment,
        "ready"
    );
}

/// Tells whoever started the server at a terminal where it is, in a form that can be copied.
pub(super) fn at_the_terminal(dispatcher: &Dispatcher, address: Option<SocketAddr>, file: Option<&Path>) {
    let Some(address) = address.filter(|_| io::stderr().is_terminal()) else { return };
    let snapshot = dispatcher.snapshot();
    let url = Reached { address, path: snapshot.config.process.http.path() }.url();
    commands::say(&greeting(&url, snapshot.tools(), file));
}

fn greeting(url: &str, tools: usize, file: Option<&Path>) -> String {
    let tools = match (tools, file) {
        (0, Some(file)) => format!("no tools yet: declare some under tools in {}", file.display()),
        (0, None) => "no tools yet: name a file that declares some with --config".to_owned(),
        (1, _) => "1 tool".to_owned(),
        (more, _) => format!("{more} tools"),
    };
    format!("Serving MCP at {url} ({tools})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_says_where_and_what() {
        let url = "http://127.0.0.1:8080/mcp";
        let file = Some(Path::new("my.yaml"));
        assert_eq!(greeting(url, 1, file), "Serving MCP at http://127.0.0.1:8080/mcp (1 tool)");
        assert!(greeting(url, 0, file).ends_with("(no tools yet: declare some under tools in my.yaml)"));
        assert!(greeting(url, 0, None).contains("--config"));
    }
}
