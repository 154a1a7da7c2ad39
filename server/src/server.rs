//! The server as a library: tools in Rust, and everything else of `mcp-server` around them.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use mcp_server::Server;
//! use mcp_server::tool::{Context, NoArguments, Tool, ToolError, ToolInfo};
//!
//! struct Ping;
//!
//! impl Tool for Ping {
//!     type Arguments = NoArguments;
//!     type Output = &'static str;
//!
//!     fn info(&self) -> ToolInfo {
//!         ToolInfo::new("ping").description("Answers.").read_only()
//!     }
//!
//!     async fn call(&self, _: NoArguments, _: Context) -> Result<&'static str, ToolError> {
//!         Ok("pong")
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     Server::builder().name("pinger").config_file("production.json").tool(Ping).run()
//! }
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use mcp_server_config::{SecretRef, ServerConfig};

use crate::app::{self, StartError, Started, Via};
use crate::backend::Backend;
use crate::commands;
use crate::environment::Environment;
use crate::runtime;
use crate::settings::Sources;
use crate::termination::Termination;
use crate::tool::{BadTool, CpuTool, RegisteredTool, Tool};

/// A server that is ready to be started.
#[derive(Debug)]
pub struct Server {
    sources: Sources,
    via: Via,
    program: Program,
}

/// Puts a server together.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is run"]
pub struct Builder {
    sources: Sources,
    stdio: bool,
    program: Program,
    bad: Option<BadTool>,
}

/// What a program brings along besides its configuration.
#[derive(Default)]
pub struct Program {
    pub(crate) tools: Vec<RegisteredTool>,
    pub(crate) log_messages: bool,
    pub(crate) backends: Vec<Arc<dyn Backend>>,
}

/// A server that serves.
#[derive(Debug)]
pub struct Running(Started);

impl Server {
    /// Begins with a server that has no tools and the default configuration; variables of the environment that begin
    /// with `MCP_` are laid over whatever configuration it is given.
    pub fn builder() -> Builder {
        let sources = Sources { environment: Environment::of_process(), ..Sources::default() };
        Builder { sources, ..Builder::default() }
    }

    /// Serves until the process is told to stop (SIGTERM, SIGINT, or the end of standard input where that is the door).
    /// What comes back is the exit code.
    ///
    /// # Errors
    /// Where the server cannot start.
    pub async fn serve(self) -> Result<u8, StartError> {
        app::serve(self.sources, self.via, self.program).await
    }

    /// Starts to serve, and leaves it to the caller to stop. Signals stay as they are.
    ///
    /// # Errors
    /// Where the server cannot start.
    pub async fn start(self) -> Result<Running, StartError> {
        app::start(self.sources, self.via, self.program).await.map(Running)
    }
}

impl Running {
    /// Where MCP is spoken; none behind standard input and output.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address()
    }

    /// Where health and metrics are.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.0.admin_address()
    }

    /// Stops in order: calls in flight are finished, as `shutdown` in the configuration says.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}

impl Builder {
    /// A name in place of the default one. One in the configuration counts more.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.sources.own.name = Some(name.into());
        self
    }

    /// A version in place of the default one. One in the configuration counts more.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.sources.own.version = Some(version.into());
        self
    }

    /// The configuration, in place of a file.
    pub fn config(mut self, config: &ServerConfig) -> Self {
        self.sources.own.config = Some(Box::new(config.clone()));
        self
    }

    /// The file with the configuration. It is made where it does not exist, and changes to it are put in force while the
    /// server runs.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.file = Some(path.into());
        self
    }

    /// Secrets for the state that tools leave with clients between the rounds of a call that asks questions: the first
    /// one seals, all of them open. Servers that have them in common go on with each other's calls; without any, each
    /// process has a key of its own. Those in the configuration (`stateKeys`) count more.
    pub fn state_keys(mut self, keys: impl IntoIterator<Item = SecretRef>) -> Self {
        self.sources.own.state_keys = keys.into_iter().collect();
        self
    }

    /// Adds a tool that waits for things.
    pub fn tool<T: Tool>(self, tool: T) -> Self {
        self.registered(RegisteredTool::new(tool))
    }

    /// Adds a tool that computes.
    pub fn cpu_tool<T: CpuTool>(self, tool: T) -> Self {
        self.registered(RegisteredTool::cpu(tool))
    }

    fn registered(mut self, tool: Result<RegisteredTool, BadTool>) -> Self {
        match tool {
            Ok(tool) => {
                self.sources.own.tools.push(tool.entry().name.clone());
                self.program.tools.push(tool);
            }
            Err(bad) => {
                self.bad.get_or_insert(bad);
            }
        }
        self
    }

    /// Adds whatever else can answer calls: prompts, resources, tools that are found out while the server runs.
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.program.backends.push(backend);
        self
    }

    /// Says that tools send log messages to clients ([`crate::tool::Context::log`]), so that clients are told of it.
    pub fn log_messages(mut self) -> Self {
        self.program.log_messages = true;
        self
    }

    /// Speaks MCP on standard input and output instead of HTTP. Nothing else may write to standard output then.
    pub fn stdio(mut self) -> Self {
        self.stdio = true;
        self
    }

    /// Puts it together.
    ///
    /// # Errors
    /// Where a tool has a name or a schema that will not do.
    pub fn build(self) -> Result<Server, BadTool> {
        let via = if self.stdio { Via::Stdio } else { Via::Http };
        match self.bad {
            Some(bad) => Err(bad),
            None => Ok(Server { sources: self.sources, via, program: self.program }),
        }
    }

    /// Puts it together and serves until the process is told to stop: see [`Server::serve`].
    ///
    /// # Errors
    /// Where a tool will not do, or the server cannot start.
    pub async fn serve(self) -> Result<u8, StartError> {
        self.build()?.serve().await
    }

    /// Puts it together and starts to serve: see [`Server::start`].
    ///
    /// # Errors
    /// Where a tool will not do, or the server cannot start.
    pub async fn start(self) -> Result<Running, StartError> {
        self.build()?.start().await
    }

    /// All of a `main`: serves on a runtime of its own, says on standard error why it did not start, and returns the
    /// exit code of the process.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match runtime::build() {
            Ok(runtime) => {
                let termination = Termination::of(&self.sources.environment);
                let code = commands::ended(runtime.block_on(self.serve()), &termination);
                // A thread may still be waiting for a line of input that never comes.
                runtime.shutdown_timeout(std::time::Duration::ZERO);
                code
            }
            Err(error) => commands::fail(&error, 1),
        }
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("tools", &self.tools)
            .field("backends", &self.backends.len())
            .finish_non_exhaustive()
    }
}
