//! Tools that ask somebody else over HTTP.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ByteSize, Duration, SecretRef};

/// A request to an upstream, whose answer becomes the answer of the tool. In url, query, headers and body,
/// {{args.x}} stands for the argument x, encoded as its place needs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpTool {
    /// Method of the request. Default: GET, or POST where there is a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpMethod>,
    /// Where to send it: an absolute URL. An argument in the path fills one segment or a part of one. The host should
    /// be written out; one that holds an argument may only lead to public addresses and to outbound.allowPrivate.
    /// Example: https://api.example.com/users/{{args.id}}.
    #[schemars(length(min = 8, max = 2048), regex(pattern = r"^https?://"))]
    pub url: String,
    /// Parameters behind the question mark; one that is nothing but an argument is left out where the argument is
    /// missing, and repeated for each item where it is a list. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub query: Vec<QueryParameter>,
    /// Headers of the request. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub headers: Vec<HttpHeader>,
    /// Body of the request. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<HttpBody>,
    /// What of the answer becomes the answer of the tool. Default: a JSON body becomes structured content, any other
    /// text is answered as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<HttpResult>,
    /// How long the upstream may take, tries included, 1ms to 10m. Default: as long as the call itself may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// The largest answer that is read, as a quantity between 1Ki and 16Mi. Default: 1Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_response: Option<ByteSize>,
    /// How often a request that failed is sent again, 0 to 5. Only for tools that change nothing more by it: annotated
    /// readOnlyHint or idempotentHint, or with the method GET and no annotation against it. Default: 2, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 5))]
    pub retries: Option<u32>,
    /// How several calls fit into one request. With it, the body is one item of a list. Default: they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<HttpBatch>,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// One parameter behind the question mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueryParameter {
    /// Name of the parameter. Example: limit.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Its value. Example: {{args.limit}}.
    #[schemars(length(max = 2048))]
    pub value: String,
}

/// One header of a request: a value, or a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpHeader {
    /// Name of the header. Example: Authorization.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"))]
    pub name: String,
    /// Its value. Default: none; then there is a secret. Example: application/json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub value: Option<String>,
    /// The secret that is its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// What stands before the secret. Default: nothing. Example: "Bearer ".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub prefix: Option<String>,
}

/// The body of a request: json, form or text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpBody {
    /// Any JSON value. A text in it that is nothing but {{args.x}} becomes the argument itself, whatever its type; as a
    /// member of an object it is left out where the argument is missing. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub json: Option<Value>,
    /// Fields of a form (application/x-www-form-urlencoded), each a name and its value, encoded so that no argument can
    /// add a field; one that is nothing but an argument is left out where the argument is missing, and repeated for each
    /// item where it is a list. Default: none. Example: {"criteria": "{{args.criteria}}"}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "form")]
    pub form: Option<BTreeMap<String, String>>,
    /// A text, sent as it is filled in: nothing is encoded. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub text: Option<String>,
}

/// What of an upstream's answer becomes the answer of the tool: pointer or cel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpResult {
    /// JSON pointer to the part of the body that counts. Default: none. Example: /data/items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub pointer: Option<String>,
    /// A CEL expression over status, headers (names in lower case), body (JSON, or else a text) and args. At most 1 KiB.
    /// Default: none. Example: body.items.map(i, i.name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub cel: Option<String>,
}

/// How several calls fit into one request and one answer. They do only with performance.batching.mode On; without it
/// each request has a list of one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpBatch {
    /// JSON pointer to where in the body the list of items goes. Default: the list is the body. Example: /inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub items: Option<String>,
    /// What else the body holds: a JSON object without arguments. Default: nothing. Example: {"model": "small"}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub body: Option<serde_json::Map<String, Value>>,
    /// JSON pointer to the list of results in the answer, which has one for each item, in their order. Default: the
    /// answer is the list. Example: /results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub results: Option<String>,
    /// JSON pointer to what, within one result, says that this item failed: there, and neither null nor false. Default:
    /// none. Example: /error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub error: Option<String>,
}

fn any_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

fn form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 2048},
    })
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 64, "x-kubernetes-preserve-unknown-fields": true})
}

impl HttpTool {
    /// The method in force.
    #[must_use]
    pub fn method(&self) -> HttpMethod {
        self.method.unwrap_or(if self.body.is_some() { HttpMethod::Post } else { HttpMethod::Get })
    }

    /// The largest answer that is read.
    #[must_use]
    pub fn max_response(&self) -> ByteSize {
        self.max_response.unwrap_or(ByteSize::from_mib(1))
    }
}

impl HttpMethod {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}
