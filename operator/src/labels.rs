//! The labels and annotations by which the operator finds and nudges what is its own.

pub use mcp_crds::annotations::CONFIG_HASH as NUDGE;
pub use mcp_crds::labels::INSTANCE;

/// Selects what this operator made. The value is checked against the parts by a test.
pub const OURS: &str = "app.kubernetes.io/managed-by=mcp-operator";

#[cfg(test)]
mod tests {
    use mcp_crds::labels::{MANAGED_BY, MANAGED_BY_VALUE};

    #[test]
    fn the_selector_is_what_the_children_are_labelled_with() {
        assert_eq!(super::OURS, format!("{MANAGED_BY}={MANAGED_BY_VALUE}"));
    }
}
