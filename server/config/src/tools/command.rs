//! Tools that run a program. Only a process is told of them, and only one that was started with commands allowed runs
//! any: whoever may write a resource must not thereby run programs in the server's container.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, Duration};

/// A program whose output becomes the answer of the tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandTool {
    /// The program and its arguments, each a template of its own; there is no shell that could take an argument apart.
    /// The program itself is written out. Example: [git, log, "--max-count={{args.n}}"].
    pub argv: Vec<String>,
    /// Names of variables of the server's environment that the program gets; it gets no others. Default: PATH, HOME,
    /// LANG and TZ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// Directory in which it runs. Default: the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// What it reads on standard input. Default: Nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<CommandInput>,
    /// What its standard output is. Default: Text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<CommandOutput>,
    /// How long it may take, 1ms to 10m; then it and all that it started are killed. Default: as long as the call itself
    /// may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How much it may write, as a quantity between 1Ki and 16Mi; then it is killed. Default: 1Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<ByteSize>,
    /// How much address space each of its processes may have, as a quantity between 16Mi and 64Gi (Linux only).
    /// Default: 2Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<ByteSize>,
}

/// What a program reads on standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CommandInput {
    Nothing,
    /// The arguments of the call, as one JSON object.
    Arguments,
}

/// What a program writes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CommandOutput {
    Text,
    /// One JSON value, which becomes structured content.
    JSON,
}

/// What a program gets of the server's environment where the configuration does not say.
pub const DEFAULT_ENV: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

impl CommandTool {
    /// How much it may write.
    #[must_use]
    pub fn max_output(&self) -> ByteSize {
        self.max_output.unwrap_or(ByteSize::from_mib(1))
    }

    /// How much address space each of its processes may have.
    #[must_use]
    pub fn max_memory(&self) -> ByteSize {
        self.max_memory.unwrap_or(ByteSize::from_mib(2048))
    }
}
