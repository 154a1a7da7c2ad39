//! Tools that run a program.
//!
//! Each part of the command line is a template of its own and becomes exactly one argument: there is no shell that could
//! take it apart. The program's name holds no argument, and an argument that looks like an option is refused where it
//! could be taken for one.

use std::time::Duration;

use bytes::Bytes;
use mcp_server_config::compile::{CommandProgram, CompiledTool, Part, Template};
use tokio::time::Instant;

use super::answer::{self, MAX_RESULT};
use super::failure::shortened;
use super::http::fill::Filler;
use super::media::sniff;
use super::run::{Checked, misfits};
use crate::backend::{Answer, CallError, Cx};
use crate::environment::Environment;
use crate::human::Human;
use crate::protocol::raw::Raw;

mod process;

use process::{Bounds, Ended, Exit, Run, RunError};

/// Runs programs for the tools.
#[derive(Debug, Default)]
pub(super) struct Commands {
    environment: Environment,
}

impl Commands {
    pub(super) fn new(environment: Environment) -> Self {
        Self { environment }
    }

    /// Answers a call. Dropping the future kills the program and all that it started.
    pub(super) async fn call(
        &self,
        tool: &CompiledTool,
        program: &CommandProgram,
        arguments: &Checked,
        cx: &Cx,
    ) -> Result<Answer, CallError> {
        let argv = match argv(program, arguments.json()) {
            Ok(argv) => argv,
            Err(sentence) => return Ok(answer::error(&sentence)),
        };
        let run = Run {
            program: &program.program,
            arguments: &argv,
            environment: program
                .env
                .iter()
                .filter_map(|name| Some((name.as_str(), self.environment.get(name)?)))
                .collect(),
            path: self.environment.get("PATH").unwrap_or_default(),
            directory: program.directory.as_deref(),
            input: program.stdin.then(|| arguments.json().to_owned()),
            bounds: Bounds { output: program.max_output, memory: program.max_memory },
        };
        let now = Instant::now();
        let deadline = program.timeout.map_or(cx.deadline, |timeout| cx.deadline.min(now + timeout));
        // Whoever drops the future of a run kills it.
        match tokio::time::timeout_at(deadline, process::run(run)).await {
            Ok(Ok(ended)) => Ok(answered(tool, program, &ended)),
            Ok(Err(error)) => Ok(answer::error(&failed(tool, &error))),
            Err(_) if deadline >= cx.deadline => Err(CallError::Timeout),
            Err(_) => {
                let allowed = program.timeout.unwrap_or(Duration::ZERO);
                Ok(answer::error(&format!("The command took longer than {} and was ended.", Human(allowed))))
            }
        }
    }
}

/// The arguments of the program.
fn argv(program: &CommandProgram, arguments: &str) -> Result<Vec<String>, String> {
    let mut filler = Filler::new(arguments);
    let mut argv = Vec::with_capacity(program.arguments.len());
    let mut options_end = false;
    for template in &program.arguments {
        let filled = filler.plain(template);
        if filled.contains('\0') {
            return Err("An argument holds a NUL character, which no command line can.".to_owned());
        }
        if !options_end && begins_with_argument(template) && filled.starts_with('-') {
            return Err(
                "An argument begins with a dash and would be taken for an option. Call the tool again without it."
                    .to_owned(),
            );
        }
        options_end |= template.literal() == Some("--");
        argv.push(filled);
    }
    match filler.missing() {
        missing if missing.is_empty() => Ok(argv),
        missing => Err(format!("Missing arguments: {}. Call the tool again with them.", missing.join(", "))),
    }
}

fn begins_with_argument(template: &Template) -> bool {
    matches!(template.parts().first(), Some(Part::Argument(_)))
}

fn answered(tool: &CompiledTool, program: &CommandProgram, ended: &Ended) -> Answer {
    match ended.exit {
        Exit::Code(0) => {}
        Exit::Code(code) => {
            return answer::error(&complaint(&format!("The command ended with exit code {code}"), ended));
        }
        Exit::Signal(signal) => {
            return answer::error(&complaint(&format!("The command was ended by signal {signal}"), ended));
        }
    }
    if program.json {
        return json(tool, program, ended);
    }
    match (std::str::from_utf8(&ended.output), sniff(&ended.output)) {
        (Ok(text), _) => answer::text(text.strip_suffix('\n').unwrap_or(text), limit(program)),
        (Err(_), Some((medium, mime_type))) => answer::media(medium, mime_type, &ended.output),
        (Err(_), None) => answer::error(&format!(
            "The command wrote {} bytes that are neither text in UTF-8 nor a known kind of image or sound.",
            ended.output.len()
        )),
    }
}

/// The largest result: all that the program may write.
fn limit(program: &CommandProgram) -> usize {
    program.max_output.max(MAX_RESULT)
}

fn json(tool: &CompiledTool, program: &CommandProgram, ended: &Ended) -> Answer {
    let Ok(raw) = Raw::check(Bytes::copy_from_slice(ended.output.trim_ascii())) else {
        return answer::error(&complaint("The command wrote something that is not one JSON value", ended));
    };
    if let Some(output) = tool.output() {
        let value = serde_json::from_str(raw.as_str()).unwrap_or_default();
        let misfits = misfits(output, &value, "result");
        if !misfits.is_empty() {
            return answer::error(&format!(
                "The result is not what the tool promises:\n{}",
                misfits.join("\n")
            ));
        }
    }
    answer::structured_raw(&raw, limit(program))
}

/// What happened, and what the program said last.
fn complaint(what: &str, ended: &Ended) -> String {
    let said = String::from_utf8_lossy(&ended.errors);
    let said = if said.trim().is_empty() { String::from_utf8_lossy(&ended.output) } else { said };
    // The end says most, and a screen of it is enough.
    let said = said.trim();
    let from = said.char_indices().rev().nth(999).map_or(0, |(at, _)| at);
    match &said[from..] {
        "" => format!("{what}."),
        said => format!("{what}:\n{said}"),
    }
}

fn failed(tool: &CompiledTool, error: &RunError) -> String {
    match error {
        RunError::Start { .. } | RunError::NotFound(_) | RunError::Limit(_) | RunError::Wait(_) => {
            tracing::error!(tool = &**tool.name(), error = crate::reload::chain(error), "a command failed");
            format!("The command could not be run: {}.", shortened(&error.to_string()))
        }
        RunError::TooMuch { limit } => {
            format!("The command wrote more than {limit} bytes and was ended. Ask for less.")
        }
    }
}
