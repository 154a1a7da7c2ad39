//! `make generate`: writes the definition of the resource to where people and the chart take it from, and the page that lists
//! every setting.
//!
//! `crdgen` writes; `crdgen --check` writes nothing, and exits with 1 when a file is not what it would write. Both take
//! the repository's root as an optional argument, the working directory by default.

use std::{
    fmt, fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

const USAGE: &str = "usage: crdgen [--check] [ROOT]";
const PLAIN: &str = "crds/generated/mcpservers.yaml";
const CHART: &str = "charts/mcp-operator-crds/files/mcpservers.yaml";
const SETTINGS: &str = "docs/settings.md";
const HEADER: &str = "# Made by `make generate` from crds/src. Do not edit.\n";

fn main() -> ExitCode {
    let outcome = Command::read(std::env::args().skip(1)).and_then(|command| command.run());
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    // Where neither can be written to there is nobody to tell; the exit code still says it.
    match outcome {
        Ok(done) => writeln!(out, "{done}").map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        Err(failure) => {
            let _told = writeln!(err, "{failure}");
            failure.exit_code()
        }
    }
}

struct Command {
    check: bool,
    root: PathBuf,
}

/// Why nothing came of it.
enum Failure {
    Usage,
    File { doing: &'static str, path: PathBuf, cause: std::io::Error },
    Differs(PathBuf),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage => ExitCode::from(2),
            Self::File { .. } | Self::Differs(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage => f.write_str(USAGE),
            Self::File { doing, path, cause } => write!(f, "{doing} {}: {cause}", path.display()),
            Self::Differs(path) => {
                write!(
                    f,
                    "{} is not what the types in crds/src and server/config/src make; run `make generate` and commit it",
                    path.display()
                )
            }
        }
    }
}

impl Command {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let (mut check, mut root) = (false, None);
        for argument in arguments {
            match argument.as_str() {
                "--check" => check = true,
                flag if flag.starts_with('-') => return Err(Failure::Usage),
                _ if root.is_some() => return Err(Failure::Usage),
                path => root = Some(PathBuf::from(path)),
            }
        }
        Ok(Self { check, root: root.unwrap_or_else(|| PathBuf::from(".")) })
    }

    fn run(&self) -> Result<String, Failure> {
        for (path, text) in [(PLAIN, plain()), (CHART, chart()), (SETTINGS, mcp_crds::settings::page())] {
            let path = self.root.join(path);
            if self.check { check(&path, &text)? } else { write(&path, &text)? }
        }
        let verb = if self.check { "up to date" } else { "written" };
        Ok(format!("{PLAIN}, {CHART} and {SETTINGS}: {verb}"))
    }
}

/// The definition for `kubectl apply`.
fn plain() -> String {
    format!("{HEADER}{}", mcp_crds::schema::to_yaml(&mcp_crds::crd()))
}

/// The definition for the chart: kept when the release is uninstalled, since with the definition every resource of
/// the kind would go. The chart includes the file as it is; were it a template, Helm would take the double braces in
/// descriptions for its own.
fn chart() -> String {
    let mut crd = mcp_crds::crd();
    let annotations = crd.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    format!("{HEADER}{}", mcp_crds::schema::to_yaml(&crd))
}

fn check(path: &Path, text: &str) -> Result<(), Failure> {
    match fs::read_to_string(path) {
        Ok(there) if there == text => Ok(()),
        Ok(_) => Err(Failure::Differs(path.to_owned())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Err(Failure::Differs(path.to_owned())),
        Err(cause) => Err(Failure::File { doing: "reading", path: path.to_owned(), cause }),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = |doing| move |cause| Failure::File { doing, path: path.to_owned(), cause };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(file("making the folder of"))?;
    }
    fs::write(path, text).map_err(file("writing"))
}
