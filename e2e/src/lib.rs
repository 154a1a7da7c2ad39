//! What the stories are told with: a cluster, a client inside it, and waiting that says what it waited for.
//!
//! The cluster is the one of `KUBECONFIG`; `hack/e2e.sh` brings it up, installs the operator and sets the rest of the
//! environment. A story has a namespace of its own, in which Pod Security `restricted` is enforced.

mod client;
mod namespace;
mod wait;

pub use client::{Answer, Client, Era};
pub use namespace::{Namespace, hello};
pub use wait::{eventually, settle};

/// Where the operator lives.
pub const OPERATOR_NAMESPACE: &str = "mcp-system";
/// On every object that the operator makes.
pub const OURS: &str = "app.kubernetes.io/managed-by=mcp-operator";

/// Runs a program to its end: standard output where it succeeded, standard error where it did not.
///
/// # Errors
/// Its standard error.
///
/// # Panics
/// Where the program cannot be started.
pub async fn command(program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = std::process::Command::new(program);
    command.args(arguments);
    let output =
        tokio::task::spawn_blocking(move || command.output()).await.expect("output() does not panic");
    let output = output.unwrap_or_else(|error| panic_missing(program, &error));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[expect(clippy::panic, reason = "without its programs no story can be told")]
fn panic_missing(program: &str, error: &std::io::Error) -> ! {
    panic!("{program} cannot be started: {error}; `make e2e` puts it on the PATH")
}

/// `kubectl` with words as a user would type them.
///
/// # Errors
/// Its standard error.
pub async fn kubectl(words: &str) -> Result<String, String> {
    command("kubectl", &words.split_whitespace().collect::<Vec<_>>()).await
}
