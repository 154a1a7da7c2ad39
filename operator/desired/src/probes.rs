//! The kubelet's probes. Paths and port come from the constants that the server knows too.

use k8s_openapi::{
    api::core::v1::{HTTPGetAction, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use mcp_crds::v1alpha1::Probes;
use mcp_server_config::constants::{ADMIN_PORT_NAME, HEALTH_PATH, READY_PATH};

/// Start-up is about the process alone: a server whose upstreams are down must not be restarted for it.
pub(crate) fn startup(probes: &Probes) -> Probe {
    let options = &probes.startup;
    Probe {
        period_seconds: Some(options.period_seconds.unwrap_or(1)),
        timeout_seconds: Some(options.timeout_seconds.unwrap_or(1)),
        failure_threshold: Some(options.failure_threshold.unwrap_or(60)),
        ..get(HEALTH_PATH)
    }
}

pub(crate) fn readiness(probes: &Probes) -> Probe {
    let options = &probes.readiness;
    Probe {
        period_seconds: Some(options.period_seconds.unwrap_or(2)),
        timeout_seconds: Some(options.timeout_seconds.unwrap_or(2)),
        failure_threshold: Some(options.failure_threshold.unwrap_or(2)),
        success_threshold: Some(options.success_threshold.unwrap_or(1)),
        ..get(READY_PATH)
    }
}

pub(crate) fn liveness(probes: &Probes) -> Probe {
    let options = &probes.liveness;
    Probe {
        period_seconds: Some(options.period_seconds.unwrap_or(10)),
        timeout_seconds: Some(options.timeout_seconds.unwrap_or(5)),
        failure_threshold: Some(options.failure_threshold.unwrap_or(6)),
        ..get(HEALTH_PATH)
    }
}

fn get(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN_PORT_NAME.to_owned()),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}
