//! Results of tools in the protocol's words.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::media::Medium;
use crate::backend::Answer;
use crate::protocol::raw::Raw;

/// The largest text, and the largest structured content as JSON, that a tool may answer with, in bytes, unless its
/// declaration allows more.
pub(super) const MAX_RESULT: usize = 1 << 20;

/// `CallToolResult`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallToolResult<'a, S> {
    content: [Content<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<S>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
}

/// A block of content.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Content<'a> {
    Text { text: &'a str },
    Image { data: &'a str, mime_type: &'a str },
    Audio { data: &'a str, mime_type: &'a str },
}

fn raw<S: Serialize>(text: &str, structured_content: Option<S>, is_error: bool) -> Raw {
    Raw::of(&CallToolResult { content: [Content::Text { text }], structured_content, is_error })
}

/// No structured content.
const NONE: Option<()> = None;

/// A text of at most `limit` bytes.
pub(super) fn text(text: &str, limit: usize) -> Answer {
    if text.len() > limit {
        return too_large(limit);
    }
    Answer::new(text_only(text))
}

/// An image or sound.
pub(super) fn media(medium: Medium, mime_type: &str, bytes: &[u8]) -> Answer {
    let data = &*BASE64_STANDARD.encode(bytes);
    let content = match medium {
        Medium::Image => Content::Image { data, mime_type },
        Medium::Audio => Content::Audio { data, mime_type },
    };
    Answer::new(Raw::of(&CallToolResult { content: [content], structured_content: NONE, is_error: false }))
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

/// A value: structured content, and its JSON as text for clients that look only there. The JSON has at most `limit` bytes.
pub(super) fn structured(value: &Value, limit: usize) -> Answer {
    let json = value.to_string();
    if json.len() > limit {
        return too_large(limit);
    }
    let legacy = (!value.is_object()).then(|| raw(&json, NONE, false));
    Answer::new(raw(&json, Some(value), false)).with_legacy(legacy)
}

/// A JSON value of at most `limit` bytes that somebody else wrote, byte for byte.
pub(super) fn structured_raw(value: &Raw, limit: usize) -> Answer {
    let json = value.as_str();
    if json.len() > limit {
        return too_large(limit);
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

pub(super) fn too_large(limit: usize) -> Answer {
    error(&format!("The result is larger than {limit} bytes. Ask for less."))
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
