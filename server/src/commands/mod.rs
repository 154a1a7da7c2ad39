//! What each subcommand does.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use mcp_server_config::convert::{Converted, to_resource};
use mcp_server_config::{AuthMode, Origin, load, render, restart_settings};

use crate::app::{self, StartError, Via};
use crate::args::{Command, Serve};
use crate::auth::obtain::Missing;
use crate::auth::source;
use crate::client;
use crate::environment::Environment;
use crate::reload::{chain, refused};
use crate::server::Program;
use crate::settings::{self, Flags, Sources};
use crate::termination::Termination;

mod health;
mod keys;

/// Runs a subcommand.
pub async fn run(command: Command) -> ExitCode {
    let environment = Environment::of_process();
    match command {
        Command::Serve(arguments) => serve(arguments, environment).await,
        Command::CheckConfig { file, allow_commands } => check_config(file, environment, allow_commands),
        Command::PrintConfig { defaults, file } => print_config(file, defaults, &environment),
        Command::ConvertConfig { file } => convert_config(file),
        Command::Health { url, config } => health::run(url, config, environment).await,
        Command::Keys(arguments) => keys::run(arguments, environment),
        Command::Call(arguments) => client::run(arguments, &environment).await,
    }
}

/// Says on standard error why something failed.
pub fn fail(error: &dyn Error, code: u8) -> ExitCode {
    say(&format!("mcp-server: {}", chain(error)));
    ExitCode::from(code)
}

/// Writes a line to standard error. Where there is none, nobody wants to know.
pub(crate) fn say(text: &str) {
    let _unread = writeln!(io::stderr(), "{text}");
}

/// Writes to standard output, which is what the command is for.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // `mcp-server print-config | head -1` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

async fn serve(arguments: Serve, environment: Environment) -> ExitCode {
    let flags = Flags {
        address: arguments.address,
        admin_address: arguments.admin_address,
        log_level: arguments.log_level,
        allow_commands: arguments.allow_commands,
    };
    let sources = Sources::of_file(arguments.config, environment, flags);
    let via = if arguments.stdio { Via::Stdio } else { Via::Http };
    let termination = Termination::of(&sources.environment);
    ended(app::serve(sources, via, Program::default()).await, &termination)
}

/// The exit code of a server. Where it did not start, standard error says why, the cause on the last line, and so does the
/// termination message.
pub(crate) fn ended(served: Result<u8, StartError>, termination: &Termination) -> ExitCode {
    let error = match served {
        Ok(code) => return ExitCode::from(code),
        Err(error) => error,
    };
    let cause = match &error {
        StartError::Config(problems) => {
            say(&format!("{problems}\n"));
            problems.sentence()
        }
        error => chain(error),
    };
    termination.leave(&cause);
    say(&format!("mcp-server: cannot start: {}: {cause}", error.component()));
    ExitCode::from(error.exit_code())
}

fn check_config(file: PathBuf, environment: Environment, allow_commands: bool) -> ExitCode {
    let flags = Flags { allow_commands, ..Flags::default() };
    let sources = Sources { file: Some(file), environment, flags, ..Sources::default() };
    let text = match sources.read() {
        Ok(text) => text,
        Err(source) => return fail(&StartError::Read { name: sources.name(), source }, 2),
    };
    let unknown = |loaded: &settings::Loaded| loaded.unknown.iter().map(|key| key.problem.clone()).collect();
    let problems = match sources.load(&text) {
        Ok(loaded) if loaded.unknown.is_empty() => {
            let absent = absent_keys(&loaded);
            let notes = loaded.notes.iter().chain(&absent);
            notes.for_each(|note| say(&format!("{}: {note}", sources.name())));
            let tools = loaded.tools.len();
            let tools = if tools == 1 { "1 tool".to_owned() } else { format!("{tools} tools") };
            return print(&format!("{} is valid: {tools}\n", sources.name()));
        }
        Ok(loaded) => settings::Refused(unknown(&loaded)),
        Err(problems) => problems,
    };
    say(&refused(&problems));
    ExitCode::from(2)
}

/// What there is to say of a keys file that is not there. It may be there where the server will run.
fn absent_keys(loaded: &settings::Loaded) -> Option<String> {
    let needed = loaded.config.service.auth.mode() != AuthMode::Disabled;
    let file = source::file(&loaded.config).filter(|file| needed && !file.exists())?.display();
    Some(match loaded.missing_keys {
        Missing::Made => format!(
            "warning: auth.apiKeys: {file} does not exist; a server that starts makes it, with one key"
        ),
        Missing::Refused => format!(
            "warning: auth.apiKeys: {file} does not exist, and a server would not start; make it with `mcp-server keys --file {file} add ID`"
        ),
    })
}

/// The environment stays out of it: it belongs to this machine.
fn convert_config(file: PathBuf) -> ExitCode {
    let sources = Sources { file: Some(file), ..Sources::default() };
    let text = match sources.read() {
        Ok(text) => text,
        Err(source) => return fail(&StartError::Read { name: sources.name(), source }, 2),
    };
    match load(&Origin { name: sources.name(), text }, []) {
        Ok(document) => {
            document.unknown.iter().for_each(|key| say(&key.problem.to_string()));
            document.notes.iter().for_each(|note| say(&format!("{}: {note}", sources.name())));
            let Converted { text, to_mend } = to_resource(&document.config);
            let printed = print(&text);
            match to_mend.len() {
                0 => return printed,
                1 => say("1 thing has to be mended by hand; the comment at the top says which."),
                more => say(&format!(
                    "{more} things have to be mended by hand; the comment at the top says which."
                )),
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(2)
        }
    }
}

fn print_config(file: Option<PathBuf>, defaults: bool, environment: &Environment) -> ExitCode {
    if file.is_none() && defaults {
        return print_with_restart(&settings::defaults::defaults());
    }
    let sources = Sources { file, ..Sources::default() };
    let text = match sources.read() {
        Ok(text) => text,
        Err(source) => return fail(&StartError::Read { name: sources.name(), source }, 2),
    };
    match load(&Origin { name: sources.name(), text }, environment.iter()) {
        Ok(mut document) => {
            if defaults {
                settings::defaults::spell_out(&mut document.config);
            }
            print_with_restart(&render(&document.config))
        }
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(2)
        }
    }
}

/// Prints a configuration, and says beside it what of it a running server does not take up: standard output stays a
/// file that can be loaded.
fn print_with_restart(config: &str) -> ExitCode {
    let code = print(config);
    let settings: Vec<_> = restart_settings().collect();
    say(&format!(
        "A running server takes up changes of its file by itself, but for these, which need a restart: {}.",
        settings.join(", ")
    ));
    code
}
