//! Programs to run, compiled.

use std::time::Duration;

use super::template;
use super::template::Template;
use crate::path::Path;
use crate::tools::command::DEFAULT_ENV;
use crate::tools::{CommandInput, CommandOutput, CommandTool};
use crate::validate::Violation;

/// A program, ready to be run.
#[derive(Debug)]
pub struct CommandProgram {
    /// The program itself.
    pub program: String,
    pub arguments: Vec<Template>,
    /// Names of variables that it gets.
    pub env: Vec<String>,
    pub directory: Option<String>,
    /// Whether it reads the arguments of the call.
    pub stdin: bool,
    /// Whether it writes JSON.
    pub json: bool,
    /// Absent where a call's own time is the only bound.
    pub timeout: Option<Duration>,
    /// The most it may write, in bytes.
    pub max_output: usize,
    /// The most address space for each of its processes, in bytes.
    pub max_memory: u64,
}

pub(super) fn compile(command: &CommandTool, path: &Path) -> Result<CommandProgram, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut parts = Vec::new();
    for (index, part) in command.argv.iter().enumerate() {
        let path = path.key("argv").index(index);
        match template(Template::parse_or_empty, part, &path) {
            Ok(_) if part.contains('\0') => {
                violations
                    .push(Violation { path, message: "holds a NUL, which ends an argument".to_owned() });
            }
            Ok(part) => parts.push(part),
            Err(mut more) => violations.append(&mut more),
        }
    }
    let mut parts = parts.into_iter();
    let program = parts.next().and_then(|first| first.literal().map(str::to_owned));
    let program = program.filter(|program| !program.is_empty());
    if program.is_none() && violations.is_empty() {
        let message = "must name the program, written out: no argument of a call decides what is run";
        violations.push(Violation { path: path.key("argv").index(0), message: message.to_owned() });
    }
    let env = || DEFAULT_ENV.iter().map(|&name| name.to_owned()).collect();
    match program {
        Some(program) if violations.is_empty() => Ok(CommandProgram {
            program,
            arguments: parts.collect(),
            env: command.env.clone().unwrap_or_else(env),
            directory: command.directory.clone(),
            stdin: command.stdin == Some(CommandInput::Arguments),
            json: command.output == Some(CommandOutput::JSON),
            timeout: command.timeout.map(crate::Duration::as_std),
            max_output: command.max_output().as_usize(),
            max_memory: command.max_memory().as_bytes(),
        }),
        _ => Err(violations),
    }
}
