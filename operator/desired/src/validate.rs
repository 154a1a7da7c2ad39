//! Every rule that the resource must keep, all violations at once, and what is worked out on the way.
//!
//! The schema refuses most of these at admission already. They are repeated here because a resource may be older
//! than a rule, and because `mcp-operator render` has no API server in front of it.

pub mod environment;
mod pod;
mod rules;
mod runtime;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::LoadBalancerIngress;
use kube::Resource;
use mcp_crds::{MAX_NAME_LENGTH, McpServer, McpServerSpec, v1alpha1::ServiceType};
use mcp_server_config::{
    AddressHosts, AuthMode, Duration, HttpProcess, Path, ProcessConfig, SecretKeyRef, SecretRef,
    ServerConfig, ServiceConfig, Shutdown, Violation, compile, config_hash,
    constants::{ADMIN_PORT, API_KEYS_DIR, API_KEYS_FILE, MCP_PORT, SECRETS_DIR},
    render, restart_hash, validate_service,
};

use crate::{
    Names, Observed,
    names::{hosts, is_dns_label},
};
use environment::Environment;
use rules::Rules;

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
    /// All other secrets that the configuration refers to, as (Secret, key).
    pub secrets: BTreeSet<(String, String)>,
    /// What the variables of `spec.runtime` set.
    pub environment: Environment,
    /// What the service does, those variables included, where they change anything.
    pub(crate) with_environment: Option<ServiceConfig>,
    /// Seconds between the signal to stop and the kill.
    pub grace_period_seconds: i64,
}

impl ValidatedServer {
    /// What the service does, the variables of `spec.runtime` included.
    #[must_use]
    pub fn effective(&self) -> &ServiceConfig {
        self.with_environment.as_ref().unwrap_or(&self.config.service)
    }
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
    let (config, secrets) = server_config(spec, &name, &namespace, &keys, observed);
    let rendered = render(&config);
    rules.check(rendered.len() <= MAX_CONFIG_BYTES, "spec.config", || {
        format!(
            "is {} bytes as a file, more than the {MAX_CONFIG_BYTES} that fit into a ConfigMap; shorten texts and \
             schemas, or split the server in two",
            rendered.len()
        )
    });
    let (environment, with_environment) = rules.environment(spec, &rendered);
    if !rules.violations.is_empty() {
        return Err(rules.violations);
    }
    Ok(ValidatedServer {
        environment,
        with_environment,
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
        secrets,
    })
}

fn keys(config: &ServiceConfig, names: &Names) -> Keys {
    let given = config.auth.api_keys.as_ref().and_then(|keys| keys.secret_key_ref.as_ref());
    match (config.auth.mode(), given) {
        (AuthMode::Disabled, _) | (AuthMode::Optional, None) => Keys::None,
        // Callers have tokens: a key beside them would be one more way in that nobody asked for.
        (AuthMode::Required, None) if config.auth.oauth2.is_some() => Keys::None,
        (AuthMode::Required, None) => Keys::Generated { secret: names.api_key.clone() },
        (AuthMode::Required | AuthMode::Optional, Some(reference)) => {
            Keys::Given { secret: reference.name.clone(), key: reference.key.clone() }
        }
    }
}

/// What the server is told: `spec.config`, and what only the operator knows. Nothing else: defaults are the server's.
///
/// Beside it, the secrets that it now expects as files.
fn server_config(
    spec: &McpServerSpec,
    name: &str,
    namespace: &str,
    keys: &Keys,
    observed: &Observed,
) -> (ServerConfig, BTreeSet<(String, String)>) {
    let mut service = spec.config.clone();
    service.server_name.get_or_insert_with(|| name.to_owned());
    service.auth.api_keys = match keys {
        Keys::None => None,
        Keys::Generated { .. } | Keys::Given { .. } => {
            Some(SecretRef::from_file(format!("{API_KEYS_DIR}/{API_KEYS_FILE}")))
        }
    };
    let secrets = mount(&mut service);
    let outside = spec.service.type_.unwrap_or_default() != ServiceType::ClusterIP;
    let balanced = if outside { external_hosts(observed) } else { Vec::new() };
    for host in hosts(name, namespace).into_iter().chain(["localhost".to_owned()]).chain(balanced) {
        if !service.http.allowed_hosts.contains(&host) {
            service.http.allowed_hosts.push(host);
        }
    }
    if service.redis.url.is_some() {
        // Servers of the same name in other namespaces have nothing to share.
        service.redis.key_prefix.get_or_insert_with(|| format!("mcp:{namespace}/{name}"));
    }
    let process = ProcessConfig {
        // Nobody else needs to know, and a server that scales would be told each time.
        replicas: service.rate_limit.needs_redis().then(|| u32::try_from(spec.replicas).unwrap_or(1).max(1)),
        http: HttpProcess {
            address: Some(format!("0.0.0.0:{MCP_PORT}")),
            admin_address: Some(format!("0.0.0.0:{ADMIN_PORT}")),
            // Nodes and load balancers are addressed by their addresses, which nobody here knows: those of nodes are not the
            // operator's to read. DNS rebinding, against which hosts are checked, needs a name.
            address_hosts: outside.then_some(AddressHosts::Allow),
            ..HttpProcess::default()
        },
        shutdown: Shutdown {
            delay: Some(spec.rollout.drain_delay.unwrap_or(DEFAULT_DRAIN_DELAY)),
            timeout: Some(drain_timeout(spec)),
        },
        ..ProcessConfig::default()
    };
    (ServerConfig { service, process }, secrets)
}

/// The names and addresses that a load balancer gave the Service.
pub(crate) fn external_hosts(observed: &Observed) -> Vec<String> {
    let status = observed.service.as_ref().and_then(|service| service.status.as_ref());
    let ingress =
        status.and_then(|status| status.load_balancer.as_ref()).and_then(|given| given.ingress.as_ref());
    let of = |entry: &LoadBalancerIngress| [entry.hostname.clone(), entry.ip.clone()];
    ingress.into_iter().flatten().flat_map(of).flatten().filter(|host| !host.is_empty()).collect()
}

/// Turns every reference to a Secret into the file where the pod mounts it.
fn mount(service: &mut ServiceConfig) -> BTreeSet<(String, String)> {
    let mut mounted = BTreeSet::new();
    for (_, secret) in service.secrets_mut() {
        if let Some(SecretKeyRef { name, key }) = secret.secret_key_ref.take() {
            *secret = SecretRef::from_file(format!("{SECRETS_DIR}/{name}/{key}"));
            mounted.insert((name, key));
        }
    }
    mounted
}

fn drain_timeout(spec: &McpServerSpec) -> Duration {
    let longest_call = spec.config.performance.request_timeout();
    spec.rollout
        .drain_timeout
        .unwrap_or_else(|| Duration::from_millis(longest_call.as_millis() + DRAIN_MARGIN.as_millis()))
}

pub(crate) fn grace_period_seconds(config: &ServerConfig) -> i64 {
    let shutdown = &config.process.shutdown;
    let drain = shutdown.delay().as_millis()
        + shutdown.timeout(config.service.performance.request_timeout()).as_millis();
    let seconds = Duration::from_millis(drain).as_secs_ceil() + GRACE_MARGIN_SECONDS;
    i64::try_from(seconds).expect("durations are at most 99999 hours")
}

/// Rules for the resource as a whole and for `spec.config`.
impl Rules {
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
        let mut secrets = config.clone();
        let mut not_by_reference = Vec::new();
        for (path, secret) in secrets.secrets_mut() {
            if secret.secret_key_ref.is_none() || secret.alternatives() != 1 {
                let path = below.join(&path);
                let message = "must be a secretKeyRef; a resource knows neither files, nor variables, nor secrets in clear";
                not_by_reference.push(path.clone());
                self.violations.push(Violation { path, message: message.to_owned() });
            }
        }
        let compiled = compile::compile(&config.tools).err().unwrap_or_default();
        for violation in validate_service(config).into_iter().chain(compiled) {
            let violation = Violation { path: below.join(&violation.path), message: violation.message };
            // Of secrets, the rule above says it better; and some rules are both the server's and the compiler's.
            let said = not_by_reference.contains(&violation.path);
            if !said && !self.violations.contains(&violation) {
                self.violations.push(violation);
            }
        }
    }
}

#[cfg(test)]
mod tests;
