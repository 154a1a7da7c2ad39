//! The closed list of reasons: the same words in conditions, events and metrics.

use std::fmt;

/// Why a server is as it is. The list of `docs` and of the alerts; extend it there too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Rolled out and answering.
    Ready,
    /// No replicas are wanted.
    ScaledToZero,
    /// Not looked at yet, or waiting for `spec.paused` to end.
    Pending,
    /// On the way, and nothing is wrong so far.
    Progressing,
    /// The resource contradicts itself or cannot work.
    Invalid,
    /// A child's name belongs to somebody else.
    NameConflict,
    /// Another writer keeps changing what decides which pods run.
    Contended,
    /// A Secret, a `ConfigMap`, a key or a `ServiceAccount` that the resource names does not exist.
    ReferenceMissing,
    /// The image cannot be had.
    ImagePull,
    /// The container ends again and again.
    CrashLoop,
    /// The container used more memory than its limit.
    OutOfMemory,
    /// A pod that was ready answers no more.
    NotReady,
    /// No node can take the pod.
    Unschedulable,
    /// A quota of the namespace is used up.
    Quota,
    /// The operator or the pod is not allowed to.
    Forbidden,
    /// The API server or an admission webhook refused an object.
    Rejected,
    /// The rollout made no progress for longer than its deadline.
    RolloutStuck,
    /// The operator or the API server failed; it is tried again.
    Internal,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Self; 18] = [
        Self::Ready,
        Self::ScaledToZero,
        Self::Pending,
        Self::Progressing,
        Self::Invalid,
        Self::NameConflict,
        Self::Contended,
        Self::ReferenceMissing,
        Self::ImagePull,
        Self::CrashLoop,
        Self::OutOfMemory,
        Self::NotReady,
        Self::Unschedulable,
        Self::Quota,
        Self::Forbidden,
        Self::Rejected,
        Self::RolloutStuck,
        Self::Internal,
    ];

    /// The word as it stands in a condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::ScaledToZero => "ScaledToZero",
            Self::Pending => "Pending",
            Self::Progressing => "Progressing",
            Self::Invalid => "Invalid",
            Self::NameConflict => "NameConflict",
            Self::Contended => "Contended",
            Self::ReferenceMissing => "ReferenceMissing",
            Self::ImagePull => "ImagePull",
            Self::CrashLoop => "CrashLoop",
            Self::OutOfMemory => "OutOfMemory",
            Self::NotReady => "NotReady",
            Self::Unschedulable => "Unschedulable",
            Self::Quota => "Quota",
            Self::Forbidden => "Forbidden",
            Self::Rejected => "Rejected",
            Self::RolloutStuck => "RolloutStuck",
            Self::Internal => "Internal",
        }
    }

    /// The reason that a condition's word stands for.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// Whether a person has to do something; the operator alone cannot mend it, and waiting does not either.
    #[must_use]
    pub const fn needs_a_person(self) -> bool {
        match self {
            Self::Invalid
            | Self::NameConflict
            | Self::Contended
            | Self::ReferenceMissing
            | Self::ImagePull
            | Self::CrashLoop
            | Self::OutOfMemory
            | Self::Unschedulable
            | Self::Quota
            | Self::Forbidden
            | Self::Rejected
            | Self::RolloutStuck => true,
            Self::Ready
            | Self::ScaledToZero
            | Self::Pending
            | Self::Progressing
            | Self::NotReady
            | Self::Internal => false,
        }
    }

    /// Whether something is wrong, as opposed to well, or on the way.
    #[must_use]
    pub const fn is_a_problem(self) -> bool {
        !matches!(self, Self::Ready | Self::ScaledToZero | Self::Pending | Self::Progressing)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Types of conditions.
pub mod condition {
    pub const READY: &str = "Ready";
    pub const AVAILABLE: &str = "Available";
    pub const RECONCILING: &str = "Reconciling";
    pub const STALLED: &str = "Stalled";
    pub const PAUSED: &str = "Paused";
    pub const DEGRADED: &str = "Degraded";
    pub const CONTENDED: &str = "Contended";
    pub const INJECTED: &str = "Injected";
    pub const INSECURE_SETTINGS: &str = "InsecureSettings";
    pub const ENVIRONMENT_SETTINGS: &str = "EnvironmentSettings";
}

/// Reasons of the conditions besides `Ready` and `Stalled`.
pub mod word {
    pub const SERVING: &str = "Serving";
    pub const NO_ENDPOINTS: &str = "NoEndpoints";
    pub const CREATING: &str = "Creating";
    pub const UPDATING: &str = "Updating";
    pub const ROLLING_OUT: &str = "RollingOut";
    pub const RETRYING: &str = "Retrying";
    pub const KEYS_REFUSED: &str = "KeysRefused";
    pub const CONFIG_REFUSED: &str = "ConfigRefused";
    pub const TOOLS_FAILING: &str = "ToolsFailing";
    pub const COMPONENT_FAILING: &str = "ComponentFailing";
    pub const PAUSED: &str = "Paused";
    pub const WAITING_FOR_ADDRESS: &str = "WaitingForAddress";
    pub const SIDECARS: &str = "Sidecars";
    pub const ENVIRONMENT: &str = "Environment";
}
