//! Secrets that tools refer to and that are not there: told when the tools are put in force, and in `/status` for as long
//! as it is so. A call would find out too late.

use std::sync::{Arc, Mutex, PoisonError};

use mcp_server_config::SecretRef;
use mcp_server_config::compile::http::HeaderSource;
use mcp_server_config::compile::{Body, CompiledTools};

use crate::environment::Environment;
use crate::reload::chain;
use crate::secret;

/// What is not there of the tools in force.
#[derive(Debug, Default)]
pub(super) struct Lacking(Mutex<Vec<Lack>>);

#[derive(Debug)]
struct Lack {
    tool: Arc<str>,
    header: String,
    secret: SecretRef,
}

impl Lack {
    /// Why it is not there; none where it has come meanwhile.
    fn why(&self, environment: &Environment) -> Option<String> {
        secret::read(&self.secret, environment).err().map(|error| chain(&error))
    }
}

impl Lacking {
    /// Looks at every secret of these tools, and warns of those that cannot be had.
    pub(super) fn look(&self, tools: &CompiledTools, environment: &Environment) {
        let mut lacking = all(tools);
        lacking.retain(|lack| {
            let why = lack.why(environment);
            if let Some(error) = &why {
                let (tool, header) = (&*lack.tool, lack.header.as_str());
                tracing::warn!(
                    tool,
                    header,
                    error,
                    "a secret of a tool is not there; its calls fail until it is"
                );
            }
            why.is_some()
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lacking;
    }

    /// A sentence of each that is still not there.
    pub(super) fn told(&self, environment: &Environment) -> Vec<String> {
        let lacking = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = lacking.iter().filter_map(|lack| {
            Some(format!("tool {}, header {}: {}", lack.tool, lack.header, lack.why(environment)?))
        });
        told.collect()
    }
}

fn all(tools: &CompiledTools) -> Vec<Lack> {
    let mut found = Vec::new();
    for tool in tools.iter() {
        let Body::Http(program) = tool.body() else { continue };
        for (header, source) in &program.headers {
            if let HeaderSource::Secret { secret, .. } = source {
                let (tool, header) = (tool.name().clone(), header.clone());
                found.push(Lack { tool, header, secret: secret.clone() });
            }
        }
    }
    found
}
