//! Which release of the operator manages a resource, where several watch it.
//!
//! The name of the release stands in `status.operator`; it is written once, before the first child. A release that finds
//! another name there stays on standby while that release runs, and takes the resource over when it is gone.

use mcp_crds::{McpServer, McpServerStatus};

/// Whether another release of the operator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Its Lease is renewed.
    Alive,
    /// Its Lease is not renewed any more, or does not exist.
    Gone,
    /// That cannot be found out.
    Unknown,
}

/// What a release is to do about a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// Manage it: it is its own.
    Ours,
    /// Claim it: it belongs to no release.
    Free,
    /// Ask for the liveness of the release that it belongs to.
    Held(&'a str),
}

/// Whose the resource is, from the point of view of the release `identity` (`namespace/name`).
#[must_use]
pub fn claim<'a>(server: &'a McpServer, identity: &str) -> Claim<'a> {
    match server.status.as_ref().and_then(|status| status.operator.as_deref()) {
        None => Claim::Free,
        Some(holder) if holder == identity => Claim::Ours,
        Some(holder) => Claim::Held(holder),
    }
}

/// The status with which the release `identity` claims a resource: everything else stays as it is.
#[must_use]
pub fn claimed(server: &McpServer, identity: &str) -> McpServerStatus {
    McpServerStatus {
        operator: Some(identity.to_owned()),
        standby: None,
        ..server.status.clone().unwrap_or_default()
    }
}

/// Message of the condition `Contended` for a release on standby.
#[must_use]
pub fn sentence(holder: &str, standby: &str) -> String {
    format!(
        "operator {standby} also watches this namespace and is on standby, because operator {holder} manages this McpServer; \
         uninstall one of the two, or let each watch other namespaces (watchNamespaces)"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::server;

    #[test]
    fn the_name_in_the_status_decides() {
        let mut server = server(json!({}));
        assert_eq!(claim(&server, "a/mcp"), Claim::Free);
        server.status = Some(McpServerStatus {
            summary: Some("kept".into()),
            standby: Some("b/mcp".into()),
            ..McpServerStatus::default()
        });
        let status = claimed(&server, "a/mcp");
        assert_eq!((status.summary.as_deref(), &status.standby), (Some("kept"), &None));
        server.status = Some(status);
        assert_eq!(claim(&server, "a/mcp"), Claim::Ours);
        assert_eq!(claim(&server, "b/mcp"), Claim::Held("a/mcp"));
    }
}
