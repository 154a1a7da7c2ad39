//! The operator and the server mean the same.

use mcp_crds::McpServer;
use mcp_desired::{Observed, Settings, objects, validate};
use mcp_server_config::{
    Origin, SecretRef, compile, config_hash,
    constants::{API_KEYS_DIR, API_KEYS_FILE, CONFIG_FILE},
    load, render,
};
use serde_json::{Value, json};

use crate::read;

fn settings() -> Settings {
    Settings {
        runtime_image: "localhost/mcp-server:1".into(),
        runtime_image_pull_policy: "IfNotPresent".into(),
    }
}

fn resource(path: &str) -> McpServer {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&read(path)).unwrap();
    let mut value = documents.into_iter().find(|document| document["kind"] == "McpServer").unwrap();
    value["metadata"]["namespace"] = json!("default");
    value["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000001");
    serde_json::from_value(value).unwrap()
}

/// The file that the operator renders for a resource, as the server reads it.
#[test]
fn the_server_reads_what_the_operator_writes() {
    for path in ["examples/hello.yaml", "examples/tuned.yaml", "examples/own-keys.yaml"] {
        let server = resource(path);
        let validated =
            validate(&server, &Observed::default()).unwrap_or_else(|found| panic!("{path}: {found:?}"));
        let wanted = objects(&validated, &settings());
        let data = wanted.config_map.data.unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), [CONFIG_FILE]);

        let origin = Origin { name: CONFIG_FILE.into(), text: data[CONFIG_FILE].clone() };
        let document = load(&origin, []).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!((&document.unknown, &document.notes), (&vec![], &vec![]), "{path}");
        let violations = mcp_server_config::validate(&document.config);
        assert!(violations.is_empty(), "{path}: {violations:?}");
        assert_eq!(document.config, validated.config, "{path}: something was lost on the way");
        compile::compile(&document.config.service.tools).unwrap_or_else(|found| panic!("{path}: {found:?}"));
        // The server names its configuration by the hash of its own rendering; the operator compares it with this.
        assert_eq!(config_hash(&render(&document.config)), validated.config_hash, "{path}");
        // Every replica serves under the resource's name and reads its keys where they are mounted.
        assert!(document.config.service.server_name.is_some(), "{path}");
        let keys = document.config.service.auth.api_keys;
        let file = keys.and_then(|keys| keys.file).unwrap_or_default();
        assert!(file.starts_with(API_KEYS_DIR), "{path}: keys are read from {file:?}");
    }
}

#[test]
fn a_generated_key_is_where_the_server_looks() {
    let validated = validate(&resource("examples/hello.yaml"), &Observed::default()).unwrap();
    let keys = validated.config.service.auth.api_keys.as_ref();
    assert_eq!(keys, Some(&SecretRef::from_file(format!("{API_KEYS_DIR}/{API_KEYS_FILE}"))));
    let wanted = objects(&validated, &settings());
    assert!(wanted.api_key.is_some());
    let pod = wanted.deployment.spec.unwrap().template.spec.unwrap();
    let mount = pod.containers[0]
        .volume_mounts
        .as_ref()
        .unwrap()
        .iter()
        .find(|mount| mount.mount_path == API_KEYS_DIR);
    let volume = pod
        .volumes
        .as_ref()
        .unwrap()
        .iter()
        .find(|volume| Some(&volume.name) == mount.map(|mount| &mount.name));
    assert_eq!(volume.unwrap().secret.as_ref().unwrap().secret_name.as_deref(), Some("hello-api-key"));
}
