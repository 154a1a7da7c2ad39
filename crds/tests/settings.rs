//! The page of settings holds all of them.

use std::collections::BTreeSet;

use mcp_server_config::env;

#[test]
fn every_variable_and_every_section_is_on_the_page() {
    let page = mcp_crds::settings::page();
    let cells: BTreeSet<&str> = page.split('`').collect();
    let missing: Vec<_> = env::names().filter(|(name, _)| !cells.contains(name.as_str())).collect();
    assert_eq!(missing, [], "variables without a row");
    for setting in [
        "auth.mode",
        "auth.apiKey",
        "auth.oauth2.issuer",
        "auth.rules[].when",
        "fileResources[].path",
        "health.checks[].tool.arguments",
        "http.address",
        "http.publicURL",
        "metrics.pushGateway.url",
        "prompts[].messages[].text",
        "replicas",
        "resourceTemplates[].uriTemplate",
        "shutdown.delay",
        "tools[].command.argv[]",
        "tools[].inputSchema",
    ] {
        assert!(cells.contains(setting), "{setting} has no row");
    }
}

#[test]
fn the_page_is_the_generated_one() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("docs/settings.md")).unwrap();
    assert_eq!(page, mcp_crds::settings::page(), "run `make generate`");
}

#[test]
fn what_a_resource_cannot_say_is_marked() {
    let page = mcp_crds::settings::page();
    for line in [
        "| `http.address` *file, restart* | text | `127.0.0.1:8080` | `MCP_HTTP_ADDRESS` |",
        "| `http.publicURL` | text | none | `MCP_HTTP_PUBLIC_URL` |",
        "| `auth.apiKeys` | secret |  | `MCP_AUTH_API_KEYS_FILE` |",
        "| `auth.mode` | `Required`, `Optional`, `Disabled` | `Required` | `MCP_AUTH_MODE`, `MCP_AUTH_ENABLED` |",
        "| `performance.requestTimeout` | duration | `30s` | `MCP_PERFORMANCE_REQUEST_TIMEOUT` |",
        "| `http.allowedHosts[]` | list of texts | none | `MCP_HTTP_ALLOWED_HOSTS` |",
        "| `tools[].command.stdin` *file* | `Nothing`, `Arguments` | `Nothing` |  |",
    ] {
        assert!(page.contains(line), "{line}");
    }
}
