//! What is in the cluster before a deployment, remembered so that it can be brought back.

use std::collections::BTreeMap;

use super::cluster::{Cluster, WRITE};
use super::error::Error;
use super::object::{self, Key, Object};
use crate::text;

/// The objects that a deployment is going to write, as they were.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) objects: BTreeMap<Key, Object>,
    /// Whether the namespace was made by this deployment.
    pub(super) made_namespace: bool,
}

impl Before {
    /// Remembers what is there, and makes the namespace if it is missing.
    pub(super) fn find(cluster: &Cluster, declared: &[Object]) -> Result<Self, Error> {
        let objects = cluster.present(declared)?;
        let made_namespace = !has_namespace(cluster)?;
        if made_namespace {
            cluster.write(&["create", "namespace", &cluster.namespace], None, WRITE)?;
        }
        Ok(Self { objects, made_namespace })
    }
}

fn has_namespace(cluster: &Cluster) -> Result<bool, Error> {
    let arguments = ["get", "namespace", &cluster.namespace, "--ignore-not-found", "--output", "json"];
    let answer = cluster.ask(&arguments, None)?;
    if !answer.success {
        // Who may only use a namespace may not look at it, and then it has been made by another.
        if answer.stderr.contains("(Forbidden)") {
            return Ok(true);
        }
        let reason = text::last_line(&answer.stderr);
        return Err(Error::Failed { command: cluster.typed(&arguments), reason });
    }
    let found = object::parse(&answer.stdout)
        .map_err(|reason| Error::Answer { command: cluster.typed(&arguments), reason })?;
    match found.first() {
        Some(namespace) if namespace.text("/status/phase") == "Terminating" => {
            Err(Error::NamespaceEnds { namespace: cluster.namespace.clone() })
        }
        found => Ok(found.is_some()),
    }
}
