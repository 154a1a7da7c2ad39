//! `mcp-server call`: a small client, for trying things out and for scripts.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::args::{Call, CallEra};
use crate::client::http::{Client, Url};
use crate::client::mcp::{CallFailure, Conversation};
use crate::commands::{fail, print, say};
use crate::environment::Environment;

pub mod http;
pub mod keys;
pub mod mcp;
pub mod sse;

/// Calls a tool, or lists the tools. The exit code is 1 where the tool says that it failed, or there is no answer.
pub async fn run(arguments: Call, environment: &Environment) -> ExitCode {
    let url = match Url::parse(&arguments.url) {
        Ok(url) => url,
        Err(error) => return fail(&error, 2),
    };
    let tool_arguments: Map<String, Value> = match serde_json::from_str(&arguments.arguments) {
        Ok(tool_arguments) => tool_arguments,
        Err(error) => {
            say(&format!(
                "mcp-server: the arguments must be a JSON object, as in '{{\"name\": \"Ada\"}}': {error}"
            ));
            return ExitCode::from(2);
        }
    };
    let key = match keys::find(arguments.key.as_deref(), arguments.config.as_deref(), &url, environment) {
        Ok(key) => key,
        Err(error) => return fail(&error, 2),
    };
    let client = Client::new(Duration::from_secs(arguments.timeout));
    let mut conversation = Conversation::new(client, url, key, arguments.era);
    let outcome = async {
        if arguments.era == CallEra::Legacy {
            conversation.shake_hands().await?;
        }
        match &arguments.tool {
            Some(tool) => conversation.call(tool, &tool_arguments).await,
            None => conversation.list().await,
        }
    };
    match outcome.await {
        Ok(result) if arguments.json => {
            let failed = is_error(&result);
            let printed = print(&format!("{result:#}\n"));
            if failed { ExitCode::FAILURE } else { printed }
        }
        Ok(result) if arguments.list => {
            let listed = list(&result);
            if listed.is_empty() {
                say("The server has no tools, or none that this key may call.");
            }
            print(&listed)
        }
        Ok(result) if is_error(&result) => {
            say(text(&result).trim_end());
            ExitCode::FAILURE
        }
        Ok(result) => print(&text(&result)),
        Err(failure) => tell(&failure),
    }
}

fn tell(failure: &CallFailure) -> ExitCode {
    let code = fail(failure, 1);
    if let CallFailure::Refused { code: 401, .. } = failure {
        say("Give the key with --key or MCP_API_KEY, or name the server's configuration with --config.");
    }
    code
}

fn is_error(result: &Value) -> bool {
    result["isError"] == true
}

/// The answer for people: its texts, or its structure where there are none.
fn text(result: &Value) -> String {
    let mut text = String::new();
    for block in result["content"].as_array().into_iter().flatten() {
        match (block["type"].as_str(), block["text"].as_str()) {
            (Some("text"), Some(part)) => text.push_str(part),
            (kind, _) => text.push_str(&format!("[{}]", kind.unwrap_or("content"))),
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    match &result["structuredContent"] {
        structured if text.is_empty() && !structured.is_null() => format!("{structured:#}\n"),
        _ => text,
    }
}

/// One tool a line, with what it is for.
fn list(result: &Value) -> String {
    let tools = result["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |tool: &Value| tool["name"].as_str().unwrap_or_default().to_owned();
    let width = tools.iter().map(|tool| name(tool).chars().count()).max().unwrap_or(0).min(40);
    let mut text = String::new();
    for tool in tools {
        let description = tool["description"].as_str().or(tool["title"].as_str()).unwrap_or_default();
        let first = description.lines().next().unwrap_or_default();
        let line = format!("{:width$}  {first}", name(tool));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_for_people() {
        for (result, expected) in [
            (json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b\n"}]}), "a\nb\n"),
            (json!({"content": [{"type": "image", "data": "…"}]}), "[image]\n"),
            (json!({"content": [], "structuredContent": 5}), "5\n"),
            (json!({"content": []}), ""),
        ] {
            assert_eq!(text(&result), expected);
        }
        let tools = json!({"tools": [{"name": "greet", "description": "Say hello.\nMore."}, {"name": "x"}]});
        assert_eq!(list(&tools), "greet  Say hello.\nx\n");
    }
}
