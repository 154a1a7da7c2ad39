//! Results of tools in the protocol's words.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::backend::Answer;
use crate::protocol::raw::Raw;

/// The largest text, and the largest structured content as JSON, that a tool may answer with, in bytes.
pub(super) const MAX_RESULT: usize = 1 << 20;

/// `CallToolResult`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallToolResult<'a, S> {
    content: [TextContent<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<S>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
}

/// A text block.
#[derive(Serialize)]
struct TextContent<'a> {
    r#type: &'static str,
    text: &'a str,
}

fn raw<S: Serialize>(text: &str, structured_content: Option<S>, is_error: bool) -> Raw {
    Raw::of(&CallToolResult { content: [TextContent { r#type: "text", text }], structured_content, is_error })
}

/// No structured content.
const NONE: Option<()> = None;

/// A text.
pub(super) fn text(text: &str) -> Answer {
    if text.len() > MAX_RESULT {
        return too_large();
    }
    Answer::new(text_only(text))
}

/// The same as [`raw`] makes of a text, written down: most answers are this.
fn text_only(text: &str) -> Raw {
    const BEFORE: &str = r#"{"content":[{"type":"text","text":"#;
    const AFTER: &str = "}]}";
    // As much again as is needed where nothing is escaped, up to a point.
    let mut json = Vec::with_capacity(BEFORE.len() + text.len() + text.len().min(64) + AFTER.len() + 2);
    json.extend_from_slice(BEFORE.as_bytes());
    serde_json::to_writer(&mut json, text).expect("a string is JSON, and a vector takes it");
    json.extend_from_slice(AFTER.as_bytes());
    Raw::written(json)
}

/// A value: structured content, and its JSON as text for clients that look only there.
pub(super) fn structured(value: &Value) -> Answer {
    let json = value.to_string();
    if json.len() > MAX_RESULT {
        return too_large();
    }
    let legacy = (!value.is_object()).then(|| raw(&json, NONE, false));
    Answer::new(raw(&json, Some(value), false)).with_legacy(legacy)
}

/// A JSON value that somebody else wrote, byte for byte.
pub(super) fn structured_raw(value: &Raw) -> Answer {
    let json = value.as_str();
    if json.len() > MAX_RESULT {
        return too_large();
    }
    let Ok(structured) = serde_json::from_str::<&RawValue>(json) else {
        return error("The result is not JSON.");
    };
    let is_object = json.trim_start().starts_with('{');
    let legacy = (!is_object).then(|| raw(json, NONE, false));
    Answer::new(raw(json, Some(structured), false)).with_legacy(legacy)
}

/// Something that the caller should read, and perhaps mend.
pub(super) fn error(message: &str) -> Answer {
    Answer::failed(raw(message, NONE, true))
}

pub(super) fn too_large() -> Answer {
    error(&format!("The result is larger than {MAX_RESULT} bytes. Ask for less."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_any_other_answer_is() {
        for content in ["", "a", "\"\\\n\u{1}é😀", &"\"".repeat(1000)] {
            assert_eq!(text_only(content), raw(content, NONE, false));
        }
    }
}
