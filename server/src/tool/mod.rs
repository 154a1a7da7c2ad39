//! Tools written in Rust: typed arguments and results on top of the seam that every backend stands behind.
//!
//! A [`Tool`] is asynchronous and must not block; a [`CpuTool`] computes, and runs on threads of its own. Both describe
//! their arguments by a type, from which the input schema comes, and against which every call is checked before the tool
//! sees it. Auth, limits, metrics and everything else of the server are settled before.

use std::future::Future;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

mod content;
mod context;
mod error;
mod info;
mod output;
mod registered;

pub use content::{Annotations, Audience, Content};
pub use context::Context;
pub use error::ToolError;
pub use info::ToolInfo;
pub use output::{Json, Output, ToolOutput};
pub use registered::{BadTool, RegisteredTool};

pub(crate) use registered::Run;

pub use crate::backend::{LogLevel, Progress, Question, QuestionKind};

/// A tool that waits for things: files, sockets, other servers. It must not block its thread; what computes for longer
/// than a few hundred microseconds is a [`CpuTool`].
///
/// A call that is cancelled, or that runs over its deadline, has a second from then on to tidy up
/// ([`Context::cancelled`] says when); then its future is dropped.
///
/// ```
/// use mcp_server::tool::{Context, Tool, ToolError, ToolInfo};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Who {
///     /// Whom to greet.
///     name: String,
/// }
///
/// struct Greet;
///
/// impl Tool for Greet {
///     type Arguments = Who;
///     type Output = String;
///
///     fn info(&self) -> ToolInfo {
///         ToolInfo::new("greet").description("Greets somebody.").read_only()
///     }
///
///     async fn call(&self, who: Who, _: Context) -> Result<String, ToolError> {
///         Ok(format!("Hello, {}!", who.name))
///     }
/// }
/// ```
pub trait Tool: Send + Sync + 'static {
    /// A struct whose fields are the arguments; [`NoArguments`] where there are none.
    type Arguments: DeserializeOwned + JsonSchema + Send + 'static;
    /// Text, [`Json`], [`Content`], or several of those.
    type Output: Output;

    /// How the tool presents itself.
    fn info(&self) -> ToolInfo;

    /// Answers a call.
    ///
    /// # Errors
    /// With what the model should read: every error of the standard library's kind becomes one by `?`.
    fn call(
        &self,
        arguments: Self::Arguments,
        context: Context,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}

/// A tool that computes. Calls run on a bounded pool of threads, so that however long they take, nothing else waits for
/// them; a call that nobody waits for any more should look at [`Context::is_cancelled`] now and then and give up.
///
/// ```
/// use mcp_server::tool::{Context, CpuTool, Json, ToolError, ToolInfo};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Limit {
///     below: u32,
/// }
///
/// struct Primes;
///
/// impl CpuTool for Primes {
///     type Arguments = Limit;
///     type Output = Json<Vec<u32>>;
///
///     fn info(&self) -> ToolInfo {
///         ToolInfo::new("primes").description("Lists the primes below a number.").read_only()
///     }
///
///     fn call(&self, limit: Limit, context: &Context) -> Result<Json<Vec<u32>>, ToolError> {
///         let mut primes: Vec<u32> = Vec::new();
///         for n in 2..limit.below {
///             context.check()?;
///             if primes.iter().take_while(|p| **p * **p <= n).all(|p| n % p != 0) {
///                 primes.push(n);
///             }
///         }
///         Ok(Json(primes))
///     }
/// }
/// ```
pub trait CpuTool: Send + Sync + 'static {
    /// A struct whose fields are the arguments; [`NoArguments`] where there are none.
    type Arguments: DeserializeOwned + JsonSchema + Send + 'static;
    /// Text, [`Json`], [`Content`], or several of those.
    type Output: Output;

    /// How the tool presents itself.
    fn info(&self) -> ToolInfo;

    /// Answers a call.
    ///
    /// # Errors
    /// With what the model should read: every error of the standard library's kind becomes one by `?`.
    fn call(&self, arguments: Self::Arguments, context: &Context) -> Result<Self::Output, ToolError>;
}

/// The arguments of a tool that takes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct NoArguments {}
