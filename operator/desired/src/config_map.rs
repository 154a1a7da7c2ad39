//! The `ConfigMap` with the configuration file.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use mcp_server_config::constants::CONFIG_FILE;

use crate::{ValidatedServer, objects::metadata};

/// The `ConfigMap` that the pods mount. Pods see a change of it without a restart.
#[must_use]
pub fn config_map(server: &ValidatedServer) -> ConfigMap {
    ConfigMap {
        metadata: metadata(server, &server.names.config_map),
        data: Some(BTreeMap::from([(CONFIG_FILE.to_owned(), server.rendered.clone())])),
        ..ConfigMap::default()
    }
}
