//! From a file on a bare machine to an `McpServer` for a cluster.
//!
//! What the service does goes over as it is. What only a process is told stays behind, since the operator decides it
//! there; and a secret becomes a reference to a Secret that has yet to be made, because a resource holds none in clear.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::{
    Path, SecretKeyRef, SecretRef, ServerConfig, ServiceConfig, constants::API_KEYS_FILE, path::Segment,
};

/// The longest name of a resource; longer ones leave no room for the names of its children.
const MAX_NAME: usize = 52;

/// Writes the resource that serves the same, as YAML. What is left to do stands above it in comments.
#[must_use]
pub fn to_resource(config: &ServerConfig) -> String {
    let mut service = config.service.clone();
    let name = resource_name(service.server_name());
    let secrets = move_secrets(&mut service, &name);
    let mut text = String::new();
    if !secrets.is_empty() {
        text.push_str("# Make the Secret first:\n#   kubectl create secret generic ");
        let _written = writeln!(text, "{name}-secrets{}", secrets.concat());
    }
    if config.process.auth.api_key.is_some() {
        text.push_str("# auth.apiKey is for one process: put that key into the keys file above, under an id of its own.\n");
    }
    let left = left_behind(config);
    if !left.is_empty() {
        let _written =
            writeln!(text, "# Left out, because in a cluster the operator decides it: {}.", left.join(", "));
    }
    let resource = json!({
        "apiVersion": "mcp-operator.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": name},
        "spec": {"config": service},
    });
    text.push_str(&serde_saphyr::to_string(&resource).expect("JSON can be written as YAML"));
    text
}

/// A server's name as a DNS label, which the name of a resource has to be.
fn resource_name(server: &str) -> String {
    let mut name = String::new();
    for c in server.chars() {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            'A'..='Z' => name.push(c.to_ascii_lowercase()),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name.insert_str(0, "mcp-");
    }
    name.truncate(MAX_NAME);
    name.trim_end_matches('-').to_owned()
}

/// Turns every secret into a reference to `<name>-secrets`; what comes back are the arguments that make it.
fn move_secrets(service: &mut ServiceConfig, name: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    for (path, secret) in service.secrets_mut() {
        if secret.secret_key_ref.is_some() {
            continue;
        }
        let key = if path == Path::of("auth.apiKeys") { API_KEYS_FILE.to_owned() } else { key_of(&path) };
        let argument = match (&secret.file, &secret.env) {
            (Some(file), _) => format!(" --from-file={key}={file}"),
            (None, Some(variable)) => format!(" --from-literal={key}=\"${variable}\""),
            (None, None) => format!(" --from-literal={key}=…"),
        };
        arguments.push(argument);
        *secret = SecretRef {
            secret_key_ref: Some(SecretKeyRef { name: format!("{name}-secrets"), key }),
            ..SecretRef::default()
        };
    }
    arguments
}

/// `tools[0].http.headers[1]` as a key of a Secret: `tools-0-http-headers-1`.
fn key_of(path: &Path) -> String {
    let words = path.segments().iter().map(|segment| match segment {
        Segment::Key(key) => key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect(),
        Segment::Index(index) => index.to_string(),
    });
    words.collect::<Vec<String>>().join("-")
}

/// The settings of the process that were set, as paths.
fn left_behind(config: &ServerConfig) -> Vec<String> {
    let process = serde_json::to_value(&config.process).expect("a configuration is JSON");
    let mut paths = Vec::new();
    let empty = Map::new();
    for (section, value) in process.as_object().unwrap_or(&empty) {
        match value {
            Value::Object(settings) => paths.extend(settings.keys().map(|key| format!("{section}.{key}"))),
            _ => paths.push(section.clone()),
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, load};

    fn converted(text: &str) -> String {
        let origin = Origin { name: "production.json".into(), text: text.into() };
        to_resource(&load(&origin, []).unwrap().config)
    }

    #[test]
    fn a_classic_file_becomes_a_resource() {
        let text = r#"{
            "server_name": "Production MCP server",
            "auth": {"enabled": true, "api_keys_file": "config/api_keys.json", "api_key": "canary-5f1d"},
            "logging": {"level": "DEBUG", "file_path": "logs/production.log"},
            "tools": [{"name": "greet", "cel": "\"Hello, \" + args.name + \"!\""}]
        }"#;
        let shown = converted(text);
        assert!(!shown.contains("canary"), "{shown}");
        insta::assert_snapshot!(shown);
        // What it says is a configuration again, the same as far as a resource goes.
        let origin = Origin { name: "resource.yaml".into(), text: shown };
        let again = load(&origin, []).unwrap();
        assert!(again.unknown.is_empty() && again.notes.is_empty(), "{:?}", again.unknown);
        assert_eq!(again.config.service.tools.len(), 1);
    }

    #[test]
    fn names_become_labels() {
        for (server, name) in [
            ("hello", "hello"),
            ("Production MCP server", "production-mcp-server"),
            ("42", "mcp-42"),
            ("--a__b--", "a-b"),
            ("ü", "mcp"),
            (&"x".repeat(80), &"x".repeat(52)),
        ] {
            assert_eq!(resource_name(server), name, "{server:?}");
        }
    }
}
