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

    /// Name of this release, which it writes on the McpServers that it manages; without it, <namespace>/mcp-operator
    #[arg(long, env = "MCP_OPERATOR_IDENTITY", value_name = "NAMESPACE/NAME", value_parser = identity)]
    pub identity: Option<String>,

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

/// Checks the name of a release: its Lease has that namespace and that name.
fn identity(text: &str) -> Result<String, String> {
    let is_name = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
    };
    match text.split_once('/') {
        Some((namespace, name)) if is_name(namespace) && is_name(name) => Ok(text.to_owned()),
        _ => Err("must be namespace/name, as in mcp-system/mcp-operator".to_owned()),
    }
}

impl RunArgs {
    /// The name of this release: as given, or made of the namespace that the client works in.
    pub fn identity(&self, namespace: &str) -> String {
        self.identity.clone().unwrap_or_else(|| format!("{namespace}/mcp-operator"))
    }

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
    fn the_name_of_a_release_is_given_or_made_of_the_namespace() {
        assert_eq!(run(&[]).identity("shop"), "shop/mcp-operator");
        assert_eq!(run(&["--identity", "mcp-system/one"]).identity("shop"), "mcp-system/one");
        for bad in ["one", "/one", "a/", "a/b/c", "A/b"] {
            assert!(Cli::try_parse_from(["mcp-operator", "run", "--identity", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pull_policy_is_one_of_three() {
        let refused =
            Cli::try_parse_from(["mcp-operator", "run", "--runtime-image-pull-policy", "Sometimes"]);
        assert!(refused.is_err());
    }
}
