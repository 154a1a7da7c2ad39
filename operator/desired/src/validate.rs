//! Every rule that the resource must keep, all violations at once, and what is worked out on the way.
//!
//! The schema refuses most of these at admission already. They are repeated here because a resource may be older
//! than a rule, and because `mcp-operator render` has no API server in front of it.

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements, VolumeMount};
use kube::Resource;
use mcp_crds::{MAX_NAME_LENGTH, McpServer, McpServerSpec};
use mcp_server_config::{
    AuthMode, Duration, HttpProcess, Path, ProcessConfig, SecretRef, ServerConfig, ServiceConfig, Shutdown,
    Violation, compile, config_hash,
    constants::{ADMIN_PORT, API_KEYS_DIR, API_KEYS_FILE, MCP_PORT},
    render, restart_hash, validate_service,
};

use crate::{
    Names, Observed,
    labels::{is_label_value, is_qualified_name, is_reserved_annotation, is_reserved_label},
    names::{hosts, is_dns_label},
    pod::{TAKEN_DIRS, VOLUME_PREFIX},
    quantity,
};

/// The most bytes of configuration that a `ConfigMap` is given; the API server takes 1 MiB with everything around it.
pub const MAX_CONFIG_BYTES: usize = 900 * 1024;
/// How long a stopping pod goes on accepting where the resource does not say.
pub const DEFAULT_DRAIN_DELAY: Duration = Duration::from_secs(5);
/// What a drain gets beyond the longest call, where the resource does not say.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);
/// What the kubelet waits beyond the drain before it kills: closing, flushing, and a loaded node.
const GRACE_MARGIN_SECONDS: u64 = 5;

/// A resource that keeps every rule, with what follows from it worked out. Builders of children see only this.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedServer {
    pub name: String,
    pub namespace: String,
    /// None for a resource that is not in a cluster: its children then have no owner.
    pub uid: Option<String>,
    pub generation: Option<i64>,
    pub names: Names,
    pub spec: McpServerSpec,
    /// What the server is told.
    pub config: ServerConfig,
    /// The same as the text of its file.
    pub rendered: String,
    /// Hash of that text.
    pub config_hash: String,
    /// Hash of the settings that a running server cannot change.
    pub restart_hash: String,
    pub keys: Keys,
    /// Seconds between the signal to stop and the kill.
    pub grace_period_seconds: i64,
}

/// Where the API keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Nobody has to show one, and none were given.
    None,
    /// One key in a Secret that the operator makes.
    Generated { secret: String },
    /// A key of a Secret of the user's.
    Given { secret: String, key: String },
}

/// Checks a resource against every rule.
///
/// # Errors
/// All violations, each with the path of its field from `spec` or `metadata`, in the order of the fields.
pub fn validate(server: &McpServer, observed: &Observed) -> Result<ValidatedServer, Vec<Violation>> {
    let spec = &server.spec;
    let mut rules = Rules::default();
    let name = server.meta().name.clone().unwrap_or_default();
    rules.name(&name);
    rules.scale(spec);
    rules.config(&spec.config);
    rules.runtime(spec);
    rules.volumes(spec);
    rules.pod(spec);
    rules.service(spec, observed);
    rules.rollout(spec);

    let namespace = server.meta().namespace.clone().unwrap_or_else(|| "default".to_owned());
    let names = Names::of(&name);
    let keys = keys(&spec.config, &names);
    let config = server_config(spec, &name, &namespace, &keys);
    let rendered = render(&config);
    rules.check(rendered.len() <= MAX_CONFIG_BYTES, "spec.config", || {
        format!(
            "is {} bytes as a file, more than the {MAX_CONFIG_BYTES} that fit into a ConfigMap; shorten texts and \
             schemas, or split the server in two",
            rendered.len()
        )
    });
    if !rules.violations.is_empty() {
        return Err(rules.violations);
    }
    Ok(ValidatedServer {
        grace_period_seconds: grace_period_seconds(&config),
        config_hash: config_hash(&rendered),
        restart_hash: restart_hash(&config),
        uid: server.meta().uid.clone(),
        generation: server.meta().generation,
        spec: spec.clone(),
        name,
        namespace,
        names,
        config,
        rendered,
        keys,
    })
}

fn keys(config: &ServiceConfig, names: &Names) -> Keys {
    let given = config.auth.api_keys.as_ref().and_then(|keys| keys.secret_key_ref.as_ref());
    match (config.auth.mode(), given) {
        (AuthMode::Disabled, _) | (AuthMode::Optional, None) => Keys::None,
        (AuthMode::Required, None) => Keys::Generated { secret: names.api_key.clone() },
        (AuthMode::Required | AuthMode::Optional, Some(reference)) => {
            Keys::Given { secret: reference.name.clone(), key: reference.key.clone() }
        }
    }
}

/// What the server is told: `spec.config`, and what only the operator knows. Nothing else: defaults are the server's.
fn server_config(spec: &McpServerSpec, name: &str, namespace: &str, keys: &Keys) -> ServerConfig {
    let mut service = spec.config.clone();
    service.server_name.get_or_insert_with(|| name.to_owned());
    service.auth.api_keys = match keys {
        Keys::None => None,
        Keys::Generated { .. } | Keys::Given { .. } => {
            Some(SecretRef::from_file(format!("{API_KEYS_DIR}/{API_KEYS_FILE}")))
        }
    };
    for host in hosts(name, namespace).into_iter().chain(["localhost".to_owned()]) {
        if !service.http.allowed_hosts.contains(&host) {
            service.http.allowed_hosts.push(host);
        }
    }
    let process = ProcessConfig {
        http: HttpProcess {
            address: Some(format!("0.0.0.0:{MCP_PORT}")),
            admin_address: Some(format!("0.0.0.0:{ADMIN_PORT}")),
            ..HttpProcess::default()
        },
        shutdown: Shutdown {
            delay: Some(spec.rollout.drain_delay.unwrap_or(DEFAULT_DRAIN_DELAY)),
            timeout: Some(drain_timeout(spec)),
        },
        ..ProcessConfig::default()
    };
    ServerConfig { service, process }
}

fn drain_timeout(spec: &McpServerSpec) -> Duration {
    let longest_call = spec.config.performance.request_timeout();
    spec.rollout
        .drain_timeout
        .unwrap_or_else(|| Duration::from_millis(longest_call.as_millis() + DRAIN_MARGIN.as_millis()))
}

fn grace_period_seconds(config: &ServerConfig) -> i64 {
    let shutdown = &config.process.shutdown;
    let drain = shutdown.delay().as_millis()
        + shutdown.timeout(config.service.performance.request_timeout()).as_millis();
    let seconds = Duration::from_millis(drain).as_secs_ceil() + GRACE_MARGIN_SECONDS;
    i64::try_from(seconds).expect("durations are at most 99999 hours")
}

#[derive(Default)]
struct Rules {
    violations: Vec<Violation>,
}

impl Rules {
    fn check(&mut self, holds: bool, path: &str, message: impl FnOnce() -> String) {
        self.check_at(holds, || Path::of(path), message);
    }

    fn check_at(&mut self, holds: bool, path: impl FnOnce() -> Path, message: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(Violation { path: path(), message: message() });
        }
    }

    fn name(&mut self, name: &str) {
        self.check(is_dns_label(name) && name.len() <= MAX_NAME_LENGTH, "metadata.name", || {
            format!(
                "{name:?} must be a DNS label of at most {MAX_NAME_LENGTH} characters that starts with a letter; \
                 choose another name"
            )
        });
    }

    fn scale(&mut self, spec: &McpServerSpec) {
        self.check((0..=1000).contains(&spec.replicas), "spec.replicas", || {
            "must be from 0 to 1000".to_owned()
        });
    }

    fn config(&mut self, config: &ServiceConfig) {
        let below = Path::of("spec.config");
        self.check(!config.tools.is_empty(), "spec.config.tools", || {
            "a server needs at least one tool; declare it here".to_owned()
        });
        if let Some(keys) = &config.auth.api_keys {
            let by_reference = keys.secret_key_ref.is_some() && keys.alternatives() == 1;
            self.check(by_reference, "spec.config.auth.apiKeys", || {
                "must be a secretKeyRef; a resource knows neither files, nor variables, nor secrets in clear"
                    .to_owned()
            });
        }
        let compiled = compile::compile(&config.tools).err().unwrap_or_default();
        for violation in validate_service(config).into_iter().chain(compiled) {
            let path = below.join(&violation.path);
            // The rule above says it better.
            if path != Path::of("spec.config.auth.apiKeys") {
                self.violations.push(Violation { path, message: violation.message });
            }
        }
    }

    fn runtime(&mut self, spec: &McpServerSpec) {
        let runtime = &spec.runtime;
        let at = Path::of("spec.runtime");
        let plain = runtime
            .image
            .as_ref()
            .is_none_or(|image| !image.is_empty() && !image.contains(char::is_whitespace));
        self.check(plain, "spec.runtime.image", || {
            "must be the reference of an image, without spaces, as in ghcr.io/example/mcp-server:0.1.0"
                .to_owned()
        });
        self.unique(
            &at.key("imagePullSecrets"),
            runtime.image_pull_secrets.iter().map(|secret| &secret.name),
        );
        if let Some(resources) = &runtime.resources {
            self.resources(resources);
        }
        self.unique(&at.key("env"), runtime.env.iter().map(|variable| &variable.name));
        for (index, variable) in runtime.env.iter().enumerate() {
            self.variable(&at.key("env").index(index), variable);
        }
        self.unique(&at.key("volumeMounts"), runtime.volume_mounts.iter().map(|mount| &mount.mount_path));
        for (index, mount) in runtime.volume_mounts.iter().enumerate() {
            self.mount(&at.key("volumeMounts").index(index), mount, spec);
        }
    }

    fn resources(&mut self, resources: &ResourceRequirements) {
        let at = Path::of("spec.runtime.resources");
        let empty = std::collections::BTreeMap::new();
        let requests = resources.requests.as_ref().unwrap_or(&empty);
        let limits = resources.limits.as_ref().unwrap_or(&empty);
        for (section, amounts) in [("requests", requests), ("limits", limits)] {
            for (name, amount) in amounts {
                let fits = quantity::nanos(&amount.0).is_some_and(|amount| amount >= 0);
                self.check_at(
                    fits,
                    || at.key(section).key(name),
                    || format!("{:?} is not an amount; write one as in 100m, 0.5 or 64Mi", amount.0),
                );
            }
        }
        for (name, request) in requests {
            let above = limits.get(name).filter(|limit| quantity::exceeds(&request.0, &limit.0));
            if let Some(limit) = above {
                self.check_at(
                    false,
                    || at.key("requests").key(name),
                    || {
                        format!(
                            "{} is more than the limit of {}; lower it, or raise the limit",
                            request.0, limit.0
                        )
                    },
                );
            }
        }
    }

    fn variable(&mut self, at: &Path, variable: &EnvVar) {
        let name = &variable.name;
        let legal = !name.is_empty() && name.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'=');
        self.check_at(
            legal,
            || at.key("name"),
            || format!("{name:?} is not the name of an environment variable"),
        );
        let both =
            variable.value.as_ref().is_some_and(|value| !value.is_empty()) && variable.value_from.is_some();
        self.check_at(
            !both,
            || at.key("valueFrom"),
            || "value is set too; set only one of the two".to_owned(),
        );
    }

    fn mount(&mut self, at: &Path, mount: &VolumeMount, spec: &McpServerSpec) {
        let known = spec.volumes.iter().any(|volume| volume.name == mount.name);
        self.check_at(
            known,
            || at.key("name"),
            || {
                format!(
                    "there is no volume {:?} in spec.volumes; add it there, or name one that is",
                    mount.name
                )
            },
        );
        let path = mount.mount_path.trim_end_matches('/');
        let absolute =
            mount.mount_path.starts_with('/') && !mount.mount_path.contains(':') && !path.contains("/../");
        self.check_at(
            absolute && !path.ends_with("/.."),
            || at.key("mountPath"),
            || {
                format!(
                    "{:?} must be an absolute path without colons and dots that lead up",
                    mount.mount_path
                )
            },
        );
        let within = |outer: &str, inner: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
        let taken = TAKEN_DIRS.into_iter().find(|dir| within(dir, path) || within(path, dir));
        self.check_at(
            taken.is_none() || !absolute,
            || at.key("mountPath"),
            || {
                format!(
                    "{} would hide {}, which the server needs; mount it elsewhere, as in /data",
                    mount.mount_path,
                    taken.unwrap_or_default()
                )
            },
        );
    }

    fn volumes(&mut self, spec: &McpServerSpec) {
        let at = Path::of("spec.volumes");
        self.unique(&at, spec.volumes.iter().map(|volume| &volume.name));
        for (index, volume) in spec.volumes.iter().enumerate() {
            let name_at = || at.index(index).key("name");
            self.check_at(!volume.name.starts_with(VOLUME_PREFIX), name_at, || {
                format!("names that start with {VOLUME_PREFIX} are the operator's own; choose another")
            });
            let kinds = [
                volume.config_map.is_some(),
                volume.secret.is_some(),
                volume.empty_dir.is_some(),
                volume.persistent_volume_claim.is_some(),
                volume.projected.is_some(),
                volume.csi.is_some(),
            ];
            self.check_at(kinds.into_iter().filter(|set| *set).count() == 1, || at.index(index), || {
                "exactly one of configMap, secret, emptyDir, persistentVolumeClaim, projected and csi must be set"
                    .to_owned()
            });
        }
    }

    fn pod(&mut self, spec: &McpServerSpec) {
        let pod = &spec.pod;
        self.labels(&Path::of("spec.pod.labels"), &pod.labels, true);
        self.labels(&Path::of("spec.pod.nodeSelector"), &pod.node_selector, false);
        self.annotations(&Path::of("spec.pod.annotations"), &pod.annotations);
        let account = &pod.service_account;
        self.annotations(&Path::of("spec.pod.serviceAccount.annotations"), &account.annotations);
        let both = account.name.is_some() && !account.annotations.is_empty();
        self.check(!both, "spec.pod.serviceAccount.annotations", || {
            "annotations are for the ServiceAccount that the operator makes; set either name or annotations"
                .to_owned()
        });
    }

    fn service(&mut self, spec: &McpServerSpec, observed: &Observed) {
        let service = &spec.service;
        self.labels(&Path::of("spec.service.labels"), &service.labels, true);
        self.annotations(&Path::of("spec.service.annotations"), &service.annotations);
        self.check((1..=65535).contains(&service.port.unwrap_or(80)), "spec.service.port", || {
            "must be from 1 to 65535".to_owned()
        });
        let balanced = service.type_.unwrap_or_default() == mcp_crds::v1alpha1::ServiceType::LoadBalancer;
        self.check(
            service.load_balancer_class.is_none() || balanced,
            "spec.service.loadBalancerClass",
            || "needs type: LoadBalancer; set that, or remove the class".to_owned(),
        );
        // The API server never lets a load balancer change its class; better said here than as a refusal.
        let live = observed.service.as_ref().and_then(|service| service.spec.as_ref());
        let live_class = live.filter(|live| live.type_.as_deref() == Some("LoadBalancer") && balanced);
        if let Some(live) = live_class {
            let same = live.load_balancer_class == service.load_balancer_class
                || service.load_balancer_class.is_none();
            self.check(same, "spec.service.loadBalancerClass", || {
                format!(
                    "cannot change while the Service is a load balancer (now {}); set it back, or delete the Service",
                    live.load_balancer_class.as_deref().unwrap_or("none")
                )
            });
        }
    }

    fn rollout(&mut self, spec: &McpServerSpec) {
        use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
        let rollout = &spec.rollout;
        let zero = |value: &Option<IntOrString>, default: bool| match value {
            None => default,
            Some(IntOrString::Int(number)) => *number == 0,
            Some(IntOrString::String(text)) => text == "0%",
        };
        let stuck = zero(&rollout.max_surge, false) && zero(&rollout.max_unavailable, true);
        self.check(!stuck, "spec.rollout.maxSurge", || {
            "maxSurge and maxUnavailable are both 0, so that no pod could ever be replaced; raise one of them"
                .to_owned()
        });
        for (field, value) in [("maxSurge", &rollout.max_surge), ("maxUnavailable", &rollout.max_unavailable)]
        {
            let fits = match value {
                None => true,
                Some(IntOrString::Int(number)) => (0..=1000).contains(number),
                Some(IntOrString::String(text)) => text
                    .strip_suffix('%')
                    .and_then(|number| number.parse::<u8>().ok())
                    .is_some_and(|number| number <= 100),
            };
            self.check_at(
                fits,
                || Path::of("spec.rollout").key(field),
                || "must be a number from 0 to 1000 or a percentage up to 100%, as in 25%".to_owned(),
            );
        }
        let seconds = Duration::from_secs;
        let most_delay = rollout.drain_delay.is_none_or(|delay| delay <= seconds(600));
        self.check(most_delay, "spec.rollout.drainDelay", || "must be at most 10m".to_owned());
        let (drain, call) = (drain_timeout(spec), spec.config.performance.request_timeout());
        self.check(drain <= seconds(3600), "spec.rollout.drainTimeout", || "must be at most 1h".to_owned());
        self.check(drain >= call, "spec.rollout.drainTimeout", || {
            format!(
                "{drain} is less than the request timeout of {call}, so that stopping pods would cut calls off; raise \
                 it, or lower spec.config.performance.requestTimeout"
            )
        });
        let min_ready = rollout.min_ready_seconds.unwrap_or(crate::deployment::DEFAULT_MIN_READY_SECONDS);
        self.check((0..=3600).contains(&min_ready), "spec.rollout.minReadySeconds", || {
            "must be from 0 to 3600".to_owned()
        });
        let deadline = rollout.progress_deadline.unwrap_or(seconds(600));
        let fits = (seconds(10)..=seconds(86_400)).contains(&deadline);
        self.check(fits, "spec.rollout.progressDeadline", || "must be from 10s to 24h".to_owned());
        let longer = i128::from(deadline.as_secs_ceil()) > i128::from(min_ready);
        self.check(longer, "spec.rollout.progressDeadline", || {
            format!("{deadline} must be more than minReadySeconds ({min_ready}), or every rollout would count as stuck")
        });
    }

    fn labels(&mut self, at: &Path, labels: &std::collections::BTreeMap<String, String>, of_a_child: bool) {
        for (key, value) in labels {
            self.check_at(
                is_qualified_name(key),
                || at.key(key),
                || "is not a legal key of a label".to_owned(),
            );
            self.check_at(
                is_label_value(value),
                || at.key(key),
                || format!("{value:?} is not a legal value of a label"),
            );
            self.check_at(
                !of_a_child || !is_reserved_label(key),
                || at.key(key),
                || "is a label of the operator's own; choose another key".to_owned(),
            );
        }
    }

    fn annotations(&mut self, at: &Path, annotations: &std::collections::BTreeMap<String, String>) {
        for key in annotations.keys() {
            // The API server takes capitals in the prefix of an annotation's key.
            let legal = is_qualified_name(&key.to_ascii_lowercase());
            self.check_at(legal, || at.key(key), || "is not a legal key of an annotation".to_owned());
            self.check_at(
                !is_reserved_annotation(key),
                || at.key(key),
                || "is an annotation of the operator's own; choose another key".to_owned(),
            );
        }
    }

    fn unique<'a>(&mut self, at: &Path, keys: impl Iterator<Item = &'a String>) {
        let mut seen = std::collections::BTreeSet::new();
        for (index, key) in keys.enumerate() {
            self.check_at(
                seen.insert(key),
                || at.index(index),
                || format!("{key:?} is there twice; remove one of the two"),
            );
        }
    }
}
