//! The command line as a whole, and the values that several commands take.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use crate::commands::Command;

/// Deploys MCP servers to Docker Compose and Kubernetes, and says how they are.
#[derive(Debug, Parser)]
#[command(name = "kubectl-mcp", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How to answer on standard output; progress goes to standard error
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    pub(crate) output: Output,
}

const EXIT_CODES: &str = "Exit codes:
  0  done; for status: everything is healthy
  1  failed; the answer says why and what to do next
  2  wrong usage";

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A sentence
    Text,
    /// {"success": true, "message": …} or {"success": false, "error": …}
    Json,
}

/// Where environments are declared.
#[derive(Debug, Args)]
pub(crate) struct Declared {
    /// The environment, as the file names it
    #[arg(value_name = "ENV")]
    pub(crate) environment: String,
    /// The file that declares environments [default: config/deployment.json; where there is none: production and k8s]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// How long to wait for what was started or is being stopped.
#[derive(Debug, Args)]
pub(crate) struct Patience {
    /// How long to wait, once the change is made, until everything is healthy or gone: seconds, or a number with s, m or h
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// The longest `--timeout`: a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) => (digits, &text[digits.len()..]),
        None => (text, "s"),
    };
    let scale = match unit {
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let seconds = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(scale));
    match seconds.map(Duration::from_secs) {
        Some(time) if !time.is_zero() && time <= LONGEST => Ok(time),
        Some(_) => Err("between 1s and 24h".to_owned()),
        None => Err("write seconds, or a number with s, m or h: 90, 90s, 5m".to_owned()),
    }
}

/// The names under which the program was started.
#[derive(Debug)]
pub(crate) struct Invoked {
    /// The file name: what a shell completes.
    pub(crate) program: String,
    /// What a person types: `kubectl mcp` for a plugin of kubectl.
    pub(crate) typed: String,
}

impl Invoked {
    pub(crate) fn of(argument: Option<&OsString>) -> Self {
        let stem = argument.and_then(|path| Path::new(path).file_stem()).and_then(|stem| stem.to_str());
        match stem {
            Some("mcp") => Self { program: "mcp".to_owned(), typed: "mcp".to_owned() },
            _ => Self { program: "kubectl-mcp".to_owned(), typed: "kubectl mcp".to_owned() },
        }
    }
}

pub(crate) fn parse(invoked: &Invoked, arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command().bin_name(invoked.typed.clone());
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_timeout_is_read_as_people_write_it() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200), ("24h", 86400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in
            ["", "0", "0s", "25h", "m", "1.5m", "-3", "5 m", "99999999999999999999h", "6000000000000000h"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn usage_names_what_was_typed() {
        for (program, typed) in [
            ("/usr/local/bin/kubectl-mcp", "kubectl mcp"),
            ("mcp", "mcp"),
            ("/x/mcp", "mcp"),
            ("other", "kubectl mcp"),
        ] {
            let invoked = Invoked::of(Some(&program.into()));
            assert_eq!(invoked.typed, typed);
            let usage = parse(&invoked, vec![program.into(), "deploy".into()]).unwrap_err().to_string();
            assert!(usage.contains(&format!("Usage: {typed} deploy")), "{usage}");
        }
    }
}
