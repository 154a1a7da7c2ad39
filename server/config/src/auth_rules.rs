//! Who may call which tools.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may, or may not, call which tools. A rule applies to callers who fit principals, scopes and claims alike; one
/// that names none of them applies to everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Ids of API keys and subjects of tokens, one of which must be the caller's; * stands for any text. With a
    /// prefix, key: or token:, only of that kind. Default: any caller. Example: ["key:ci", "team-*"].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub principals: Vec<String>,
    /// Scopes that the caller's key or token must have, all of them. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub scopes: Vec<String>,
    /// Claims that the caller's token must have, all of them. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub claims: Vec<ClaimMatch>,
    /// Names of tools that these callers may call; * stands for any text. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    pub allow: Vec<String>,
    /// Names of tools that these callers may not call, whatever other rules allow. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    pub deny: Vec<String>,
    /// A CEL expression over args, principal and claims that must be true for the rule to apply to a call. One that
    /// fails allows nothing, and denies. Default: always. Example: args.amount <= 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub when: Option<String>,
}

/// A claim that a token must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimMatch {
    /// Name of the claim, or a JSON pointer into the claims. Examples: groups, /realm_access/roles.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Values, one of which the claim must have, or hold where it is a list; * stands for any text.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256)))]
    pub values: Vec<String>,
}
