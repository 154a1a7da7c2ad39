//! Finding kubectl and the cluster, and asking it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Error;
use super::object::{self, Key, Object};
use crate::program::{Answer, Program};
use crate::text;

/// The limit of one question to the API server.
const QUESTION: Duration = Duration::from_secs(30);
/// The limit of a call that writes all objects.
pub(super) const WRITE: Duration = Duration::from_secs(120);

/// A namespace of a cluster, and the manifests that belong into it.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    kubectl: Program,
    file: PathBuf,
    pub(super) namespace: String,
    /// What each call ends with.
    scope: Vec<String>,
}

impl Cluster {
    /// Finds kubectl, and a cluster that answers.
    pub(crate) fn find(file: &Path, namespace: &str, context: Option<&str>) -> Result<Self, Error> {
        let mut scope = vec!["--namespace".to_owned(), namespace.to_owned()];
        if let Some(context) = context {
            scope.extend(["--context".to_owned(), context.to_owned()]);
        }
        let cluster = Self {
            kubectl: Program::new("kubectl"),
            file: file.to_owned(),
            namespace: namespace.to_owned(),
            scope,
        };
        let answer = cluster.ask(&["version", "--output", "json", "--request-timeout", "10s"], None)?;
        if answer.success {
            return Ok(cluster);
        }
        Err(Error::NoCluster { reason: text::last_line(&answer.stderr) })
    }

    /// The objects that the file declares, in its order, with their namespaces filled in.
    pub(super) fn declared(&self) -> Result<Vec<Object>, Error> {
        let (flag, file) = self.source();
        // Nothing is created: kubectl reads, puts the namespace in, and prints.
        let arguments = ["create", "--dry-run=client", "--validate=false", "--output", "json", flag, &file];
        let answer = self.ask(&arguments, None)?;
        if !answer.success {
            return Err(match unknown_kind(&answer.stderr) {
                Some(kind) => Error::NoOperator { kind },
                None => Error::Manifest { file: self.file.clone(), reason: text::last_line(&answer.stderr) },
            });
        }
        let objects = object::parse(&answer.stdout)
            .map_err(|reason| Error::Answer { command: self.typed(&arguments), reason })?;
        if objects.is_empty() {
            return Err(Error::Empty { file: self.file.clone() });
        }
        match objects.iter().map(Object::key).find(|key| key.name.is_empty()) {
            Some(key) => Err(Error::NoName { file: self.file.clone(), kind: key.kind }),
            None => Ok(objects),
        }
    }

    /// Those of the objects that are in the cluster, as they are there.
    pub(super) fn present(&self, objects: &[Object]) -> Result<BTreeMap<Key, Object>, Error> {
        let arguments = ["get", "--filename", "-", "--ignore-not-found", "--output", "json"];
        let stdout = self.question(&arguments, Some(&object::list(objects)))?;
        let found = object::parse(&stdout)
            .map_err(|reason| Error::Answer { command: self.typed(&arguments), reason })?;
        Ok(found.into_iter().map(|object| (object.key(), object)).collect())
    }

    /// Asks something, and returns what was printed.
    pub(super) fn question(&self, arguments: &[&str], input: Option<&str>) -> Result<String, Error> {
        let answer = self.ask(arguments, input)?;
        if answer.success {
            return Ok(answer.stdout);
        }
        Err(self.failed(arguments, &answer.stderr))
    }

    /// Writes something; what kubectl says of it is shown.
    pub(super) fn write(
        &self,
        arguments: &[&str],
        input: Option<&str>,
        limit: Duration,
    ) -> Result<(), Error> {
        let answer = self.follow(arguments, input, limit)?;
        if answer.success {
            return Ok(());
        }
        Err(self.failed(arguments, &answer.stderr))
    }

    /// Deletes objects, and waits until they are gone.
    pub(super) fn delete<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Object>,
        timeout: Duration,
    ) -> Result<(), Error> {
        let wait = format!("--timeout={}s", timeout.as_secs());
        let arguments = ["delete", "--filename", "-", "--ignore-not-found", &wait];
        // kubectl itself says what is not gone in time; the limit is for one that hangs.
        self.write(&arguments, Some(&object::list(objects)), timeout + QUESTION)
    }

    /// How kubectl is given the file: a folder with a kustomization goes by another flag.
    pub(super) fn source(&self) -> (&'static str, Cow<'_, str>) {
        let has_kustomization = ["kustomization.yaml", "kustomization.yml", "Kustomization"]
            .iter()
            .any(|name| self.file.join(name).is_file());
        (if has_kustomization { "-k" } else { "-f" }, self.file.to_string_lossy())
    }

    /// Runs a call whose progress is shown.
    pub(super) fn follow(
        &self,
        arguments: &[&str],
        input: Option<&str>,
        limit: Duration,
    ) -> Result<Answer, Error> {
        Ok(self.kubectl.follow(&self.scoped(arguments), input, Some(limit))?)
    }

    pub(super) fn ask(&self, arguments: &[&str], input: Option<&str>) -> Result<Answer, Error> {
        Ok(self.kubectl.ask(&self.scoped(arguments), input, QUESTION)?)
    }

    /// What a person would type.
    pub(super) fn typed(&self, arguments: &[&str]) -> String {
        self.kubectl.typed(&self.scoped(arguments))
    }

    fn scoped<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        arguments.iter().copied().chain(self.scope.iter().map(String::as_str)).collect()
    }

    fn failed(&self, arguments: &[&str], stderr: &str) -> Error {
        Error::Failed { command: self.typed(arguments), reason: text::last_line(stderr) }
    }
}

/// The kind that the cluster does not know, in what kubectl says of a manifest.
fn unknown_kind(stderr: &str) -> Option<String> {
    let (_, rest) = stderr.split_once("no matches for kind \"")?;
    rest.split_once('"').map(|(kind, _)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_is_named() {
        let said = "error: resource mapping not found for name: \"hello\" namespace: \"\" from \"x\": no matches for kind \"McpServer\" in version \"mcp-operator.dev/v1alpha1\"\nensure CRDs are installed first";
        assert_eq!(unknown_kind(said).as_deref(), Some("McpServer"));
        assert_eq!(unknown_kind("error: the path \"x\" does not exist"), None);
    }
}
