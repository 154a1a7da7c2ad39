//! Tools that are declared in the configuration.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub mod check;
pub mod command;
pub mod definition;
pub mod http;

pub use command::{CommandInput, CommandOutput, CommandTool};
pub use definition::Definition;
pub use http::{HttpBatch, HttpBody, HttpHeader, HttpMethod, HttpResult, HttpTool, QueryParameter};

/// What a tool is told that has no way, or several, to answer.
pub(crate) const EXACTLY_ONE: &str = "exactly one of cel, text, http and command must be set";

/// Said of a tool whose name an earlier one has.
pub(crate) const REPEATED: &str = "is the name of an earlier tool; give each tool a name of its own";

/// A tool that is declared. Exactly one of `cel`, `text` and `http` says what answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.cel), has(self.text), has(self.http)].filter(given, given).size() == 1",
    "message": "exactly one of cel, text and http must be set",
    "fieldPath": ".cel"
}]))]
pub struct Tool {
    /// Name by which clients call the tool, unique in the server: letters, digits, dots, dashes and underscores.
    /// Example: greet.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub name: String,
    /// Name for people. Default: none. Example: Greeting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub title: Option<String>,
    /// What the tool does and when to use it, for the model that chooses among tools. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub description: Option<String>,
    /// JSON Schema (2020-12, or by $schema 2019-09 or draft-07) of the arguments; its type must be object. Members that
    /// are missing and have a default get it. Arguments that do not fit are answered with an error result that names
    /// them. Default: any object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_schema")]
    pub input_schema: Option<Map<String, Value>>,
    /// JSON Schema (2020-12) of the structured result; its type must be object. A result that does not fit is
    /// answered with an error result. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_schema")]
    pub output_schema: Option<Map<String, Value>>,
    /// Hints on what the tool does to the world. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<ToolAnnotations>,
    /// A CEL expression over args; a string becomes the text of the answer, any other value structured content.
    /// At most 1 KiB. Example: "Hello, " + args.name + "!".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub cel: Option<String>,
    /// A text in which {{args.x}} stands for the argument x. Values other than strings appear as JSON; a missing
    /// argument is answered with an error result. Example: Hello, {{args.name}}!
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub text: Option<String>,
    /// A request to somebody else over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpTool>,
    /// A program. Refused unless the process was started with commands allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub command: Option<CommandTool>,
}

/// Hints on what a tool does to the world; clients may show them, and need not believe them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolAnnotations {
    /// Name for people. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub title: Option<String>,
    /// True: the tool changes nothing. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// True: the tool may destroy something. Default: true, as the protocol has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// True: calling again with the same arguments changes nothing more. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// True: the tool deals with things outside the server. Default: true, as the protocol has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

/// A free-form JSON Schema that at least says `type: object`.
fn object_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {"type": {
            "description": "Must be object.",
            "type": "string",
            "maxLength": 6,
            "enum": ["object"]
        }},
        "required": ["type"],
        "maxProperties": 64,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}
