//! Names of children. Every legal name of an `McpServer` gives legal names of children.

use mcp_crds::MAX_NAME_LENGTH;

const SERVICE_ACCOUNT_SUFFIX: &str = "-mcp";
const CONFIG_MAP_SUFFIX: &str = "-config";
const API_KEY_SUFFIX: &str = "-api-key";

/// A Service's name is a DNS label; so is every other name here.
const MAX_LABEL_LENGTH: usize = 63;
// The pods of a Deployment are called <name>-<hash of 10>-<5>, which is cut when it gets too long for a label.
const _: () = assert!(MAX_NAME_LENGTH + API_KEY_SUFFIX.len() <= MAX_LABEL_LENGTH);
const _: () = assert!(MAX_NAME_LENGTH + CONFIG_MAP_SUFFIX.len() <= MAX_LABEL_LENGTH);
const _: () = assert!(MAX_NAME_LENGTH + SERVICE_ACCOUNT_SUFFIX.len() <= MAX_LABEL_LENGTH);

/// Name of the runtime container.
pub const CONTAINER: &str = "mcp-server";

/// The names of the children of one `McpServer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub deployment: String,
    pub service: String,
    /// The one that the operator makes; `spec.pod.serviceAccount.name` says that it makes none.
    pub service_account: String,
    pub config_map: String,
    /// The Secret with the generated key.
    pub api_key: String,
}

impl Names {
    #[must_use]
    pub fn of(server: &str) -> Self {
        Self {
            deployment: server.to_owned(),
            service: server.to_owned(),
            service_account: format!("{server}{SERVICE_ACCOUNT_SUFFIX}"),
            config_map: format!("{server}{CONFIG_MAP_SUFFIX}"),
            api_key: format!("{server}{API_KEY_SUFFIX}"),
        }
    }
}

/// Host names under which the Service is reached inside the cluster.
#[must_use]
pub fn hosts(service: &str, namespace: &str) -> [String; 4] {
    [
        service.to_owned(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
    ]
}

/// Whether a text is a DNS label that starts with a letter (RFC 1035), as the name of a Service has to be.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    bytes.len() <= MAX_LABEL_LENGTH
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(|byte| *byte != b'-')
        && bytes.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_labels() {
        for good in ["a", "hello", "a-1", "x9"] {
            assert!(is_dns_label(good), "{good}");
        }
        for bad in ["", "1a", "-a", "a-", "A", "a.b", "a_b", "é"] {
            assert!(!is_dns_label(bad), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn legal_names_have_children_with_legal_names(name in "[a-z]([-a-z0-9]{0,50}[a-z0-9])?") {
            let names = Names::of(&name);
            for child in [names.deployment, names.service, names.service_account, names.config_map, names.api_key] {
                proptest::prop_assert!(is_dns_label(&child), "{}", child);
            }
        }
    }
}
