//! The reference: one tool on the official Rust SDK, as its documentation shows it, with what makes it fastest: no
//! sessions, answers as JSON, a router that is made once, TCP_NODELAY.

use std::io;
use std::sync::Arc;

use axum::serve::ListenerExt as _;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Message {
    text: String,
}

#[derive(Clone, Debug)]
struct Echo {
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl Echo {
    #[tool(description = "Answers with the text it is given.")]
    fn echo(&self, Parameters(Message { text }): Parameters<Message>) -> String {
        text
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Echo {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: rmcp-echo ADDRESS:PORT"))?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    let config =
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let echo = Echo { tool_router: Echo::tool_router() };
    let service = StreamableHttpService::new(
        move || Ok(echo.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let router = axum::Router::new().route_service("/mcp", service);
    let listener = listener.tap_io(|stream| {
        // Without it an answer in two writes waits for the client's delayed acknowledgement.
        if stream.set_nodelay(true).is_err() {
            // The connection is gone already, and serving it will say so.
        }
    });
    axum::serve(listener, router).await
}
