//! Volumes that cannot be mounted: they show in no status, only in what the kubelet complains of.

use serde_json::{Value, json};

use super::*;
use crate::Warning;
use crate::fixtures::{applied, deployment, pod, server};

#[test]
fn a_volume_that_cannot_be_mounted_shows_in_events_only() {
    let own_keys =
        json!({"config": {"auth": {"apiKeys": {"secretKeyRef": {"name": "clients", "key": "keys.json"}}}}});
    let creating = || pod("hello-1", waiting("ContainerCreating", ""));
    let unseen = after(own_keys.clone(), rolling(0), vec![creating()]);
    let sentence = "Starting: 0 of 1 pod ready; it takes Secret clients with key \"keys.json\" to start";
    assert_eq!(shown(&unseen, "Ready"), Some(("False", "Progressing", sentence)));
    for (message, sentence) in [
        (
            "MountVolume.SetUp failed for volume \"mcp-api-keys\" : secret \"clients\" not found",
            "Secret shop/clients does not exist; create it, or change spec.config.auth.apiKeys.secretKeyRef",
        ),
        (
            "MountVolume.SetUp failed for volume \"mcp-api-keys\" : references non-existent secret key: keys.json",
            "Secret shop/clients has no key \"keys.json\"; add it, or change spec.config.auth.apiKeys.secretKeyRef",
        ),
    ] {
        let status = complained(&own_keys, &[message]);
        assert_eq!(shown(&status, "Ready"), Some(("False", "ReferenceMissing", sentence)));
    }
}

/// The status of a server whose pod waits for volumes of which the kubelet said this, the newest first.
fn complained(spec: &Value, messages: &[&str]) -> McpServerStatus {
    let warning = |message: &&str| Warning {
        pod: "hello-1".into(),
        reason: "FailedMount".into(),
        message: (*message).into(),
    };
    let observed = Observed {
        deployment: Some(deployment(spec.clone(), rolling(0))),
        pods: vec![pod("hello-1", waiting("ContainerCreating", ""))],
        warnings: messages.iter().map(warning).collect(),
        ..Observed::default()
    };
    status(&server(spec.clone()), &observed, &applied(spec.clone()), now())
}

#[test]
fn of_each_volume_the_newest_complaint_holds() {
    let spec = json!({
        "config": {"auth": {"apiKeys": {"secretKeyRef": {"name": "clients", "key": "keys.json"}}}},
        "volumes": [{"name": "certs", "secret": {"secretName": "certs"}}],
    });
    let keys = |cause: &str| format!("MountVolume.SetUp failed for volume \"mcp-api-keys\" : {cause}");
    let certs = "MountVolume.SetUp failed for volume \"certs\" : secret \"certs\" not found";
    let (gone, bare) =
        (keys("secret \"clients\" not found"), keys("references non-existent secret key: keys.json"));
    let sentence = "Secret shop/certs does not exist; create it, or change spec.volumes; \
                    Secret shop/clients has no key \"keys.json\"; add it, or change spec.config.auth.apiKeys.secretKeyRef";
    for messages in [[bare.as_str(), certs, gone.as_str()], [certs, bare.as_str(), gone.as_str()]] {
        assert_eq!(
            shown(&complained(&spec, &messages), "Ready"),
            Some(("False", "ReferenceMissing", sentence))
        );
    }
    // Something else keeps the volume now; what was missing before is there.
    let other = keys("permission denied");
    assert_eq!(shown(&complained(&spec, &[&other, &gone]), "Ready").unwrap().1, "Progressing");
}

#[test]
fn a_generated_key_that_is_gone_is_on_its_way_again() {
    let gone = "MountVolume.SetUp failed for volume \"mcp-api-keys\" : secret \"hello-api-key\" not found";
    assert_eq!(shown(&complained(&json!({}), &[gone]), "Ready").unwrap().1, "Progressing");
    let given = json!({"config": {"auth": {"apiKeys": {"secretKeyRef": {"name": "hello-api-key", "key": "keys.json"}}}}});
    assert_eq!(shown(&complained(&given, &[gone]), "Ready").unwrap().1, "ReferenceMissing");
}
