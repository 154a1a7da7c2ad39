//! Secrets by reference.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Where a secret is to be found. Exactly one of the fields is set.
///
/// A resource knows only `secretKeyRef` (the operator turns it into a mounted file); a file on disk may also
/// say `file`, `env`, or hold the secret itself in `value`, which is warned of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// Path of a file; a relative one is taken from the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Name of an environment variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The secret itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Literal>,
}

impl SecretRef {
    #[must_use]
    pub fn from_file(path: impl Into<String>) -> Self {
        Self { file: Some(path.into()), ..Self::default() }
    }

    #[must_use]
    pub fn from_env(name: impl Into<String>) -> Self {
        Self { env: Some(name.into()), ..Self::default() }
    }

    /// How many of the alternatives are set; one is right.
    #[must_use]
    pub fn alternatives(&self) -> usize {
        usize::from(self.secret_key_ref.is_some())
            + usize::from(self.file.is_some())
            + usize::from(self.env.is_some())
            + usize::from(self.value.is_some())
    }
}

impl JsonSchema for SecretRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret_key_ref = SecretKeyRef::json_schema(generator);
        json_schema!({
            "type": "object",
            "properties": {"secretKeyRef": secret_key_ref},
            "required": ["secretKeyRef"],
        })
    }
}

/// A key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(description = "A key of a Secret in the same namespace.")]
pub struct SecretKeyRef {
    /// Name of the Secret. Example: clients.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Key within the Secret. Example: keys.json.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// A secret written out in a file. It shows itself neither in logs nor in what is printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Literal(String);

impl Literal {
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Literal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_never_shown() {
        let secret: SecretRef = serde_json::from_str(r#"{"value":"canary-5f1d"}"#).unwrap();
        assert_eq!(secret.value.as_ref().unwrap().expose(), "canary-5f1d");
        let shown = format!("{secret:?} {}", serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
