//! What was deployed last, kept between runs: the resolved file of a healthy deployment, and the containers that it
//! brought up. While exactly these run, going back to the kept file is going back to what ran.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::container::Container;
use super::project::Project;
use crate::output::note;

/// A deployment that became healthy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Deployed {
    /// The ids of its containers.
    pub(super) containers: BTreeSet<String>,
    /// The resolved Compose file.
    pub(super) config: Value,
}

/// Where deployments are kept: a folder of the user's state, as the XDG base directory specification has it.
#[derive(Clone, Debug)]
pub(super) struct State {
    folder: Option<PathBuf>,
}

impl State {
    pub(super) fn of_user() -> Self {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let root = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        Self { folder: root.map(|root| root.join("mcp-operator/deployments")) }
    }

    /// The last deployment of a project; none where nothing readable is kept.
    pub(super) fn read(&self, project: &str) -> Option<Deployed> {
        let text = fs::read_to_string(self.file(project)?).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps a deployment. The file is the user's alone, since a resolved Compose file holds passwords.
    pub(super) fn write(&self, project: &str, deployed: &Deployed) -> io::Result<()> {
        let (Some(folder), Some(file)) = (&self.folder, self.file(project)) else {
            return Err(io::Error::other("neither XDG_STATE_HOME nor HOME says where"));
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Written beside it first: a run that is ended half-way leaves the old one.
        let new = file.with_extension(format!("new{}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let written =
            options.write(true).create(true).truncate(true).mode(0o600).open(&new).and_then(|mut out| {
                serde_json::to_writer(&mut out, deployed)?;
                out.flush()
            });
        written.and_then(|()| fs::rename(&new, &file))
    }

    /// Forgets a project that was taken down.
    pub(super) fn forget(&self, project: &str) -> io::Result<()> {
        match self.file(project).map(fs::remove_file) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Some(Err(error)) => Err(error),
        }
    }

    /// Names of projects are lower-case letters, digits, '-' and '_'.
    fn file(&self, project: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{project}.json")))
    }
}

/// Remembers a healthy deployment for the rollback of the next one.
pub(super) fn keep(project: &Project, containers: &[Container]) {
    let containers = containers.iter().map(|container| container.id.clone()).collect();
    let deployed = Deployed { containers, config: project.config.clone() };
    if let Err(error) = State::of_user().write(&project.name, &deployed) {
        note(&format!(
            "warning: the deployment cannot be remembered ({error}); a rollback will restore images, and not the Compose file"
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_kept_privately_and_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let state = State { folder: Some(home.path().join("a/b")) };
        let deployed = Deployed { containers: ["c1".to_owned()].into(), config: json!({"name": "p"}) };
        assert_eq!(state.read("p"), None);
        state.write("p", &deployed).unwrap();
        state.write("p", &deployed).unwrap();
        assert_eq!(state.read("p"), Some(deployed));
        let mode = fs::metadata(home.path().join("a/b/p.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(home.path().join("a/b")).unwrap().count(), 1);
        state.forget("p").unwrap();
        state.forget("p").unwrap();
        assert_eq!(state.read("p"), None);
    }
}
