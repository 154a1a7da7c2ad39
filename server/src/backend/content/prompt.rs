//! `prompts/get`.

use std::collections::BTreeMap;

use mcp_server_config::Role;
use mcp_server_config::compile::content::CompiledPrompt;
use serde::Serialize;

use super::resource::filled;
use crate::backend::{Answer, CallError};
use crate::protocol::raw::Raw;

/// The messages of a prompt with its arguments filled in.
pub(super) fn get(prompt: &CompiledPrompt, arguments: Option<&Raw>) -> Result<Answer, CallError> {
    #[derive(Serialize)]
    struct GetPromptResult<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        messages: Vec<Message>,
    }
    #[derive(Serialize)]
    struct Message {
        role: &'static str,
        content: Text,
    }
    #[derive(Serialize)]
    struct Text {
        r#type: &'static str,
        text: String,
    }
    let arguments: BTreeMap<String, String> = match arguments {
        None => BTreeMap::new(),
        Some(raw) => serde_json::from_str(raw.as_str()).map_err(|error| {
            CallError::InvalidParams(format!("params.arguments must be an object of strings: {error}"))
        })?,
    };
    check(prompt, &arguments)?;
    let messages = prompt.messages.iter().map(|(role, text)| Message {
        role: match role {
            Role::User => "user",
            Role::Assistant => "assistant",
        },
        content: Text { r#type: "text", text: filled(text, &arguments) },
    });
    let result =
        GetPromptResult { description: prompt.declared.description.as_deref(), messages: messages.collect() };
    Ok(Answer::new(Raw::of(&result)))
}

/// Names every argument that is missing, or has a value that it may not have.
fn check(prompt: &CompiledPrompt, arguments: &BTreeMap<String, String>) -> Result<(), CallError> {
    let mut wrong = Vec::new();
    for argument in &prompt.declared.arguments {
        match arguments.get(&argument.name) {
            None if argument.required == Some(true) => wrong.push(format!("{} is missing", argument.name)),
            Some(value) if !argument.values.is_empty() && !argument.values.contains(value) => {
                wrong.push(format!("{} must be one of {}", argument.name, argument.values.join(", ")));
            }
            _ => {}
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(CallError::InvalidParams(format!("params.arguments: {}", wrong.join("; "))))
}
