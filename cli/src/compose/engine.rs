//! Finding Compose, and asking it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::container::{self, Container};
use super::error::Error;
use super::project::Project;
use crate::program::{Program, RunError};
use crate::text;

/// The limit of a question that the program answers by itself.
const LOCAL: Duration = Duration::from_secs(15);
/// The limit of a question to the engine.
const ENGINE: Duration = Duration::from_secs(30);

/// Compose, and the file that it works on.
#[derive(Clone, Debug)]
pub(crate) struct Compose {
    /// `docker compose` or `docker-compose`.
    pub(super) plain: Program,
    /// The same with `-f FILE`.
    pub(super) program: Program,
    pub(super) file: PathBuf,
}

impl Compose {
    /// Finds Compose 2 or newer, as plugin of docker or on its own, and an engine that answers.
    pub(crate) fn find(file: &Path) -> Result<Self, Error> {
        let plain = find_program()?;
        // Compose by itself asks the engine for this; where docker is missing, there is nothing else to ask with.
        match plain.ask(&["ls", "--quiet"], None, ENGINE) {
            Ok(answer) if answer.success => {}
            Ok(answer) => return Err(Error::EngineDown { reason: text::last_line(&answer.stderr) }),
            Err(error @ RunError::TimedOut { .. }) => {
                return Err(Error::EngineDown { reason: error.to_string() });
            }
            Err(error) => return Err(error.into()),
        }
        let program = plain.with(["-f".as_ref(), file.as_os_str()]);
        Ok(Self { plain, program, file: file.to_owned() })
    }

    /// The project as Compose reads the file.
    pub(super) fn project(&self) -> Result<Project, Error> {
        let arguments = ["config", "--format", "json"];
        let answer = self.program.ask(&arguments, None, LOCAL)?;
        if !answer.success {
            return Err(Error::File {
                file: self.file.clone(),
                reason: text::last_line(&answer.stderr),
                check: self.program.typed(&["config", "--quiet"]),
            });
        }
        Project::parse(&answer.stdout)
            .map_err(|reason| Error::Answer { command: self.program.typed(&arguments), reason })
    }

    /// The containers of the project, those that ended too.
    pub(super) fn containers(&self) -> Result<Vec<Container>, Error> {
        let arguments = ["ps", "--all", "--format", "json"];
        let stdout = self.question(&arguments)?;
        container::parse(&stdout)
            .map_err(|reason| Error::Answer { command: self.program.typed(&arguments), reason })
    }

    /// The end of a service's log; empty where it cannot be had, since it is shown beside a failure only.
    pub(super) fn log(&self, service: &str) -> Vec<String> {
        let arguments = ["logs", "--no-color", "--no-log-prefix", "--tail", "10", service];
        match self.program.ask(&arguments, None, ENGINE) {
            Ok(answer) => text::tail(&format!("{}\n{}", answer.stdout, answer.stderr), 10),
            Err(_) => Vec::new(),
        }
    }

    /// Asks the engine something, and returns what it printed.
    pub(super) fn question(&self, arguments: &[&str]) -> Result<String, Error> {
        let answer = self.program.ask(arguments, None, ENGINE)?;
        if answer.success {
            return Ok(answer.stdout);
        }
        let command = self.program.typed(arguments);
        Err(Error::Failed { command, reason: text::last_line(&answer.stderr) })
    }
}

/// `docker compose`, or else `docker-compose`, of version 2 or newer.
fn find_program() -> Result<Program, Error> {
    let docker = Program::new("docker").with(["compose"]);
    let docker_is_there = match version(&docker) {
        Ok(Some(version)) => return new_enough(docker, "docker compose", version),
        Ok(None) => true,
        Err(RunError::Missing { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    let alone = Program::new("docker-compose");
    match version(&alone) {
        Ok(Some(version)) => new_enough(alone, "docker-compose", version),
        Ok(None) => Err(Error::NoPlugin),
        Err(RunError::Missing { .. }) => Err(if docker_is_there { Error::NoPlugin } else { Error::NoEngine }),
        Err(error) => Err(error.into()),
    }
}

/// The version that a Compose says it has; none where the program cannot say it.
fn version(program: &Program) -> Result<Option<String>, RunError> {
    let answer = program.ask(&["version", "--short"], None, LOCAL)?;
    let version = answer.stdout.trim().trim_start_matches('v').to_owned();
    Ok((answer.success && version.starts_with(|c: char| c.is_ascii_digit())).then_some(version))
}

fn new_enough(program: Program, name: &str, version: String) -> Result<Program, Error> {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(0);
    if major >= 2 { Ok(program) } else { Err(Error::TooOld { program: name.to_owned(), version }) }
}
