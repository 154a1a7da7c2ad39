//! The command line: every flag has a twin in the environment, so that a chart needs no argument list.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Reconciles McpServer resources into running MCP servers.
#[derive(Debug, Parser)]
#[command(name = "mcp-operator", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch McpServer resources and keep their children true, until told to stop
    Run(RunArgs),
    /// Print the definition of the McpServer resource, ready for `kubectl apply --server-side -f -`
    Crd,
    /// Print the objects that would be made of the McpServer resources in a file; needs no cluster
    Render(RenderArgs),
}

/// Flags of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Namespaces to watch, separated by commas; empty means the whole cluster
    #[arg(long, env = "MCP_OPERATOR_NAMESPACES", default_value = "", value_name = "A,B")]
    pub namespaces: String,

    /// How many resources are reconciled at the same time, at most
    #[arg(long, env = "MCP_OPERATOR_CONCURRENCY", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,

    /// What the children are made of.
    #[command(flatten)]
    pub runtime: RuntimeArgs,

    /// Where /healthz, /readyz and /metrics listen
    #[arg(long, env = "MCP_OPERATOR_METRICS_ADDRESS", default_value = "0.0.0.0:8080")]
    pub metrics_address: SocketAddr,

    /// How much is logged: error, warn, info, debug, trace, or a filter as in `info,mcp_operator=debug`
    #[arg(long, env = "MCP_OPERATOR_LOG_LEVEL", default_value = "info")]
    pub log_level: String,

    /// How logs look; without it, text on a terminal and JSON elsewhere
    #[arg(long, env = "MCP_OPERATOR_LOG_FORMAT", value_enum, ignore_case = true)]
    pub log_format: Option<LogFormat>,
}

/// The image that the pods of an McpServer run when the resource names none.
#[derive(Clone, Debug, Args)]
pub struct RuntimeArgs {
    /// Image of the server that the pods run
    #[arg(long, env = "MCP_OPERATOR_RUNTIME_IMAGE", value_name = "REF",
          default_value = concat!("localhost/mcp-server:", env!("CARGO_PKG_VERSION")))]
    pub runtime_image: String,

    /// When the node pulls that image: Always, IfNotPresent or Never
    #[arg(long, env = "MCP_OPERATOR_RUNTIME_IMAGE_PULL_POLICY", value_name = "POLICY",
          default_value = "IfNotPresent", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub runtime_image_pull_policy: String,
}

/// Flags of `render`.
#[derive(Clone, Debug, Args)]
pub struct RenderArgs {
    /// File with one or more McpServer resources (YAML or JSON); `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,

    /// What the children are made of.
    #[command(flatten)]
    pub runtime: RuntimeArgs,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line
    Json,
    /// Short lines for people
    Text,
}

impl RunArgs {
    /// The namespaces to watch, without blanks and repeats, in the order given; empty means all.
    pub fn namespaces(&self) -> Vec<String> {
        let mut namespaces: Vec<String> = Vec::new();
        for name in self.namespaces.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !namespaces.iter().any(|known| known == name) {
                namespaces.push(name.to_owned());
            }
        }
        namespaces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> RunArgs {
        let cli = Cli::try_parse_from(["mcp-operator", "run"].iter().chain(args)).unwrap();
        match cli.command {
            Command::Run(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn no_namespace_means_all_and_repeats_count_once() {
        assert!(run(&[]).namespaces().is_empty());
        assert_eq!(run(&["--namespaces", "a, b,,a"]).namespaces(), ["a", "b"]);
    }

    #[test]
    fn a_pull_policy_is_one_of_three() {
        let refused =
            Cli::try_parse_from(["mcp-operator", "run", "--runtime-image-pull-policy", "Sometimes"]);
        assert!(refused.is_err());
    }
}
