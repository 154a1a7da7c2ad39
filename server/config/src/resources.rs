//! Resources: what clients can read, by URI.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// A resource whose content stands in the configuration. Exactly one of `text` and `blob` is that content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.text) != has(self.blob)",
    "message": "exactly one of text and blob must be set",
    "fieldPath": ".text"
}]))]
pub struct Resource {
    /// URI by which clients read it, unique in the server. Example: docs://handbook/welcome.
    #[schemars(length(min = 3, max = 1024), regex(pattern = r"^[a-z][a-z0-9+.-]*:\S+$"))]
    pub uri: String,
    /// Name for programs. Default: the URI. Example: welcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub name: Option<String>,
    /// Name for people. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub title: Option<String>,
    /// What it is and what it is good for. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub description: Option<String>,
    /// Media type. Default: text/plain for text, application/octet-stream for a blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 128))]
    pub mime_type: Option<String>,
    /// The content as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub text: Option<String>,
    /// The content as bytes, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 131_072), regex(pattern = r"^[A-Za-z0-9+/=\s]*$"))]
    pub blob: Option<String>,
    /// For how long clients may go on using what they have read. Default: 10s. Example: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}

/// A family of resources: one for each value of its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTemplate {
    /// URI template (RFC 6570) with variables {x}, or {+x} where slashes are part of the value. Unique in the server.
    /// Example: docs://team/{team}.
    #[schemars(length(min = 3, max = 1024), regex(pattern = r"^[a-z][a-z0-9+.-]*:\S+$"))]
    pub uri_template: String,
    /// Name for programs. Default: the URI template. Example: team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub name: Option<String>,
    /// Name for people. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub title: Option<String>,
    /// What these resources are and what they are good for. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub description: Option<String>,
    /// Media type. Default: text/plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 128))]
    pub mime_type: Option<String>,
    /// The content; {{args.x}} stands for the variable x. Example: The page of team {{args.team}}.
    #[schemars(length(min = 1, max = 16384))]
    pub text: String,
    /// Variables that have only certain values; at most 16. Any other variable may have any value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub variables: Vec<TemplateVariable>,
    /// For how long clients may go on using what they have read. Default: 10s. Example: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}

/// A variable that has only certain values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVariable {
    /// Name of the variable in the URI template. Example: team.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_]+$"))]
    pub name: String,
    /// The values that it may have; from 1 to 100. A URI with any other value is not found.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 256)))]
    pub values: Vec<String>,
}

/// A file, or the files below a directory, as resources: only a process may be told of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileResource {
    /// For a file, its URI. For a directory, a URI template that ends in a variable with a plus: the path of the file
    /// below the directory. Example: docs:///{+path}.
    pub uri: String,
    /// Name for programs. Default: the URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name for people. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is and what it is good for. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Media type. Default: by the ending of the file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The file or directory. What leads out of the directory, links included, is not found.
    pub path: String,
    /// For how long clients may go on using what they have read. Default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}
