//! Small corrections to generated schemas, so that an API server takes them as meant.

use schemars::Schema;
use serde_json::{Value, json};

/// Turns the `uint…` formats, which Kubernetes does not know, into `int32` or `int64`.
///
/// Every such field states its own maximum, so the narrower format loses nothing.
pub fn signed_formats(schema: &mut Schema) {
    let replacement = match schema.get("format").and_then(Value::as_str) {
        Some("uint8" | "uint16" | "uint32" | "int8" | "int16") => "int32",
        Some("uint64" | "uint") => "int64",
        _ => return,
    };
    schema.insert("format".into(), json!(replacement));
}
