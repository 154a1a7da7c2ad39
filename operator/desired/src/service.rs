//! The Service in front of the pods.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use mcp_server_config::constants::{MCP_PATH, MCP_PORT_NAME};

use crate::{ValidatedServer, labels, objects::metadata};

/// Port of a Service that was given none.
pub const DEFAULT_PORT: i32 = 80;

/// The Service in front of the pods.
#[must_use]
pub fn service(server: &ValidatedServer) -> Service {
    let options = &server.spec.service;
    let mut metadata = metadata(server, &server.names.service);
    // Ours last: a label of the user's never hides a child from the operator's watches.
    let mut all = options.labels.clone();
    all.append(metadata.labels.get_or_insert_default());
    metadata.labels = Some(all);
    metadata.annotations = Some(options.annotations.clone()).filter(|annotations| !annotations.is_empty());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(options.type_.unwrap_or_default().as_str().to_owned()),
            selector: Some(labels::selector(&server.name)),
            ports: Some(vec![ServicePort {
                name: Some(MCP_PORT_NAME.to_owned()),
                port: options.port.unwrap_or(DEFAULT_PORT),
                protocol: Some("TCP".to_owned()),
                app_protocol: Some("http".to_owned()),
                target_port: Some(IntOrString::String(MCP_PORT_NAME.to_owned())),
                ..ServicePort::default()
            }]),
            load_balancer_class: options.load_balancer_class.clone(),
            session_affinity: Some(options.session_affinity.unwrap_or_default().as_str().to_owned()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// Where the server answers inside the cluster.
#[must_use]
pub fn url(name: &str, namespace: &str, port: Option<i32>) -> String {
    match port.unwrap_or(DEFAULT_PORT) {
        80 => format!("http://{name}.{namespace}.svc{MCP_PATH}"),
        port => format!("http://{name}.{namespace}.svc:{port}{MCP_PATH}"),
    }
}
