//! Version v1alpha1. One section of the resource a file; a new section is a new file and one field.

// The derive of KubeSchema repeats each struct, `pub` and all, inside a function.
#![allow(unreachable_pub)]

pub mod pod;
pub mod probes;
pub mod rollout;
pub mod runtime;
pub mod service;
mod spec;
mod status;
pub mod volume;

pub use pod::{PodOptions, PodSecurity, SeLinux, ServiceAccountOptions};
pub use probes::{Probe, Probes, ReadinessProbe};
pub use rollout::Rollout;
pub use runtime::{ImagePullPolicy, LocalSecret, Runtime};
pub use service::{ServiceOptions, ServiceType, SessionAffinity};
pub use spec::{McpServer, McpServerSpec, default_replicas};
pub use status::{Condition, McpServerStatus};
pub use volume::Volume;

/// True where a section holds nothing that a user set: such a section is left out when the resource is written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
