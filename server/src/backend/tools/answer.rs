//! Results of tools in the protocol's words.

use serde::Serialize;
use serde_json::Value;

use crate::backend::Answer;
use crate::protocol::raw::Raw;

/// The largest text, and the largest structured content as JSON, that a tool may answer with, in bytes.
pub(super) const MAX_RESULT: usize = 1 << 20;

/// `CallToolResult`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallToolResult<'a> {
    content: [TextContent<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
}

/// A text block.
#[derive(Serialize)]
struct TextContent<'a> {
    r#type: &'static str,
    text: &'a str,
}

fn raw(text: &str, structured_content: Option<&Value>, is_error: bool) -> Raw {
    Raw::of(&CallToolResult { content: [TextContent { r#type: "text", text }], structured_content, is_error })
}

/// A text.
pub(super) fn text(text: &str) -> Answer {
    if text.len() > MAX_RESULT {
        return too_large();
    }
    Answer::new(raw(text, None, false))
}

/// A value: structured content, and its JSON as text for clients that look only there.
pub(super) fn structured(value: &Value) -> Answer {
    let json = value.to_string();
    if json.len() > MAX_RESULT {
        return too_large();
    }
    let legacy = (!value.is_object()).then(|| raw(&json, None, false));
    Answer::new(raw(&json, Some(value), false)).with_legacy(legacy)
}

/// Something that the caller should read, and perhaps mend.
pub(super) fn error(message: &str) -> Answer {
    Answer::failed(raw(message, None, true))
}

pub(super) fn too_large() -> Answer {
    error(&format!("The result is larger than {MAX_RESULT} bytes. Ask for less."))
}
