//! A folder to run the program in, with scripted programs on the PATH and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A working directory of its own.
pub(crate) struct Desk {
    folder: TempDir,
}

/// What a run answered.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// The answer in JSON, which is all of standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {:?} {}", self.stdout, self.stderr))
    }

    /// The error of an answer in JSON, with the exit code that belongs to it.
    pub(crate) fn error(&self) -> String {
        let json = self.json();
        assert_eq!((json["success"].as_bool(), self.code), (Some(false), 1), "{json}");
        json["error"].as_str().unwrap().to_owned()
    }

    /// The message of an answer in JSON, with the exit code that belongs to it.
    pub(crate) fn message(&self) -> String {
        let json = self.json();
        assert_eq!((json["success"].as_bool(), self.code), (Some(true), 0), "{json}\n{}", self.stderr);
        json["message"].as_str().unwrap().to_owned()
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Puts a program on the PATH that runs `script`. It is a link, since a file that was just written may be held open
    /// by a process that another test is starting, and then cannot be run.
    pub(crate) fn program(&self, name: &str, script: &str) -> &Self {
        self.file(&format!("{name}.sh"), script);
        let link = self.path("bin").join(name);
        if !link.exists() {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/program.sh"), link).unwrap();
        }
        self
    }

    /// How the programs were called, a line each.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.read("calls").lines().map(str::to_owned).collect()
    }

    /// Forgets the calls so far.
    pub(crate) fn forget_calls(&self) {
        self.file("calls", "");
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_kubectl-mcp"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("FAKE", self.folder.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
    }
}
