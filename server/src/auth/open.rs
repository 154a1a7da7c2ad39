//! A door that stands open to more than this machine.

use std::net::SocketAddr;

use mcp_server_config::{AuthMode, ServerConfig};

use crate::environment::Environment;

/// What a user should know of a server at `address` that asks nobody who they are. In a cluster the resource says so, and
/// the operator tells of it.
#[must_use]
pub fn warning(
    config: &ServerConfig,
    address: Option<SocketAddr>,
    environment: &Environment,
) -> Option<String> {
    let address = address.filter(|address| !address.ip().is_loopback())?;
    let open = config.service.auth.mode() == AuthMode::Disabled && !environment.in_cluster();
    open.then(|| {
        format!(
            "auth.mode is Disabled and the server listens on {address}: whoever reaches this machine may call its tools; \
             set auth.mode to Required, or http.address to 127.0.0.1:{}",
            address.port()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_open_door_to_others_is_told() {
        let mut config = ServerConfig::default();
        let (machine, cluster) =
            (Environment::default(), Environment::from([("KUBERNETES_SERVICE_HOST", "10.0.0.1")]));
        let warned = |config: &ServerConfig, address: &str, environment: &Environment| {
            warning(config, Some(address.parse().unwrap()), environment).is_some()
        };
        assert!(!warned(&config, "0.0.0.0:8080", &machine));
        config.service.auth.mode = Some(AuthMode::Disabled);
        assert!(warned(&config, "0.0.0.0:8080", &machine));
        assert!(warned(&config, "192.0.2.1:8080", &machine));
        assert!(!warned(&config, "127.0.0.1:8080", &machine));
        assert!(!warned(&config, "0.0.0.0:8080", &cluster));
        assert_eq!(warning(&config, None, &machine), None, "behind standard input and output");
    }
}
