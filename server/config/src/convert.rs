//! From a file on a bare machine to an `McpServer` for a cluster.
//!
//! What the service does goes over as it is. What only a process is told stays behind, since the operator decides it
//! there; and a secret becomes a reference to a Secret that has yet to be made, because a resource holds none in clear.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::{
    Path, SecretKeyRef, SecretRef, ServerConfig, ServiceConfig, constants::API_KEYS_FILE, path::Segment,
};

/// The longest name of a resource; longer ones leave no room for the names of its children.
const MAX_NAME: usize = 52;

/// A resource, and what of a file it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The resource as YAML. What is left to do stands above it in comments.
    pub text: String,
    /// What did not go along, or would not do the same in a cluster.
    pub to_mend: Vec<String>,
}

/// Writes the resource that serves the same, as far as one can.
#[must_use]
pub fn to_resource(config: &ServerConfig) -> Converted {
    let mut service = config.service.clone();
    let name = resource_name(service.server_name());
    let mut to_mend = leave_out(&mut service, config);
    let secrets = move_secrets(&mut service, &name);
    to_mend.extend(loopback(&service));
    to_mend.extend(refused(&service));
    let mut text = String::new();
    if !to_mend.is_empty() {
        text.push_str("# To be mended by hand, for this does not serve the same in a cluster as it is:\n");
        to_mend.iter().for_each(|line| text.push_str(&format!("#   - {line}\n")));
    }
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
    Converted { text, to_mend }
}

/// Takes out what a resource cannot have.
fn leave_out(service: &mut ServiceConfig, config: &ServerConfig) -> Vec<String> {
    let mut told = Vec::new();
    for (index, _) in service.tools.iter().enumerate().filter(|(_, tool)| tool.command.is_some()) {
        told.push(format!(
            "left out: tools[{index}] runs a program, which a resource cannot; put the program behind HTTP"
        ));
    }
    service.tools.retain(|tool| tool.command.is_none());
    if !config.process.file_resources.is_empty() {
        told.push(
            "left out: fileResources are files of this machine; write their text into resources".to_owned(),
        );
    }
    told
}

/// Addresses that mean another machine once the server is elsewhere.
fn loopback(service: &ServiceConfig) -> Vec<String> {
    let mut found = Vec::new();
    let document = serde_json::to_value(service).expect("a configuration is JSON");
    addresses(&document, &Path::of("spec.config"), &mut found);
    found
}

fn addresses(value: &Value, path: &Path, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| addresses(value, &path.key(key), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| addresses(item, &path.index(index), found));
        }
        Value::String(text) => {
            let leads = matches!(
                path.segments().last(),
                Some(Segment::Key(key)) if ["url", "endpoint", "issuer", "jwksURL", "address"].contains(&key.as_str())
            );
            if leads && is_loopback(text) {
                found.push(format!(
                    "{path} leads to this machine, and in a cluster that is the pod itself; name a Service"
                ));
            }
        }
        _ => {}
    }
}

fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What a cluster says of this resource.
fn refused(service: &ServiceConfig) -> Vec<String> {
    let mut violations = crate::validate_service(service);
    #[cfg(feature = "compile")]
    violations.extend(crate::compile::compile(&service.tools).err().unwrap_or_default());
    if service.tools.is_empty() {
        let message = "a server in a cluster needs at least one tool";
        violations.push(crate::Violation { path: Path::of("tools"), message: message.to_owned() });
    }
    violations.sort_by(|a, b| (&a.path, &a.message).cmp(&(&b.path, &b.message)));
    violations.dedup();
    let below = Path::of("spec.config");
    violations.iter().map(|broken| format!("{}: {}", below.join(&broken.path), broken.message)).collect()
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
            // Nobody decides these in a cluster: they are told of elsewhere.
            _ if section == "fileResources" => {}
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

    fn converted(text: &str) -> Converted {
        let origin = Origin { name: "production.json".into(), text: text.into() };
        to_resource(&load(&origin, []).unwrap().config)
    }

    #[test]
    fn what_a_cluster_cannot_serve_is_told() {
        let text = r#"{
            "auth": {"mode": "Disabled"},
            "health": {"checks": [{"name": "db", "tcp": {"address": "127.0.0.1:5432"}}]},
            "tools": [
                {"name": "backup", "command": {"argv": ["tar"]}},
                {"name": "near", "http": {"url": "http://localhost:8000/x"}},
                {"name": "far", "description": "http://localhost/", "http": {"url": "https://localhost.example/"}},
                {"name": "bad", "cel": "args."}
            ],
            "fileResources": [{"uri": "file:///a", "path": "/a"}]
        }"#;
        let Converted { text, to_mend } = converted(text);
        for part in [
            "tools[0] runs a program",
            "fileResources",
            "tools[0].http.url leads to this machine",
            "tcp.address leads to this machine",
            "spec.config.tools[2].cel",
        ] {
            assert!(to_mend.iter().any(|line| line.contains(part)), "{part}: {to_mend:#?}");
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(to_mend.len(), 5, "{to_mend:#?}");
        assert!(!text.contains("tar"), "{text}");
        let empty = converted("{}").to_mend;
        assert_eq!(empty, ["spec.config.tools: a server in a cluster needs at least one tool"]);
    }

    #[test]
    fn a_classic_file_becomes_a_resource() {
        let text = r#"{
            "server_name": "Production MCP server",
            "auth": {"enabled": true, "api_keys_file": "config/api_keys.json", "api_key": "canary-5f1d"},
            "logging": {"level": "DEBUG", "file_path": "logs/production.log"},
            "tools": [{"name": "greet", "cel": "\"Hello, \" + args.name + \"!\""}]
        }"#;
        let Converted { text: shown, to_mend } = converted(text);
        assert!(to_mend.is_empty(), "{to_mend:?}");
        assert!(!shown.contains("canary"), "{shown}");
        insta::assert_snapshot!(shown);
        // What it says is a configuration again, the same as far as a resource goes.
        let origin = Origin { name: "resource.yaml".into(), text: shown };
        let again = load(&origin, []).unwrap();
        assert!(again.unknown.is_empty(), "{:?}", again.unknown);
        // Here, that is, where there is no Secret.
        assert!(
            again.notes.iter().all(|note| note.contains("not readable outside a cluster")),
            "{:?}",
            again.notes
        );
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
