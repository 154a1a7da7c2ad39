//! JSON values with places for arguments.

use serde_json::Value;

use super::template::{MAX_TEXT, Template};
use crate::path::Path;
use crate::validate::Violation;

/// A JSON value of which parts are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonTemplate {
    /// JSON as it is sent.
    Literal(String),
    /// Stands for an argument, whatever its type.
    Argument(Vec<String>),
    /// A string in which arguments are filled in.
    Text(Template),
    List(Vec<JsonTemplate>),
    /// Keys, as JSON writes them, and values.
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    /// # Errors
    /// With every text in it that is not a template.
    pub(super) fn compile(value: &Value, path: &Path) -> Result<Self, Vec<Violation>> {
        let size = value.to_string().len();
        if size > MAX_TEXT {
            let message = format!("has {size} bytes; it must have at most {MAX_TEXT}");
            return Err(vec![Violation { path: path.clone(), message }]);
        }
        let mut violations = Vec::new();
        let template = walk(value, path, &mut violations);
        if violations.is_empty() { Ok(template) } else { Err(violations) }
    }
}

fn walk(value: &Value, path: &Path, violations: &mut Vec<Violation>) -> JsonTemplate {
    match value {
        Value::String(text) => match super::template(Template::parse_or_empty, text, path) {
            Ok(template) => match (template.whole(), template.literal()) {
                (Some(names), _) => JsonTemplate::Argument(names.to_vec()),
                (_, Some(literal)) => JsonTemplate::Literal(Value::from(literal).to_string()),
                _ => JsonTemplate::Text(template),
            },
            Err(mut more) => {
                violations.append(&mut more);
                JsonTemplate::Literal(String::new())
            }
        },
        Value::Array(items) => JsonTemplate::List(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| walk(item, &path.index(index), violations))
                .collect(),
        ),
        Value::Object(fields) => JsonTemplate::Object(
            fields
                .iter()
                .map(|(key, value)| {
                    if key.contains("{{") {
                        let message = "has {{ in a key; only values are filled in".to_owned();
                        violations.push(Violation { path: path.clone(), message });
                    }
                    (Value::from(key.as_str()).to_string(), walk(value, &path.key(key), violations))
                })
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => JsonTemplate::Literal(value.to_string()),
    }
}

/// Checks a JSON pointer (RFC 6901).
pub(super) fn pointer(text: &str, path: &Path) -> Option<Violation> {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if (text.is_empty() || text.starts_with('/')) && escapes {
        return None;
    }
    let message =
        "is not a JSON pointer; write the keys with a slash before each, as in /data/items".to_owned();
    Some(Violation { path: path.clone(), message })
}
