//! Why a cluster could not be worked on.

use std::path::PathBuf;

use crate::program::RunError;

/// Each message ends with the next step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("kubectl is not on the PATH; install it (kubernetes.io/docs/tasks/tools), or correct the PATH")]
    NoKubectl,
    #[error(
        "the cluster does not answer: {reason}; check KUBECONFIG and `kubectl config current-context`, and that the cluster runs"
    )]
    NoCluster { reason: String },
    #[error(
        "the cluster does not know the kind {kind}; install the operator first: helm install mcp-operator-crds and mcp-operator (README.md, Into your own cluster)"
    )]
    NoOperator { kind: String },
    #[error("kubectl cannot read {}: {reason}; correct the file", file.display())]
    Manifest { file: PathBuf, reason: String },
    #[error("{} declares nothing to deploy; add a manifest", file.display())]
    Empty { file: PathBuf },
    #[error("{}: a {kind} has no name; give it metadata.name, so that it can be found again", file.display())]
    NoName { file: PathBuf, kind: String },
    #[error(
        "the namespace {namespace} is being deleted; wait until it is gone (`kubectl get namespace {namespace}`), and try again"
    )]
    NamespaceEnds { namespace: String },
    #[error("the answer of `{command}` cannot be read: {reason}; run it to see what it prints")]
    Answer { command: String, reason: String },
    #[error("`{command}` failed: {reason}; run it to see all that it prints")]
    Failed { command: String, reason: String },
    #[error("{0}; run it by hand to see why")]
    Run(RunError),
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Missing { .. } => Self::NoKubectl,
            error => Self::Run(error),
        }
    }
}
