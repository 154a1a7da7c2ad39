//! What runs before a deployment, remembered so that it can be brought back.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::container::Container;
use super::engine::Compose;
use super::error::Error;
use super::project::Project;
use super::state::State;

/// What ran before.
#[derive(Debug)]
pub(super) struct Previous {
    pub(super) containers: Vec<Container>,
    /// For each service the id of the image that its containers were made from.
    images: BTreeMap<String, String>,
    /// The resolved file that made exactly these containers, where it is known.
    project: Option<Project>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    #[serde(rename = "ID")]
    id: String,
    container_name: String,
}

impl Previous {
    pub(super) fn find(compose: &Compose, project: &str, state: &State) -> Result<Self, Error> {
        let containers = compose.containers()?;
        let mut images = BTreeMap::new();
        if !containers.is_empty() {
            let arguments = ["images", "--format", "json"];
            let listed: Vec<Image> =
                serde_json::from_str(&compose.question(&arguments)?).map_err(|error| Error::Answer {
                    command: compose.program.typed(&arguments),
                    reason: error.to_string(),
                })?;
            for container in &containers {
                if let Some(image) = listed.iter().find(|image| image.container_name == container.name) {
                    images.insert(container.service.clone(), with_algorithm(&image.id));
                } else if container.state == "running" {
                    // A rollback would leave this service out, which is to say remove it.
                    let reason = format!("it has no image of the container {}", container.name);
                    return Err(Error::Answer { command: compose.program.typed(&arguments), reason });
                }
            }
        }
        let ids: BTreeSet<_> = containers.iter().map(|container| container.id.clone()).collect();
        let project = state
            .read(project)
            .filter(|deployed| deployed.containers == ids)
            .map(|deployed| Project { name: project.to_owned(), config: deployed.config });
        Ok(Self { containers, images, project })
    }

    /// Whether anything ran that could be brought back.
    pub(super) fn ran(&self) -> bool {
        self.containers.iter().any(|container| container.state == "running")
    }

    /// Whether exactly the same containers run now.
    pub(super) fn is_untouched(&self, now: &[Container]) -> bool {
        let ids = |containers: &[Container]| -> BTreeSet<(String, bool)> {
            containers.iter().map(|one| (one.id.clone(), one.state == "running")).collect()
        };
        ids(&self.containers) == ids(now)
    }

    /// Whether going back restores the file as well, not the images alone.
    pub(super) fn knows_file(&self) -> bool {
        self.project.is_some()
    }

    /// The Compose file that brings it back. `current` stands in where the file that made the containers is not known;
    /// an image goes by its name where that is among `names`, else by its id.
    pub(super) fn config(&self, current: &Project, names: &BTreeSet<&str>) -> Project {
        let project = self.project.as_ref().unwrap_or(current);
        let mut images = self.images.clone();
        for container in self.containers.iter().filter(|container| names.contains(container.image.as_str())) {
            images.insert(container.service.clone(), container.image.clone());
        }
        Project { name: project.name.clone(), config: project.pinned(&images) }
    }

    /// For each image that went by a name the name and the id: after a build, the name belongs to the new one.
    pub(super) fn names(&self) -> BTreeMap<&str, &str> {
        let named =
            self.containers.iter().filter(|one| !one.image.is_empty() && !one.image.starts_with(SHA256));
        named.filter_map(|one| Some((one.image.as_str(), self.images.get(&one.service)?.as_str()))).collect()
    }
}

const SHA256: &str = "sha256:";

/// Older versions print the digest alone.
fn with_algorithm(id: &str) -> String {
    if id.starts_with(SHA256) { id.to_owned() } else { format!("{SHA256}{id}") }
}

impl Project {
    /// The resolved file as text; Compose reads JSON as the YAML that it is.
    pub(super) fn text(&self) -> String {
        Value::to_string(&self.config)
    }
}
