//! The official Rust SDK; the arguments are those of `python/steps.py`.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use rmcp::model::{CallToolRequestParams, JsonObject};
use rmcp::service::{RoleClient, RunningService, ServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};

type Session = RunningService<RoleClient, ()>;

async fn call(session: &Session, tool: &'static str, arguments: Value) -> Result<String> {
    let arguments: JsonObject = serde_json::from_value(arguments)?;
    let result = session.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await?;
    let text = result.content.first().and_then(|block| block.as_text()).context("no text")?.text.clone();
    ensure!(result.is_error != Some(true), "{text}");
    Ok(text)
}

async fn echo(session: &Session, text: String) -> Result<()> {
    let said = call(session, "echo", json!({"text": text})).await?;
    ensure!(said == text, "wrong answer: {said}");
    Ok(())
}

async fn tools(session: &Session) -> Result<Vec<String>> {
    let mut names: Vec<_> = session.list_all_tools().await?.into_iter().map(|tool| tool.name.to_string()).collect();
    names.sort();
    Ok(names)
}

async fn calls(session: &Session) -> Result<Value> {
    let tools = tools(session).await?;
    for number in 0..30 {
        echo(session, format!("n{number}")).await?;
    }
    let mut together = tokio::task::JoinSet::new();
    for number in 0..10 {
        let peer = session.peer().clone();
        together.spawn(async move {
            let arguments: JsonObject = serde_json::from_value(json!({"text": format!("p{number}")}))?;
            let result = peer.call_tool(CallToolRequestParams::new("echo").with_arguments(arguments)).await?;
            ensure!(result.is_error != Some(true), "an error result: {:?}", result.content);
            Ok(())
        });
    }
    while let Some(called) = together.join_next().await {
        called??;
    }
    let revision = session.peer().peer_info().map(|info| info.protocol_version.to_string());
    Ok(json!({"tools": tools, "revision": revision}))
}

async fn done() -> Result<Value> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, key, step, token] = &arguments[..] else { return Err(anyhow!("URL KEY STEP TOKEN")) };
    let config = StreamableHttpClientTransportConfig::with_uri(url.as_str()).auth_header(key.as_str());
    let session = ().serve(StreamableHttpClientTransport::from_config(config)).await?;
    match step.as_str() {
        "calls" => calls(&session).await,
        "long" => {
            let seconds: u32 = std::env::var("SECONDS")?.parse()?;
            Ok(json!({"said": call(&session, "wait", json!({"seconds": seconds, "token": token})).await?}))
        }
        "cancel" => {
            // Dropping the future takes the call back.
            let waiting = call(&session, "wait", json!({"seconds": 60, "token": token}));
            let ended = tokio::time::timeout(Duration::from_secs(1), waiting).await;
            ensure!(ended.is_err(), "the call was answered");
            Ok(json!({"afterwards": call(&session, "echo", json!({"text": "still here"})).await?}))
        }
        _ => tools(&session).await.map(|_| json!({"connected": true})),
    }
}

#[tokio::main]
async fn main() {
    let result = done().await.unwrap_or_else(|error| json!({"error": format!("{error:#}")}));
    println!("{result}");
}
