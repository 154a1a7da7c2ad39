//! What tools answer.

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value};

use super::content::Content;
use crate::backend::Answer;
use crate::protocol::raw::Raw;

/// Something that a tool can answer with.
pub trait Output: Send + 'static {
    /// The answer.
    fn into_output(self) -> ToolOutput;

    /// The schema of structured content, where that is promised.
    #[must_use]
    fn schema() -> Option<Map<String, Value>> {
        None
    }
}

/// A whole answer.
///
/// ```
/// use mcp_server::tool::{Content, ToolOutput};
///
/// let output = ToolOutput::new(vec![Content::text("A chart:"), Content::image(b"...", "image/png")]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ToolOutput {
    content: Vec<Content>,
    structured: Option<Value>,
    is_error: bool,
}

/// A value as structured content. Its JSON is the text of the answer, too, for clients that look only there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl ToolOutput {
    #[must_use]
    pub fn new(content: Vec<Content>) -> Self {
        Self { content, ..Self::default() }
    }

    /// Adds structured content.
    #[must_use]
    pub fn structured(mut self, value: Value) -> Self {
        self.structured = Some(value);
        self
    }

    /// Says that this is an account of what went wrong.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.is_error = true;
        self
    }

    pub(super) fn into_answer(self) -> Answer {
        /// `CallToolResult`.
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct CallToolResult<'a> {
            content: &'a [Content],
            #[serde(skip_serializing_if = "Option::is_none")]
            structured_content: Option<&'a Value>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            is_error: bool,
        }
        let written = |structured_content| {
            Raw::of(&CallToolResult { content: &self.content, structured_content, is_error: self.is_error })
        };
        // Older clients know only objects.
        let legacy = self.structured.as_ref().is_some_and(|value| !value.is_object()).then(|| written(None));
        let result = written(self.structured.as_ref());
        let answer = if self.is_error { Answer::failed(result) } else { Answer::new(result) };
        answer.with_legacy(legacy)
    }
}

impl Output for ToolOutput {
    fn into_output(self) -> ToolOutput {
        self
    }
}

impl Output for String {
    fn into_output(self) -> ToolOutput {
        ToolOutput::new(vec![Content::text(self)])
    }
}

impl Output for &'static str {
    fn into_output(self) -> ToolOutput {
        ToolOutput::new(vec![Content::text(self)])
    }
}

impl Output for Content {
    fn into_output(self) -> ToolOutput {
        ToolOutput::new(vec![self])
    }
}

impl Output for Vec<Content> {
    fn into_output(self) -> ToolOutput {
        ToolOutput::new(self)
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Json<T> {
    fn into_output(self) -> ToolOutput {
        match serde_json::to_value(&self.0) {
            Ok(value) => ToolOutput::new(vec![Content::text(value.to_string())]).structured(value),
            Err(error) => {
                ToolOutput::new(vec![Content::text(format!("The result is not JSON: {error}."))]).failed()
            }
        }
    }

    /// That of the type, where it is an object: older clients take no other.
    fn schema() -> Option<Map<String, Value>> {
        schema_of::<T>(SchemaGenerator::new(
            schemars::generate::SchemaSettings::draft2020_12().for_serialize(),
        ))
    }
}

/// The schema of a type, where it is one of objects. Its title is the name of a Rust type, which helps no model.
pub(super) fn schema_of<T: JsonSchema>(generator: SchemaGenerator) -> Option<Map<String, Value>> {
    let schema = generator.into_root_schema_for::<T>();
    let mut schema = schema.as_object()?.clone();
    schema.remove("title");
    (schema.get("type").and_then(Value::as_str) == Some("object")).then_some(schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Serialize, JsonSchema)]
    struct Sum {
        sum: i64,
    }

    fn json_of(raw: &Raw) -> Value {
        serde_json::from_str(raw.as_str()).unwrap()
    }

    #[test]
    fn a_value_is_text_and_structure() {
        let answer = Json(Sum { sum: 3 }).into_output().into_answer();
        assert_eq!(
            json_of(&answer.result),
            json!({"content": [{"type": "text", "text": "{\"sum\":3}"}], "structuredContent": {"sum": 3}})
        );
        assert!(answer.legacy.is_none());
        assert_eq!(Json::<Sum>::schema().unwrap()["required"], json!(["sum"]));

        let list = Json(vec![1, 2]).into_output().into_answer();
        assert_eq!(json_of(&list.result)["structuredContent"], json!([1, 2]));
        assert_eq!(
            json_of(list.legacy.as_ref().unwrap()),
            json!({"content": [{"type": "text", "text": "[1,2]"}]})
        );
        assert!(Json::<Vec<i32>>::schema().is_none());
    }

    #[test]
    fn a_failure_says_so() {
        let answer = ToolOutput::new(vec!["no".into()]).failed().into_answer();
        assert!(answer.is_error);
        assert_eq!(json_of(&answer.result)["isError"], true);
    }
}
