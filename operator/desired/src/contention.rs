//! Another writer of the fields that the operator writes: when to stop answering it, and who it is.
//!
//! A field that was changed once is put right at once. One that is changed again and again belongs to a second writer (an
//! autoscaler, another operator, an admission webhook), and writing it as often as the other side does only makes pods come
//! and go. After [`TOLERATED`] reverts within [`WINDOW`] the operator waits, longer each time, and says whom it met.

mod manager;
mod reverts;

use std::fmt;

pub use manager::explain;
pub use reverts::{Decision, LONGEST_WAIT, Reverts, TOLERATED, WINDOW};

/// A field with a second writer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contention {
    pub reason: ContentionReason,
    /// Kind of the child. Example: Deployment.
    pub kind: String,
    /// Name of the child.
    pub name: String,
    /// The field, from the root of the child. Example: spec.replicas.
    pub field: String,
    /// The other writer's field manager, where the child names one.
    pub manager: Option<String>,
}

/// Who the other writer is: the reason of the condition `Contended`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentionReason {
    /// Another mcp-operator.
    SecondOperator,
    /// A `HorizontalPodAutoscaler`, or what works like one, on the Deployment instead of the `McpServer`.
    Autoscaler,
    /// The API server stores another value than the one applied: a mutating admission webhook or policy.
    AdmissionWebhook,
    /// Any other field manager.
    FieldManager,
}

impl ContentionReason {
    /// The word as it stands in the condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecondOperator => "SecondOperator",
            Self::Autoscaler => "Autoscaler",
            Self::AdmissionWebhook => "AdmissionWebhook",
            Self::FieldManager => "FieldManager",
        }
    }
}

impl fmt::Display for ContentionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Contention {
    /// Whether it decides what runs, so that the server cannot count as ready. An admission webhook has its way each time:
    /// the outcome is stable, and pods run.
    #[must_use]
    pub fn unsettles_pods(&self) -> bool {
        self.kind == "Deployment"
            && self.field.starts_with("spec")
            && self.reason != ContentionReason::AdmissionWebhook
    }

    /// What happens and the next step, for the server of this name.
    #[must_use]
    pub fn sentence(&self, server: &str) -> String {
        let Self { kind, name, field, .. } = self;
        match (self.reason, self.manager.as_deref()) {
            (ContentionReason::SecondOperator, _) => {
                let what = if field == reverts::WHOLE { String::new() } else { format!("{field} of ") };
                format!(
                    "{what}{kind} {name} is written by another mcp-operator too; uninstall one of them, or let each watch \
                     other namespaces (watchNamespaces)"
                )
            }
            (ContentionReason::Autoscaler, manager) => format!(
                "{field} of {kind} {name} is changed by {} after each revert; point the autoscaler at McpServer/{server}",
                manager.unwrap_or("an autoscaler")
            ),
            (ContentionReason::AdmissionWebhook, _) => format!(
                "{field} of {kind} {name} is stored with another value than the operator applies; exempt it from the admission \
                 webhook or policy that changes it, or set the same value in McpServer/{server}"
            ),
            (ContentionReason::FieldManager, Some(manager)) => format!(
                "{field} of {kind} {name} is changed by {manager} after each revert; stop {manager}, or make the change in \
                 McpServer/{server}"
            ),
            (ContentionReason::FieldManager, None) => format!(
                "{field} of {kind} {name} is changed after each revert; find the writer with kubectl get {} {name} -o yaml \
                 --show-managed-fields, or make the change in McpServer/{server}",
                kind.to_ascii_lowercase()
            ),
        }
    }
}

#[cfg(test)]
mod tests;
