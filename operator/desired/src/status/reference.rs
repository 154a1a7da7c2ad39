//! What the kubelet and the API server say of things that a pod names and that are not there.

use std::borrow::Cow;

use kube::Resource;
use mcp_crds::{McpServer, v1alpha1::Volume};

use mcp_server_config::{Path, ServiceConfig};

use crate::Names;

/// A thing that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// Secret, `ConfigMap`, `ServiceAccount` or `PersistentVolumeClaim`.
    kind: &'static str,
    /// Its name; none where the text does not say.
    name: Option<String>,
    /// The key that it lacks; none where all of it is missing.
    key: Option<String>,
}

impl Missing {
    /// With its name, where the text does not say it and the configuration names just one Secret with this key.
    pub(super) fn named_by_config(mut self, server: &McpServer) -> Self {
        if self.kind == "Secret" && self.name.is_none() {
            let mut config = server.spec.config.clone();
            let of_key =
                config.secrets_mut().into_iter().filter_map(|(_, secret)| secret.secret_key_ref.take());
            let mut names: Vec<_> = of_key
                .filter(|reference| self.key.as_ref() == Some(&reference.key))
                .map(|reference| reference.name)
                .collect();
            names.dedup();
            if let ([_], Some(name)) = (names.as_slice(), names.first()) {
                self.name = Some(name.clone());
            }
        }
        self
    }

    /// Whether it is the Secret with the generated key: the operator makes that one itself, as soon as it sees that it is gone.
    pub(super) fn is_generated(&self, server: &McpServer) -> bool {
        let generated = Names::of(server.meta().name.as_deref().unwrap_or_default()).api_key;
        self.kind == "Secret"
            && self.name.as_deref() == Some(generated.as_str())
            && self.in_config(&mut server.spec.config.clone()).is_none()
    }

    /// Where the resource names it.
    pub(super) fn place(&self, server: &McpServer) -> Cow<'static, str> {
        let spec = &server.spec;
        let generated = Names::of(server.meta().name.as_deref().unwrap_or_default()).api_key;
        let named = (self.kind == "Secret").then(|| self.in_config(&mut spec.config.clone())).flatten();
        if let Some(path) = named {
            return format!("spec.config.{path}.secretKeyRef").into();
        }
        let place = if self.kind == "ServiceAccount" {
            "spec.pod.serviceAccount.name"
        } else if self.kind == "Secret" && self.is_of(&generated) {
            "spec.config.auth.apiKeys"
        } else if spec.volumes.iter().filter_map(|volume| self.named_by(volume)).any(|name| self.is_of(name))
        {
            "spec.volumes"
        } else {
            "spec.runtime.env or envFrom"
        };
        place.into()
    }

    /// Where in the configuration the missing Secret is named; where only a key is known, that has to be the same.
    fn in_config(&self, config: &mut ServiceConfig) -> Option<Path> {
        let secrets = config.secrets_mut().into_iter();
        let mut named = secrets.filter_map(|(path, secret)| Some((path, secret.secret_key_ref.take()?)));
        let found = named.find(|(_, reference)| {
            let key_fits = self.name.is_some() || self.key.as_ref().is_none_or(|key| *key == reference.key);
            self.is_of(&reference.name) && key_fits
        });
        found.map(|(path, _)| path)
    }

    /// The name of the thing of this kind that a volume shows.
    fn named_by<'a>(&self, volume: &'a Volume) -> Option<&'a str> {
        match self.kind {
            "Secret" => volume.secret.as_ref()?.secret_name.as_deref(),
            "ConfigMap" => Some(&volume.config_map.as_ref()?.name),
            "PersistentVolumeClaim" => Some(&volume.persistent_volume_claim.as_ref()?.claim_name),
            _ => None,
        }
    }

    /// Whether the missing thing has this name, as far as the text says.
    fn is_of(&self, name: &str) -> bool {
        self.name.as_deref().is_none_or(|own| own == name)
    }

    /// A clause that says what is missing where, and what to do.
    pub(super) fn sentence(&self, namespace: &str, field: &str) -> String {
        let kind = self.kind;
        let what = match &self.name {
            Some(name) => format!("{kind} {namespace}/{name}"),
            None => format!("the {kind}"),
        };
        match &self.key {
            Some(key) => format!("{what} has no key {key:?}; add it, or change {field}"),
            None => format!("{what} does not exist; create it, or change {field}"),
        }
    }
}

/// Reads a message of the kubelet (`secret "x" not found`, `couldn't find key k in Secret ns/x`, `references
/// non-existent secret key: k`) or of the API server (`serviceaccount "x" not found`).
pub(super) fn missing_reference(message: &str) -> Option<Missing> {
    if let Some((_, rest)) = message.split_once("couldn't find key ") {
        let (key, rest) = rest.split_once(" in ")?;
        let (kind, rest) = rest.split_once(' ')?;
        let name = rest.split(|c: char| c.is_whitespace() || c == ',').next()?;
        let name = name.rsplit('/').next()?.trim_matches('"');
        return Some(Missing {
            kind: kind_of(kind)?,
            name: Some(name.to_owned()),
            key: Some(key.trim_matches('"').to_owned()),
        });
    }
    for (words, kind) in [("non-existent secret key: ", "Secret"), ("non-existent config key: ", "ConfigMap")]
    {
        if let Some((_, key)) = message.split_once(words) {
            let key = key.split_whitespace().next()?;
            return Some(Missing { kind, name: None, key: Some(key.to_owned()) });
        }
    }
    for kind in ["secret", "configmap", "serviceaccount", "persistentvolumeclaim"] {
        let Some((_, rest)) = message.split_once(&format!("{kind} \"")) else { continue };
        let (name, rest) = rest.split_once('"')?;
        if rest.starts_with(" not found") {
            return Some(Missing { kind: kind_of(kind)?, name: Some(name.to_owned()), key: None });
        }
    }
    None
}

fn kind_of(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "secret" => Some("Secret"),
        "configmap" => Some("ConfigMap"),
        "serviceaccount" => Some("ServiceAccount"),
        "persistentvolumeclaim" => Some("PersistentVolumeClaim"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures;

    #[test]
    fn where_it_is_named() {
        let redis = json!({"url": {"secretKeyRef": {"name": "redis", "key": "url"}}});
        let volumes = json!([{"name": "v", "secret": {"secretName": "extra"}}]);
        let server = fixtures::server(json!({"config": {"redis": redis}, "volumes": volumes}));
        let missing = |message| missing_reference(message).unwrap().place(&server).into_owned();
        assert_eq!(missing("secret \"redis\" not found"), "spec.config.redis.url.secretKeyRef");
        assert_eq!(missing("references non-existent secret key: url"), "spec.config.redis.url.secretKeyRef");
        assert_eq!(missing("secret \"extra\" not found"), "spec.volumes");
        assert_eq!(missing("secret \"hello-api-key\" not found"), "spec.config.auth.apiKeys");
        assert_eq!(missing("secret \"other\" not found"), "spec.runtime.env or envFrom");
    }

    #[test]
    fn what_is_missing() {
        for (message, sentence) in [
            (
                "secret \"clients\" not found",
                "Secret shop/clients does not exist; create it, or change spec.x",
            ),
            (
                "configmap \"settings\" not found",
                "ConfigMap shop/settings does not exist; create it, or change spec.x",
            ),
            (
                "couldn't find key token in Secret shop/github",
                "Secret shop/github has no key \"token\"; add it, or change spec.x",
            ),
            (
                "couldn't find key a.b in ConfigMap shop/settings",
                "ConfigMap shop/settings has no key \"a.b\"; add it, or change spec.x",
            ),
            (
                "MountVolume.SetUp failed for volume \"mcp-api-keys\" : references non-existent secret key: keys.json",
                "the Secret has no key \"keys.json\"; add it, or change spec.x",
            ),
            (
                "MountVolume.SetUp failed for volume \"mcp-api-keys\" : secret \"clients\" not found",
                "Secret shop/clients does not exist; create it, or change spec.x",
            ),
            (
                "0/1 nodes are available: persistentvolumeclaim \"documents\" not found. not found",
                "PersistentVolumeClaim shop/documents does not exist; create it, or change spec.x",
            ),
            (
                "error looking up service account shop/orders: serviceaccount \"orders\" not found",
                "ServiceAccount shop/orders does not exist; create it, or change spec.x",
            ),
        ] {
            assert_eq!(missing_reference(message).unwrap().sentence("shop", "spec.x"), sentence);
        }
        for other in
            ["", "secret", "exceeded quota: pods", "secret \"x\" is too large", "couldn't find key x"]
        {
            assert_eq!(missing_reference(other), None, "{other}");
        }
    }
}
