//! Declared tools without a server around them, and the surroundings of their calls.

use std::sync::Arc;
use std::time::Duration;

use mcp_server::auth::principal::{Caller, Principal, PrincipalKind};
use mcp_server::backend::tools::{DeclaredTools, Reach};
use mcp_server::backend::{Answer, Backend as _, Call, CallError, Cx, Outcome};
use mcp_server::environment::Environment;
use mcp_server::outbound::Client;
use mcp_server::protocol::raw::Raw;
use mcp_server_config::compile::compile;
use mcp_server_config::{Origin, ServerConfig, load, validate};
use prometheus::{Registry, TextEncoder};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::harness::PATIENCE;
use crate::upstream::Authority;

/// Declared tools, with everything they need.
pub(crate) struct Tools {
    pub(crate) tools: Arc<DeclaredTools>,
    pub(crate) registry: Registry,
}

/// The configuration in a document, which is valid.
pub(crate) fn config(document: &Value) -> ServerConfig {
    let origin = Origin { name: "test".into(), text: document.to_string() };
    let config = load(&origin, []).unwrap().config;
    assert_eq!(validate(&config), []);
    config
}

impl Tools {
    pub(crate) fn new(document: &Value) -> Self {
        Self::with(document, None)
    }

    pub(crate) fn with(document: &Value, authority: Option<&Authority>) -> Self {
        let config = config(document).service;
        let registry = Registry::new();
        let bundle = authority.map(|authority| authority.bundle.as_path());
        let reach = Reach {
            client: Client::new(&config, bundle, &registry).unwrap(),
            environment: Environment::from([
                ("TOKEN", "canary-token"),
                ("PATH", "/usr/bin:/bin"),
                ("HIDDEN", "x"),
            ]),
            config: &config,
            registry: &registry,
        };
        Self { tools: DeclaredTools::reaching(compile(&config.tools).unwrap(), reach), registry }
    }

    pub(crate) async fn call_with(&self, tool: &str, arguments: &Value, cx: Cx) -> Result<Answer, CallError> {
        let arguments = Some(Raw::check(arguments.to_string().into()).unwrap());
        let call = Call::tool(tool, arguments);
        match self.tools.clone().call(call, cx).await? {
            Outcome::Complete(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    /// The result of a call that ends in time.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer = self.call_with(tool, &arguments, cx(None)).await.unwrap();
        serde_json::from_str(answer.result.as_str()).unwrap()
    }

    /// The text of a result that is no error.
    pub(crate) async fn text(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result.get("isError"), None, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// The text of a result that is an error.
    pub(crate) async fn error(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    pub(crate) fn metrics(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }
}

pub(crate) fn cx(principal: Option<&str>) -> Cx {
    let principal = principal.map(|id| Arc::new(Principal::new(id, PrincipalKind::ApiKey)));
    Cx::new(Caller { principal, address: None }, Instant::now() + PATIENCE, CancellationToken::new())
}

/// The surroundings of a call that nobody waits for long.
pub(crate) fn hurried() -> Cx {
    let mut cx = cx(None);
    cx.deadline = Instant::now() + Duration::from_millis(30);
    cx
}
