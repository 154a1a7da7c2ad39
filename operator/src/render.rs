//! `render` and `crd`: what would be applied, without a cluster.

use std::io::{Read as _, Write};
use std::path::Path;

use kube::Resource as _;
use mcp_crds::v1alpha1::McpServer;
use mcp_desired::{Observed, Violation, objects, to_yaml, validate};
use mcp_server_config::load::yaml_complaint;

use crate::app::settings;
use crate::args::RenderArgs;
use crate::object::Object;

/// Nothing could be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there, or cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// As given.
        file: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is not made of McpServers.
    #[error("{file} cannot be read as McpServer resources: {message}")]
    Parse {
        /// As given.
        file: String,
        /// Where and what.
        message: String,
    },
    /// A resource breaks rules.
    #[error("McpServer {name} cannot be served:{}", list(violations))]
    Invalid {
        /// The resource.
        name: String,
        /// All rules that it breaks, each with its field.
        violations: Vec<Violation>,
    },
    /// The output is closed.
    #[error("cannot write the output")]
    Write(#[from] std::io::Error),
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("\n  {}: {}", violation.path, violation.message)).collect()
}

/// Prints the definition of the resource.
///
/// # Errors
/// The output is closed.
pub fn crd(out: &mut impl Write) -> Result<(), Error> {
    Ok(out.write_all(mcp_crds::schema::to_yaml(&mcp_crds::crd()).as_bytes())?)
}

/// Prints the children of every resource in the file, as YAML documents in the order in which they would be applied.
///
/// # Errors
/// See [`Error`]. Nothing is printed of a file with an invalid resource.
pub fn run(args: &RenderArgs, out: &mut impl Write) -> Result<(), Error> {
    let file = args.file.display().to_string();
    let text = read(&args.file).map_err(|source| Error::Read { file: file.clone(), source })?;
    let servers = parse(&text).map_err(|message| Error::Parse { file, message })?;
    let settings = settings(&args.runtime);
    let mut rendered = String::new();
    for server in &servers {
        let validated = validate(server, &Observed::default()).map_err(|violations| Error::Invalid {
            name: server.metadata.name.clone().unwrap_or_default(),
            violations,
        })?;
        rendered.push_str(&to_yaml(&objects(&validated, &settings)));
    }
    Ok(out.write_all(rendered.as_bytes())?)
}

fn read(file: &Path) -> std::io::Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}

/// JSON first: its errors are the better ones for JSON. YAML may hold several documents; empty ones are skipped.
fn parse(text: &str) -> Result<Vec<McpServer>, String> {
    let objects: Vec<Object> = if text.trim_start().starts_with('{') {
        vec![serde_json::from_str(text).map_err(|error| error.to_string())?]
    } else {
        serde_saphyr::from_multiple(text).map_err(|error| yaml_complaint(&error))?
    };
    if objects.is_empty() {
        return Err("it holds no resource".to_owned());
    }
    objects.into_iter().map(server).collect()
}

/// The object as an McpServer; of one that is something else, what it is.
fn server(object: Object) -> Result<McpServer, String> {
    let expected = (McpServer::api_version(&()), McpServer::kind(&()));
    let found = object.types();
    if found != (Some(&*expected.0), Some(&*expected.1)) {
        let (api_version, kind) = (found.0.unwrap_or("no apiVersion"), found.1.unwrap_or("no kind"));
        return Err(format!("expected {} {}, found {api_version} {kind}", expected.0, expected.1));
    }
    object.read().map_err(|unreadable| match &unreadable.metadata.name {
        Some(name) => format!("{name}: {unreadable}"),
        None => unreadable.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::RuntimeArgs;

    const HELLO: &str = "
apiVersion: mcp-operator.dev/v1alpha1
kind: McpServer
metadata: {name: hello, namespace: shop}
spec:
  config:
    tools: [{name: greet, description: Say hello., cel: '\"hello\"'}]
";

    fn render(text: &str) -> Result<String, Error> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server.yaml");
        std::fs::write(&file, text).unwrap();
        let runtime = RuntimeArgs {
            runtime_image: "example.com/mcp-server:1".to_owned(),
            runtime_image_pull_policy: "IfNotPresent".to_owned(),
        };
        let mut out = Vec::new();
        run(&RenderArgs { file, runtime }, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_resource_becomes_its_children() {
        let text = render(HELLO).unwrap();
        for kind in ["ServiceAccount", "ConfigMap", "Service", "Deployment"] {
            assert!(text.contains(&format!("kind: {kind}\n")), "{kind} is missing in\n{text}");
        }
        assert!(text.contains("example.com/mcp-server:1"));
        assert_eq!(render(&format!("{HELLO}---\n{HELLO}")).unwrap(), format!("{text}{text}"));
    }

    #[test]
    fn an_invalid_resource_is_refused_with_the_field() {
        let error = render(&HELLO.replace("\"hello\"", "1 +")).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert!(error.to_string().contains("spec.config.tools[0].cel"), "{error}");
    }

    #[test]
    fn a_field_that_cannot_be_read_is_named_as_a_cluster_would() {
        let error = render(&HELLO.replace("spec:", "spec:\n  replicas: many")).unwrap_err().to_string();
        assert!(error.contains("hello: spec.replicas: is a text, not"), "{error}");
        // Without quotes YAML has a truth value there.
        let off = HELLO.replace("  config:", "  config:\n    rateLimit: {mode: Off}");
        let error = render(&off).unwrap_err().to_string();
        assert!(error.contains("spec.config.rateLimit.mode"), "{error}");
    }

    #[test]
    fn no_message_repeats_a_value() {
        for broken in [
            HELLO.replace("spec:", "spec:\n  replicas: canary"),
            HELLO.replace("spec:", "spec: canary\nx:"),
            HELLO.replace("name: hello", "name: [canary]"),
            HELLO.replace("tools:", "\"canary\" tools:"),
            "canary".to_owned(),
            format!("{HELLO}  a: canary\n  a: canary\n b: canary"),
        ] {
            let error = render(&broken).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{broken}\n{error}");
        }
    }

    #[test]
    fn another_kind_is_refused() {
        let error = render(&HELLO.replace("McpServer", "Pod")).unwrap_err();
        assert!(error.to_string().contains("expected mcp-operator.dev/v1alpha1 McpServer"), "{error}");
    }

    #[test]
    fn the_definition_is_printed() {
        let mut out = Vec::new();
        crd(&mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("name: mcpservers.mcp-operator.dev"));
    }
}
