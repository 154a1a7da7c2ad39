//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mcp_server_config::LogLevel;

/// A server for the Model Context Protocol: tools that are declared in a file, behind keys, limits, metrics and health.
#[derive(Debug, Parser)]
#[command(name = "mcp-server", version, disable_help_subcommand = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What the exit code tells, as the help shows it.
pub const EXIT_CODES: &str = "Exit codes:
  0    done, or stopped as told
  1    failed for another reason
  2    wrong usage or configuration
  3    an address or port cannot be had
  4    keys or secrets cannot be read or made
  5    the log cannot be written
  129  told twice to stop, at last by the end of its terminal
  130  told twice to stop, by SIGINT at last
  143  told twice to stop, by SIGTERM at last";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve MCP over HTTP, or over standard input and output
    #[command(after_help = EXIT_CODES)]
    Serve(Serve),
    /// Check a configuration and tell everything that is wrong with it
    CheckConfig {
        /// Let tools run programs [env: MCP_ALLOW_COMMANDS]
        #[arg(long)]
        allow_commands: bool,
        /// A configuration (JSON or YAML), or an McpServer manifest
        file: PathBuf,
    },
    /// Print the configuration in force, and on standard error which settings need a restart
    PrintConfig {
        /// Write out the defaults of everything that is not set
        #[arg(long)]
        defaults: bool,
        /// A configuration or manifest; the environment is laid over it. Without one and without --defaults, only what
        /// the environment sets is printed
        file: Option<PathBuf>,
    },
    /// Print the McpServer resource that serves the same in a cluster as a file does here
    ConvertConfig {
        /// A configuration (JSON or YAML, the classic spelling too)
        file: PathBuf,
    },
    /// Ask a running server whether it is ready; exit code 0 where it is
    Health {
        /// What to ask
        #[arg(long)]
        url: Option<String>,
        /// The configuration that says where the admin port is [default: config/production.json, where that exists]
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Add, list or revoke API keys in the file that holds them
    Keys(Keys),
    /// Call a tool, or list the tools
    Call(Call),
}

#[derive(Debug, Args)]
pub struct Serve {
    /// A configuration (JSON or YAML), or an McpServer manifest; made with the defaults where it does not exist
    /// [default: config/production.json, where that exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to serve MCP [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub address: Option<String>,
    /// Where to serve health, metrics and status [default: 127.0.0.1:9090; none with --stdio]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin_address: Option<String>,
    /// Speak MCP on standard input and output instead of HTTP
    #[arg(long, conflicts_with = "address")]
    pub stdio: bool,
    /// Let tools run programs. Without it a configuration that has such tools is refused [env: MCP_ALLOW_COMMANDS]
    #[arg(long)]
    pub allow_commands: bool,
    /// The least severe events that are logged: trace, debug, info, warn or error, or one of Python's names
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
}

#[derive(Debug, Args)]
pub struct Keys {
    /// The file of keys
    #[arg(long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// A configuration that names the file of keys (auth.apiKeys.file) [default: config/production.json, where that
    /// exists]
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "file")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub action: KeysAction,
}

#[derive(Debug, Subcommand)]
pub enum KeysAction {
    /// Make a key and print it, once; the file keeps only its SHA-256
    Add {
        /// Who the key is for
        id: String,
        /// What it is good for; may be given several times
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// From when on it is refused: a time from now (90d, 12h, 30m, 4w) or a date (2027-01-31T00:00:00Z)
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        /// How many requests it is good for a minute, where that differs from rateLimit
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        requests_per_minute: Option<u32>,
        /// How many requests may come at once, where that differs from rateLimit
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        burst: Option<u32>,
    },
    /// List the keys, without the keys themselves
    List,
    /// Take a key back
    Revoke {
        /// Who the key was for
        id: String,
    },
}

#[derive(Debug, Args)]
pub struct Call {
    /// Name of the tool
    #[arg(required_unless_present = "list")]
    pub tool: Option<String>,
    /// Its arguments, as a JSON object
    #[arg(default_value = "{}", value_name = "JSON")]
    pub arguments: String,
    /// List the tools instead
    #[arg(long, conflicts_with_all = ["tool", "arguments"])]
    pub list: bool,
    /// The MCP endpoint
    #[arg(long, default_value = "http://127.0.0.1:8080/mcp")]
    pub url: String,
    /// The API key. Without it: MCP_API_KEY, then the keys of --config, then those of the server that was started here
    // One in 64 keys begins with a dash.
    #[arg(long, allow_hyphen_values = true)]
    pub key: Option<String>,
    /// A configuration whose API keys to use
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to speak
    #[arg(long, value_enum, default_value = "modern")]
    pub era: CallEra,
    /// Print the whole result as JSON
    #[arg(long)]
    pub json: bool,
    /// How many seconds to wait
    #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

/// Which clients to act like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CallEra {
    /// Revision 2026-07-28
    Modern,
    /// Revision 2025-11-25, with a handshake
    Legacy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_log_level_may_be_one_of_python_s() {
        for (text, expected) in
            [("warn", LogLevel::Warn), ("WARNING", LogLevel::Warn), ("critical", LogLevel::Error)]
        {
            let cli = Cli::try_parse_from(["mcp-server", "serve", "--log-level", text]).unwrap();
            let Command::Serve(serve) = cli.command else { panic!("it serves") };
            assert_eq!(serve.log_level, Some(expected));
        }
        let error = Cli::try_parse_from(["mcp-server", "serve", "--log-level", "loud"]).unwrap_err();
        assert!(error.to_string().contains("the levels are Trace"), "{error}");
    }

    #[test]
    fn a_key_may_begin_with_a_dash() {
        let cli = Cli::try_parse_from(["mcp-server", "call", "t", "--key", "-Ab_c", "{}"]).unwrap();
        assert!(format!("{cli:?}").contains("-Ab_c"), "{cli:?}");
    }
}
