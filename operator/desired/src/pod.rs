//! The pods: one container that passes Pod Security `restricted` with a read-only root.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
        KeyToPath, LocalObjectReference, PodSecurityContext, PodSpec, ProjectedVolumeSource,
        ResourceRequirements, SELinuxOptions, SeccompProfile, SecretProjection, SecretVolumeSource,
        SecurityContext, TopologySpreadConstraint, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};
use mcp_server_config::constants::{
    ADMIN_PORT, ADMIN_PORT_NAME, API_KEYS_DIR, API_KEYS_FILE, CONFIG_DIR, CONFIG_FILE, MCP_PORT,
    MCP_PORT_NAME, SECRETS_DIR,
};

use crate::{
    Settings, ValidatedServer, deployment::image, labels, names::CONTAINER, probes, quantity::exceeds,
    validate::Keys,
};

/// Volumes of the operator start with this; those of users may not.
pub(crate) const VOLUME_PREFIX: &str = "mcp-";
const CONFIG_VOLUME: &str = "mcp-config";
const API_KEYS_VOLUME: &str = "mcp-api-keys";
const SECRETS_VOLUME: &str = "mcp-secrets";
const TMP_VOLUME: &str = "mcp-tmp";
/// The one place where the server may write.
const TMP_DIR: &str = "/tmp";
/// Directories that mounts of users may neither shadow nor lie in.
pub(crate) const TAKEN_DIRS: [&str; 4] = [CONFIG_DIR, API_KEYS_DIR, SECRETS_DIR, TMP_DIR];

pub(crate) fn pod_spec(server: &ValidatedServer, settings: &Settings) -> PodSpec {
    let options = &server.spec.pod;
    let named = options.service_account.name.as_ref();
    let pull_secrets = server.spec.runtime.image_pull_secrets.iter();
    PodSpec {
        service_account_name: Some(named.unwrap_or(&server.names.service_account).clone()),
        automount_service_account_token: Some(false),
        // Variables for every Service of the namespace slow a start down and leak names.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(server.grace_period_seconds),
        security_context: Some(pod_security(server)),
        image_pull_secrets: some(
            pull_secrets.map(|secret| LocalObjectReference { name: secret.name.clone() }).collect(),
        ),
        containers: vec![container(server, settings)],
        volumes: Some(volumes(server)),
        node_selector: Some(options.node_selector.clone()).filter(|labels| !labels.is_empty()),
        tolerations: some(options.tolerations.clone()),
        affinity: options.affinity.clone(),
        topology_spread_constraints: Some(topology_spread(server)),
        priority_class_name: options.priority_class_name.clone(),
        runtime_class_name: options.runtime_class_name.clone(),
        dns_policy: options.dns_policy.map(|policy| policy.as_str().to_owned()),
        dns_config: options.dns_config.clone(),
        ..PodSpec::default()
    }
}

fn container(server: &ValidatedServer, settings: &Settings) -> Container {
    let runtime = &server.spec.runtime;
    let policy = runtime.image_pull_policy.map(|policy| policy.as_str().to_owned());
    Container {
        name: CONTAINER.to_owned(),
        image: Some(image(server, settings).to_owned()),
        image_pull_policy: Some(policy.unwrap_or_else(|| settings.runtime_image_pull_policy.clone())),
        // Arguments to the image's entrypoint, /mcp-server in ours, so that an image of somebody's own may wrap it.
        args: Some(vec!["serve".to_owned(), "--config".to_owned(), format!("{CONFIG_DIR}/{CONFIG_FILE}")]),
        ports: Some(vec![port(MCP_PORT_NAME, MCP_PORT), port(ADMIN_PORT_NAME, ADMIN_PORT)]),
        env: some(variables(server)),
        env_from: some(runtime.env_from.clone()),
        resources: Some(resources(runtime.resources.as_ref())),
        volume_mounts: Some(mounts(server)),
        startup_probe: Some(probes::startup(&server.spec.probes)),
        readiness_probe: Some(probes::readiness(&server.spec.probes)),
        liveness_probe: Some(probes::liveness(&server.spec.probes)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            ..SecurityContext::default()
        }),
        // The last lines of the log become the termination message, and from there the resource's status.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// The variables that the resource gives, and those that `envFrom` must not set: an empty one counts as not set.
fn variables(server: &ValidatedServer) -> Vec<EnvVar> {
    let empty = |name: &String| EnvVar { name: name.clone(), ..EnvVar::default() };
    let shut_out = server.environment.shut_out.iter().map(empty);
    server.spec.runtime.env.iter().cloned().chain(shut_out).collect()
}

/// What Pod Security `restricted` asks for, with the user's choices where it leaves any.
fn pod_security(server: &ValidatedServer) -> PodSecurityContext {
    let options = &server.spec.pod.security_context;
    PodSecurityContext {
        run_as_non_root: Some(true),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        run_as_user: options.run_as_user,
        run_as_group: options.run_as_group,
        fs_group: options.fs_group,
        fs_group_change_policy: options.fs_group_change_policy.map(|policy| policy.as_str().to_owned()),
        supplemental_groups: some(options.supplemental_groups.clone()),
        se_linux_options: options.se_linux_options.as_ref().map(|label| SELinuxOptions {
            level: label.level.clone(),
            type_: label.type_.clone(),
            ..SELinuxOptions::default()
        }),
        ..PodSecurityContext::default()
    }
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// Enough for a server that holds no data of its own. No CPU limit: throttling turns one busy moment into many
/// slow answers.
fn resources(given: Option<&ResourceRequirements>) -> ResourceRequirements {
    let default = |pairs: &[(&str, &str)],
                   bound: Option<&BTreeMap<String, Quantity>>,
                   bent: fn(&str, &str) -> bool| {
        let amount = |name: &str, amount: &str| match bound.and_then(|bound| bound.get(name)) {
            Some(bound) if bent(amount, &bound.0) => bound.clone(),
            _ => Quantity(amount.to_owned()),
        };
        pairs.iter().map(|(name, text)| ((*name).to_owned(), amount(name, text))).collect::<BTreeMap<_, _>>()
    };
    let (requests, limits) =
        given.map_or((None, None), |given| (given.requests.as_ref(), given.limits.as_ref()));
    // What we add gives way to what the user said: a request above a limit would be refused.
    let default_requests = || default(&[("cpu", "50m"), ("memory", "64Mi")], limits, exceeds);
    let default_limits = || default(&[("memory", "256Mi")], requests, |own, request| exceeds(request, own));
    ResourceRequirements {
        requests: Some(requests.cloned().unwrap_or_else(default_requests)),
        limits: Some(limits.cloned().unwrap_or_else(default_limits)),
        claims: None,
    }
}

fn mounts(server: &ValidatedServer) -> Vec<VolumeMount> {
    let read_only = |volume: &str, path: &str| VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let mut all = vec![read_only(CONFIG_VOLUME, CONFIG_DIR)];
    if server.keys != Keys::None {
        all.push(read_only(API_KEYS_VOLUME, API_KEYS_DIR));
    }
    if !server.secrets.is_empty() {
        all.push(read_only(SECRETS_VOLUME, SECRETS_DIR));
    }
    all.push(VolumeMount {
        name: TMP_VOLUME.to_owned(),
        mount_path: TMP_DIR.to_owned(),
        ..VolumeMount::default()
    });
    all.extend(server.spec.runtime.volume_mounts.iter().cloned());
    all
}

fn volumes(server: &ValidatedServer) -> Vec<Volume> {
    let mut all = vec![Volume {
        name: CONFIG_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: server.names.config_map.clone(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }];
    let keys = match &server.keys {
        Keys::Generated { secret } => Some((secret, API_KEYS_FILE)),
        Keys::Given { secret, key } => Some((secret, key.as_str())),
        Keys::None => None,
    };
    if let Some((secret, key)) = keys {
        all.push(Volume {
            name: API_KEYS_VOLUME.to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(secret.clone()),
                // A pod without its keys would refuse everybody, or worse; it is better not to start it.
                optional: Some(false),
                items: Some(vec![KeyToPath {
                    key: key.to_owned(),
                    path: API_KEYS_FILE.to_owned(),
                    ..KeyToPath::default()
                }]),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    all.extend(secrets(server));
    all.push(Volume {
        name: TMP_VOLUME.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity("64Mi".to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    });
    all.extend(server.spec.volumes.iter().map(|volume| Volume {
        name: volume.name.clone(),
        config_map: volume.config_map.clone(),
        secret: volume.secret.clone(),
        empty_dir: volume.empty_dir.clone(),
        persistent_volume_claim: volume.persistent_volume_claim.clone(),
        projected: volume.projected.clone(),
        csi: volume.csi.clone(),
        ..Volume::default()
    }));
    all
}

/// The secrets that the configuration refers to, each as `<Secret>/<key>` in one volume. Like keys, none is optional: a
/// server that starts without its Redis password only seems to run.
fn secrets(server: &ValidatedServer) -> Option<Volume> {
    let mut by_name: BTreeMap<&str, Vec<KeyToPath>> = BTreeMap::new();
    for (name, key) in &server.secrets {
        let path = format!("{name}/{key}");
        by_name.entry(name).or_default().push(KeyToPath { key: key.clone(), path, mode: None });
    }
    let sources: Vec<_> = by_name
        .into_iter()
        .map(|(name, items)| VolumeProjection {
            secret: Some(SecretProjection {
                name: name.to_owned(),
                items: Some(items),
                optional: Some(false),
            }),
            ..VolumeProjection::default()
        })
        .collect();
    (!sources.is_empty()).then(|| Volume {
        name: SECRETS_VOLUME.to_owned(),
        projected: Some(ProjectedVolumeSource { sources: Some(sources), ..ProjectedVolumeSource::default() }),
        ..Volume::default()
    })
}

/// Spread over nodes and zones, where the resource does not say. One replica gets the same: were it otherwise,
/// scaling from one to two would change the template and so replace the pod.
fn topology_spread(server: &ValidatedServer) -> Vec<TopologySpreadConstraint> {
    let own_pods =
        LabelSelector { match_labels: Some(labels::selector(&server.name)), ..LabelSelector::default() };
    let given = &server.spec.pod.topology_spread_constraints;
    if given.is_empty() {
        let over = |topology_key: &str| TopologySpreadConstraint {
            max_skew: 1,
            topology_key: topology_key.to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(own_pods.clone()),
            ..TopologySpreadConstraint::default()
        };
        return vec![over("kubernetes.io/hostname"), over("topology.kubernetes.io/zone")];
    }
    let with_selector = |constraint: &TopologySpreadConstraint| TopologySpreadConstraint {
        label_selector: Some(constraint.label_selector.clone().unwrap_or_else(|| own_pods.clone())),
        ..constraint.clone()
    };
    given.iter().map(with_selector).collect()
}

/// An empty list as nothing at all, which is how the API server gives it back.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}
