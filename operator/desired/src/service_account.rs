//! The pods' `ServiceAccount`.

use k8s_openapi::api::core::v1::ServiceAccount;

use crate::{ValidatedServer, objects::metadata};

/// The `ServiceAccount` of the pods; none where the resource names one. Its token is mounted nowhere: a server
/// has no business with the API server.
#[must_use]
pub fn service_account(server: &ValidatedServer) -> Option<ServiceAccount> {
    let options = &server.spec.pod.service_account;
    if options.name.is_some() {
        return None;
    }
    let mut metadata = metadata(server, &server.names.service_account);
    metadata.annotations = Some(options.annotations.clone()).filter(|annotations| !annotations.is_empty());
    Some(ServiceAccount {
        metadata,
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}
