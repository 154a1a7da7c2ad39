//! What a server serves while its resource breaks rules: the configuration that was valid last.
//!
//! The `ConfigMap` in the cluster is the record of it. Its file is the configuration; an annotation holds what else the
//! pods are made of. The status, which only the operator writes, holds the hashes of both: a `ConfigMap` that someone else
//! changed is not taken for the operator's own.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Resource;
use mcp_crds::{McpServer, McpServerSpec, McpServerStatus, annotations};
use mcp_server_config::{
    Path, ProcessConfig, ServerConfig, ServiceConfig, Violation, config_hash,
    constants::{CONFIG_FILE, SECRETS_DIR},
    render, restart_hash, sha256,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Names, Observed, ValidatedServer,
    validate::{Keys, environment, grace_period_seconds},
};

/// The most bytes of the annotation: all annotations of an object together may have 256 KiB. A larger one is left out,
/// and the resource then has nothing to fall back on.
const MAX_BYTES: usize = 128 * 1024;

/// The last valid configuration, as the `ConfigMap` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastValid {
    file: String,
    record: String,
}

/// What the annotation holds.
#[derive(Serialize, Deserialize)]
struct Record {
    /// The user's own Secret of keys and its key; none where the operator generated one, or no keys are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<(String, String)>,
    /// Variables that `envFrom` could not set: they follow from `spec.config`, which the file holds with additions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shut_out: Vec<String>,
    /// The spec without what the file says, and without the number of replicas.
    spec: Value,
}

/// What the annotation of this server's `ConfigMap` says; none where it would be too large.
#[must_use]
pub fn record(server: &ValidatedServer) -> Option<String> {
    let mut spec = serde_json::to_value(&server.spec).expect("a spec is JSON");
    if let Some(spec) = spec.as_object_mut() {
        for field in ["config", "replicas", "paused"] {
            spec.remove(field);
        }
    }
    let keys = match &server.keys {
        Keys::Given { secret, key } => Some((secret.clone(), key.clone())),
        Keys::Generated { .. } | Keys::None => None,
    };
    let text = json!(Record { keys, shut_out: server.environment.shut_out.clone(), spec }).to_string();
    (text.len() <= MAX_BYTES).then_some(text)
}

/// The hash of a record, for the status.
#[must_use]
pub fn record_hash(record: &str) -> String {
    sha256(record)
}

impl LastValid {
    /// What the observed `ConfigMap` says, if it is as the operator wrote it.
    #[must_use]
    pub fn of(config_map: &ConfigMap, status: &McpServerStatus) -> Option<Self> {
        let file = config_map.data.as_ref()?.get(CONFIG_FILE)?;
        let record = config_map.metadata.annotations.as_ref()?.get(annotations::LAST_VALID)?;
        let is_ours = status.config_hash.as_ref() == Some(&config_hash(file))
            && status.last_valid_hash.as_ref() == Some(&record_hash(record));
        is_ours.then(|| Self { file: file.clone(), record: record.clone() })
    }

    /// The server to keep up in place of one that breaks these rules: everything that pods are made of is as it was, and
    /// replicas and Service are as the resource says, unless that is what breaks the rules.
    ///
    /// None where the record cannot be read, which another version of the operator may have written.
    #[must_use]
    pub fn restore(
        &self,
        server: &McpServer,
        violations: &[Violation],
        observed: &Observed,
    ) -> Option<ValidatedServer> {
        let broken = |field: &str| violations.iter().any(|violation| is_within(&violation.path, field));
        let Record { keys, shut_out, mut spec } = serde_json::from_str(&self.record).ok()?;
        spec.as_object_mut()?.insert("config".to_owned(), json!({}));
        let mut spec: McpServerSpec = serde_json::from_value(spec).ok()?;
        spec.replicas = if broken("replicas") { live_replicas(observed)? } else { server.spec.replicas };
        if !broken("service") {
            spec.service = server.spec.service.clone();
        }
        let service: ServiceConfig = serde_json::from_str(&self.file).ok()?;
        let process: ProcessConfig = serde_json::from_str(&self.file).ok()?;
        let mut config = ServerConfig { service, process };
        let mut rendered = self.file.clone();
        if let Some(replicas) = &mut config.process.replicas {
            *replicas = u32::try_from(spec.replicas).unwrap_or(1).max(1);
            rendered = render(&config);
        }
        let name = server.meta().name.clone()?;
        let names = Names::of(&name);
        let keys = match (keys, &config.service.auth.api_keys) {
            (Some((secret, key)), _) => Keys::Given { secret, key },
            (None, Some(_)) => Keys::Generated { secret: names.api_key.clone() },
            (None, None) => Keys::None,
        };
        let (environment, with_environment) = environment::restored(&spec, &rendered, shut_out);
        Some(ValidatedServer {
            environment,
            with_environment,
            namespace: server.meta().namespace.clone().unwrap_or_else(|| "default".to_owned()),
            uid: server.meta().uid.clone(),
            generation: server.meta().generation,
            grace_period_seconds: grace_period_seconds(&config),
            config_hash: config_hash(&rendered),
            restart_hash: restart_hash(&config),
            secrets: mounted(&mut config.service.clone()),
            name,
            names,
            spec,
            config,
            rendered,
            keys,
        })
    }
}

/// Whether a path lies in a field of `spec`.
fn is_within(path: &Path, field: &str) -> bool {
    path.segments().starts_with(Path::of("spec").key(field).segments())
}

fn live_replicas(observed: &Observed) -> Option<i32> {
    observed.deployment.as_ref()?.spec.as_ref()?.replicas
}

/// The secrets that a rendered configuration expects as files, as (Secret, key).
fn mounted(service: &mut ServiceConfig) -> BTreeSet<(String, String)> {
    let files = service.secrets_mut().into_iter().filter_map(|(_, secret)| secret.file.clone());
    let reference = |file: String| {
        let (secret, key) = file.strip_prefix(SECRETS_DIR)?.strip_prefix('/')?.split_once('/')?;
        Some((secret.to_owned(), key.to_owned()))
    };
    files.filter_map(reference).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixtures::{applied, built, complete, deployment, server, settings};
    use crate::{Verdict, objects, status, validate};

    /// A spec that says something in every section that pods are made of.
    fn full() -> Value {
        json!({
            "replicas": 2,
            "config": {
                "serverVersion": "2.1", "redis": {"url": {"secretKeyRef": {"name": "redis", "key": "url"}}},
                "rateLimit": {"backend": "Redis"},
                "auth": {"apiKeys": {"secretKeyRef": {"name": "clients", "key": "keys.json"}}},
            },
            "runtime": {"env": [{"name": "TEAM", "value": "orders"}], "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
            "volumes": [{"name": "data", "emptyDir": {}}],
            "pod": {"labels": {"team": "orders"}},
            "service": {"port": 8080},
            "rollout": {"drainDelay": "7s"},
        })
    }

    /// The last valid state of a resource after one pass that applied `spec`.
    fn after(spec: &Value) -> (ConfigMap, McpServerStatus) {
        let observed =
            Observed { deployment: Some(deployment(spec.clone(), complete(1))), ..Observed::default() };
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let status = status(&server(spec.clone()), &observed, &applied(spec.clone()), now);
        (built(spec.clone()).config_map, status)
    }

    fn restored(valid: &Value, invalid: Value) -> ValidatedServer {
        let (config_map, status) = after(valid);
        let server = server(invalid);
        let observed = Observed::default();
        let violations = validate(&server, &observed).unwrap_err();
        LastValid::of(&config_map, &status).unwrap().restore(&server, &violations, &observed).unwrap()
    }

    #[test]
    fn a_typo_changes_nothing_of_the_children() {
        for valid in [json!({}), full(), json!({"config": {"auth": {"mode": "Disabled"}}})] {
            let mut invalid = valid.clone();
            crate::fixtures::merge(
                &mut invalid,
                json!({"config": {"tools": [{"name": "greet", "cel": "1 +"}]}}),
            );
            assert_eq!(objects(&restored(&valid, invalid), &settings()), built(valid));
        }
    }

    #[test]
    fn replicas_and_service_follow_the_resource_and_pods_do_not() {
        let mut invalid = full();
        crate::fixtures::merge(
            &mut invalid,
            json!({
                "replicas": 5, "config": {"tools": []}, "service": {"port": 81},
                "runtime": {"image": "example.com/other:2"},
            }),
        );
        let mut expected = full();
        crate::fixtures::merge(&mut expected, json!({"replicas": 5, "service": {"port": 81}}));
        assert_eq!(objects(&restored(&full(), invalid), &settings()), built(expected));
    }

    #[test]
    fn what_breaks_the_rules_is_not_followed() {
        let mut invalid = full();
        crate::fixtures::merge(&mut invalid, json!({"service": {"port": 0}}));
        assert_eq!(objects(&restored(&full(), invalid), &settings()), built(full()));
        let (config_map, status) = after(&full());
        let server = server(json!({"replicas": -1}));
        let violations = validate(&server, &Observed::default()).unwrap_err();
        let observed = Observed { deployment: Some(deployment(full(), complete(2))), ..Observed::default() };
        let last = LastValid::of(&config_map, &status).unwrap();
        assert_eq!(last.restore(&server, &violations, &observed).unwrap().spec.replicas, 2);
    }

    #[test]
    fn a_config_map_that_someone_else_changed_is_not_taken_for_ours() {
        let (config_map, status) = after(&full());
        let mut other_file = config_map.clone();
        other_file.data.as_mut().unwrap().insert(CONFIG_FILE.to_owned(), "{}".to_owned());
        assert_eq!(LastValid::of(&other_file, &status), None);
        let mut other_record = config_map.clone();
        let record =
            other_record.metadata.annotations.as_mut().unwrap().get_mut(annotations::LAST_VALID).unwrap();
        *record = record.replace("orders", "others");
        assert_eq!(LastValid::of(&other_record, &status), None);
        assert_eq!(LastValid::of(&config_map, &McpServerStatus::default()), None);
    }

    #[test]
    fn the_record_stays_within_what_annotations_may_have() {
        let long = "x".repeat(60_000);
        let env: Vec<_> = (0..3).map(|index| json!({"name": format!("V{index}"), "value": long})).collect();
        let built = built(json!({"runtime": {"env": env}}));
        assert!(!built.config_map.metadata.annotations.unwrap().contains_key(annotations::LAST_VALID));
    }

    #[test]
    fn the_status_says_what_is_wrong_and_that_pods_keep_serving() {
        let (config_map, before) = after(&json!({}));
        let mut server = server(json!({"config": {"tools": [{"name": "greet", "cel": "1 +"}]}}));
        server.status = Some(before.clone());
        let mut observed = Observed {
            config_map: Some(Arc::new(config_map.clone())),
            deployment: Some(deployment(json!({}), complete(1))),
            ..Observed::default()
        };
        let violations = vec![Violation { path: Path::of("spec.x"), message: "is wrong".into() }];
        let last = LastValid::of(&config_map, &before).unwrap();
        let kept = last.restore(&server, &violations, &observed).unwrap();
        let kept = crate::Applied::of(&kept, &settings(), &objects(&kept, &settings()));
        let verdict = Verdict::Invalid { violations, kept: Some(kept), trouble: None };
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let said = |observed: &Observed, verdict: &Verdict| {
            let status = status(&server, observed, verdict, now);
            let ready = status.conditions[0].clone();
            assert_eq!((ready.type_.as_str(), ready.reason.as_str()), ("Ready", "Invalid"));
            assert_eq!(status.last_valid_hash, before.last_valid_hash);
            assert_eq!(status.config_hash, before.config_hash);
            ready.message
        };
        assert_eq!(
            said(&observed, &verdict),
            "spec.x: is wrong; 1 pod keeps serving the last valid configuration"
        );
        observed.deployment = Some(deployment(json!({}), json!({"replicas": 1, "updatedReplicas": 1})));
        assert_eq!(
            said(&observed, &verdict),
            "spec.x: is wrong; the last valid configuration stays in place: 0 of 1 pod ready"
        );
    }
}
