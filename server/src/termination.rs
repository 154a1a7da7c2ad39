//! The last word of a process that cannot start, where Kubernetes looks for it.
//!
//! The kubelet mounts a file into each container and shows its content when the container ends
//! (kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure). Outside a container there is no such file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use mcp_server_config::env::TERMINATION_LOG;

use crate::environment::Environment;

/// Where the file is unless `terminationMessagePath` of the container says otherwise.
const USUAL: &str = "/dev/termination-log";
/// The most bytes of a message: the kubelet keeps 4096, and less where a pod has several containers.
const MOST: usize = 2048;

/// The file for the last word.
#[derive(Clone, Debug)]
pub struct Termination {
    file: PathBuf,
}

impl Termination {
    /// The usual file, or the one that a variable names.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        Self { file: environment.get(TERMINATION_LOG).unwrap_or(USUAL).into() }
    }

    /// Leaves a sentence, in one line. The file is never made: where there is none, nobody reads it; and that it cannot be
    /// written must not hide the cause, which standard error has as well.
    pub fn leave(&self, cause: &str) {
        let line = cause.split_whitespace().collect::<Vec<_>>().join(" ");
        let end = (0..=MOST.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        if let Ok(mut file) = OpenOptions::new().write(true).truncate(true).open(&self.file) {
            let _unread = file.write_all(&line.as_bytes()[..end]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_within_its_bounds_and_makes_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("log");
        let termination =
            Termination::of(&Environment::from([("MCP_TERMINATION_LOG", file.to_str().unwrap())]));
        termination.leave("a");
        assert!(!file.exists());
        std::fs::write(&file, "what was there before, and longer").unwrap();
        termination.leave("a\n  b");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a b");
        termination.leave(&"é".repeat(3000));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "é".repeat(1024));
        assert_eq!(Termination::of(&Environment::default()).file, PathBuf::from("/dev/termination-log"));
    }
}
