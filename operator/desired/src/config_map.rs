//! The `ConfigMap` with the configuration file.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use mcp_crds::annotations;
use mcp_server_config::constants::CONFIG_FILE;

use crate::{ValidatedServer, last_valid::record, objects::metadata};

/// The `ConfigMap` that the pods mount. Pods see a change of it without a restart. It is also the record of the last valid
/// configuration, see [`crate::last_valid`].
#[must_use]
pub fn config_map(server: &ValidatedServer) -> ConfigMap {
    let mut metadata = metadata(server, &server.names.config_map);
    metadata.annotations =
        record(server).map(|record| BTreeMap::from([(annotations::LAST_VALID.to_owned(), record)]));
    ConfigMap {
        metadata,
        data: Some(BTreeMap::from([(CONFIG_FILE.to_owned(), server.rendered.clone())])),
        ..ConfigMap::default()
    }
}
