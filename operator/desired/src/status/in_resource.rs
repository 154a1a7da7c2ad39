//! What a server says of itself, in the words of its resource: it knows files and variables, and whoever reads the status has
//! fields and Secrets.

use kube::Resource;
use mcp_crds::McpServer;
use mcp_server_config::constants::{API_KEYS_DIR, API_KEYS_FILE, CONFIG_DIR, CONFIG_FILE, SECRETS_DIR};

use crate::Names;

/// The text with fields of the resource and names of Secrets in place of paths in the pod.
pub(super) fn in_resource(text: &str, server: &McpServer) -> String {
    let text = without_program(text);
    let text = with_fields(text);
    let text = with_variables(&text, server);
    with_secrets(&text, server)
}

/// Without the program and the component in front of the cause, as the last line of its log has them.
fn without_program(text: &str) -> &str {
    let cause = text.strip_prefix("mcp-server: cannot start: ").and_then(|rest| rest.split_once(": "));
    cause.map_or(text, |(_component, cause)| cause)
}

/// `/app/config/production.json:3:5: auth.mode: …` as `spec.config.auth.mode: …`.
fn with_fields(text: &str) -> String {
    let file = format!("{CONFIG_DIR}/{CONFIG_FILE}");
    let mut parts = text.split(file.as_str());
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let place = part.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
        match place.strip_prefix(' ') {
            Some(rest) if place.len() < part.len() => {
                all.push_str(if begins_with_field(rest) { "spec.config." } else { "spec.config: " });
                all.push_str(rest);
            }
            _ => {
                all.push_str(CONFIG_FILE);
                all.push_str(part);
            }
        }
    }
    all
}

/// Whether a text begins with a dotted path and a colon.
fn begins_with_field(text: &str) -> bool {
    text.split_once(": ").is_some_and(|(field, _)| {
        field.starts_with(|c: char| c.is_ascii_lowercase()) && !field.contains(char::is_whitespace)
    })
}

/// `environment: MCP_LOG_LEVEL: …` with the field that sets the variable.
fn with_variables(text: &str, server: &McpServer) -> String {
    // Not of a setting that is called so.
    let mut parts = text.split("environment: MCP_");
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = format!("MCP_{}", part.split(':').next().unwrap_or_default());
        let index = server.spec.runtime.env.iter().position(|variable| variable.name == name);
        match index {
            Some(index) => all.push_str(&format!("spec.runtime.env[{index}]: MCP_")),
            None => all.push_str("spec.runtime.envFrom: MCP_"),
        }
        all.push_str(part);
    }
    all
}

/// Mounted files as the Secrets that they come from.
fn with_secrets(text: &str, server: &McpServer) -> String {
    let namespace = server.meta().namespace.as_deref().unwrap_or("default");
    let secret = |name: &str, key: &str| format!("Secret {namespace}/{name} (key {key:?})");
    let given = server.spec.config.auth.api_keys.as_ref().and_then(|keys| keys.secret_key_ref.as_ref());
    let keys = match given {
        Some(given) => secret(&given.name, &given.key),
        None => {
            let name = Names::of(server.meta().name.as_deref().unwrap_or_default()).api_key;
            secret(&name, API_KEYS_FILE)
        }
    };
    let text = text.replace(&format!("{API_KEYS_DIR}/{API_KEYS_FILE}"), &keys);
    let directory = format!("{SECRETS_DIR}/");
    let mut parts = text.split(directory.as_str());
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c))).unwrap_or(part.len());
        // A full stop at the end is the sentence's, not the key's.
        let path = part[..end].trim_end_matches('.');
        match path.split_once('/') {
            Some((name, key)) if !key.is_empty() => {
                all.push_str(&secret(name, key));
                all.push_str(&part[path.len()..]);
            }
            _ => all.push_str(part),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures;

    #[test]
    fn files_and_variables_become_fields_and_secrets() {
        let keys = json!({"secretKeyRef": {"name": "clients", "key": "all.json"}});
        let server = fixtures::server(json!({
            "config": {"auth": {"apiKeys": keys}}, "runtime": {"env": [{"name": "TEAM"}, {"name": "MCP_LOG_LEVEL"}]},
        }));
        for (said, shown) in [
            (
                "/app/config/production.json:3:5: tools[0].cel: does not parse; /app/config/production.json:9:1: auth: is odd",
                "spec.config.tools[0].cel: does not parse; spec.config.auth: is odd",
            ),
            (
                "/app/config/production.json:3:1: not JSON: trailing comma",
                "spec.config: not JSON: trailing comma",
            ),
            (
                "mcp-server: cannot start: configuration: environment: MCP_LOG_LEVEL: \"loud\" is not one of Info",
                "spec.runtime.env[1]: MCP_LOG_LEVEL: \"loud\" is not one of Info",
            ),
            ("/app/config/production.json:1:1: environment: is odd", "spec.config.environment: is odd"),
            ("environment: MCP_X: no", "spec.runtime.envFrom: MCP_X: no"),
            (
                "the API keys in /app/secrets/api-keys/keys.json cannot be used: not JSON",
                "the API keys in Secret shop/clients (key \"all.json\") cannot be used: not JSON",
            ),
            (
                "tool ask, header authorization: cannot read /app/secrets/refs/git.hub/token: permission denied",
                "tool ask, header authorization: cannot read Secret shop/git.hub (key \"token\"): permission denied",
            ),
            ("cannot read /app/secrets/refs/a/b.c.", "cannot read Secret shop/a (key \"b.c\")."),
            (
                "cannot read the configuration /app/config/production.json",
                "cannot read the configuration production.json",
            ),
            ("anything else", "anything else"),
        ] {
            assert_eq!(in_resource(said, &server), shown);
        }
        let generated = fixtures::server(json!({}));
        assert_eq!(
            in_resource("the API keys in /app/secrets/api-keys/keys.json cannot be used", &generated),
            "the API keys in Secret shop/hello-api-key (key \"keys.json\") cannot be used"
        );
    }
}
