//! Who may call which tools.
//!
//! Without rules everybody who is let in may call everything. With rules a tool may be called where some rule that
//! applies allows it and none that applies denies it. A condition that fails allows nothing, and denies.

use std::fmt;
use std::sync::Arc;

use cel::Context;
use mcp_server_config::compile::cel::{ARGUMENTS, CLAIMS, PRINCIPAL, environment};
use mcp_server_config::compile::{CelProgram, CompiledRule};
use mcp_server_config::glob::matches;
use mcp_server_config::{ClaimMatch, Rule};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::auth::principal::{Principal, PrincipalKind};
use crate::backend::tools::convert;

/// Conditions that are worked out at once on threads of their own.
const MAX_LONG: usize = 4;

/// The rules of a configuration, of which there is at least one.
pub struct Rules {
    rules: Vec<CompiledRule>,
    long: Semaphore,
}

/// The rules that apply to a caller, one bit for each. Callers with the same bits see the same tools.
pub type RuleSet = u64;

/// What a caller may do with a tool, as far as that can be said without arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Allowed,
    /// It depends on the arguments.
    Depends,
    Denied,
}

impl Rules {
    /// None where there are no rules.
    #[must_use]
    pub fn new(rules: Vec<CompiledRule>) -> Option<Arc<Self>> {
        (!rules.is_empty()).then(|| Arc::new(Self { rules, long: Semaphore::new(MAX_LONG) }))
    }

    /// The rules that apply to a caller.
    #[must_use]
    pub fn of_caller(&self, principal: Option<&Principal>) -> RuleSet {
        let applying = self.rules.iter().enumerate().filter(|(_, rule)| applies(rule.rule(), principal));
        applying.fold(0, |set, (index, _)| {
            set | 1_u64.checked_shl(u32::try_from(index).unwrap_or(64)).unwrap_or(0)
        })
    }

    /// What a caller to whom these rules apply may do with a tool.
    #[must_use]
    pub fn standing(&self, set: RuleSet, tool: &str) -> Standing {
        let mut standing = Standing::Denied;
        let mut in_doubt = false;
        for rule in self.in_set(set) {
            let conditional = rule.when().is_some();
            if names(&rule.rule().deny, tool) {
                if !conditional {
                    return Standing::Denied;
                }
                in_doubt = true;
            }
            if names(&rule.rule().allow, tool) && standing != Standing::Allowed {
                standing = if conditional { Standing::Depends } else { Standing::Allowed };
            }
        }
        if standing == Standing::Allowed && in_doubt { Standing::Depends } else { standing }
    }

    /// Whether a call may be made that depends on its arguments. Conditions that may take long are worked out on a
    /// thread that is for such work.
    pub async fn permits(
        self: &Arc<Self>,
        set: RuleSet,
        tool: &str,
        arguments: Option<&str>,
        principal: Option<&Arc<Principal>>,
    ) -> bool {
        let Ok(arguments) = serde_json::from_str::<Value>(arguments.unwrap_or("{}")) else { return false };
        let scope = Scope::new(arguments, principal.map(|principal| &**principal));
        let relevant =
            self.in_set(set).filter(|rule| names(&rule.rule().deny, tool) || names(&rule.rule().allow, tool));
        let cheap = relevant.filter_map(CompiledRule::when).all(|when| scope.weight <= when.limits().cheap);
        if cheap {
            return self.decide(set, tool, &scope);
        }
        let Ok(_permit) = self.long.acquire().await else { return false };
        let (this, tool) = (self.clone(), tool.to_owned());
        let decided = tokio::task::spawn_blocking(move || this.decide(set, &tool, &scope)).await;
        decided.unwrap_or(false)
    }

    fn decide(&self, set: RuleSet, tool: &str, scope: &Scope) -> bool {
        let denied = self
            .in_set(set)
            .filter(|rule| names(&rule.rule().deny, tool))
            .any(|rule| rule.when().is_none_or(|when| scope.holds(when).unwrap_or(true)));
        let mut allowing = self.in_set(set).filter(|rule| names(&rule.rule().allow, tool));
        !denied && allowing.any(|rule| rule.when().is_none_or(|when| scope.holds(when).unwrap_or(false)))
    }

    fn in_set(&self, set: RuleSet) -> impl Iterator<Item = &CompiledRule> {
        // More than 64 rules are refused with the configuration.
        self.rules
            .iter()
            .take(64)
            .enumerate()
            .filter(move |(index, _)| set >> index & 1 == 1)
            .map(|(_, rule)| rule)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules({})", self.rules.len())
    }
}

fn names(patterns: &[String], tool: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, tool))
}

/// Whether a rule is about a caller.
fn applies(rule: &Rule, principal: Option<&Principal>) -> bool {
    if rule.principals.is_empty() && rule.scopes.is_empty() && rule.claims.is_empty() {
        return true;
    }
    let Some(principal) = principal else { return false };
    (rule.principals.is_empty() || rule.principals.iter().any(|pattern| is_called(pattern, principal)))
        && rule.scopes.iter().all(|scope| principal.has_scope(scope))
        && rule.claims.iter().all(|claim| claims(claim, principal.claims.as_ref()))
}

fn is_called(pattern: &str, principal: &Principal) -> bool {
    match (pattern.strip_prefix("key:"), pattern.strip_prefix("token:")) {
        (Some(id), _) => principal.kind == PrincipalKind::ApiKey && matches(id, &principal.id),
        (_, Some(id)) => principal.kind == PrincipalKind::Token && matches(id, &principal.id),
        (None, None) => matches(pattern, &principal.id),
    }
}

fn claims(wanted: &ClaimMatch, claims: Option<&Map<String, Value>>) -> bool {
    let Some(claims) = claims else { return false };
    let value = match wanted.name.strip_prefix('/') {
        None => claims.get(&wanted.name),
        // A pointer needs a document; the first step is taken by hand, so that none has to be made.
        Some(pointer) => {
            let (first, rest) = pointer.find('/').map_or((pointer, ""), |at| pointer.split_at(at));
            claims.get(&first.replace("~1", "/").replace("~0", "~")).and_then(|value| value.pointer(rest))
        }
    };
    let fits = |text: &str| wanted.values.iter().any(|pattern| matches(pattern, text));
    let is = |value: &Value| match value {
        Value::String(text) => fits(text),
        Value::Bool(_) | Value::Number(_) => fits(&value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    match value {
        Some(Value::Array(items)) => items.iter().any(is),
        Some(value) => is(value),
        None => false,
    }
}

/// What conditions are about.
struct Scope {
    arguments: Value,
    principal: Value,
    claims: Value,
    /// Of all three together.
    weight: usize,
}

impl Scope {
    fn new(arguments: Value, principal: Option<&Principal>) -> Self {
        let kind = principal.map_or("None", |principal| match principal.kind {
            PrincipalKind::ApiKey => "ApiKey",
            PrincipalKind::Token => "Token",
        });
        let id = principal.map_or("", |principal| &*principal.id);
        let scopes = principal.map_or(&[][..], |principal| &principal.scopes);
        let claims = principal.and_then(|principal| principal.claims.clone()).unwrap_or_default();
        let principal = json!({"id": id, "kind": kind, "scopes": scopes});
        let claims = Value::Object(claims);
        let weight = [&arguments, &principal, &claims].into_iter().map(convert::weight).sum();
        Self { arguments, principal, claims, weight }
    }

    /// Whether a condition is true; none where it cannot be told.
    fn holds(&self, when: &CelProgram) -> Option<bool> {
        if self.weight > when.limits().accepted {
            return None;
        }
        let mut context = Context::with_env(environment());
        for (name, value) in
            [(ARGUMENTS, &self.arguments), (PRINCIPAL, &self.principal), (CLAIMS, &self.claims)]
        {
            context.add_variable_as_val(name, convert::to_cel(value));
        }
        match when.program().execute(&context) {
            Ok(cel::Value::Bool(holds)) => Some(holds),
            Ok(_) | Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::principal::sorted_scopes;
    use mcp_server_config::compile::compile_rules;

    fn rules(rules: Value) -> Arc<Rules> {
        let rules: Vec<Rule> = serde_json::from_value(rules).unwrap();
        Rules::new(compile_rules(&rules).unwrap()).unwrap()
    }

    fn key(id: &str, scopes: &[&str]) -> Arc<Principal> {
        let scopes = sorted_scopes(scopes.iter().copied());
        Arc::new(Principal { scopes, ..Principal::new(id, PrincipalKind::ApiKey) })
    }

    fn token(id: &str, claims: &Value) -> Arc<Principal> {
        let claims = claims.as_object().cloned();
        Arc::new(Principal { claims, ..Principal::new(id, PrincipalKind::Token) })
    }

    fn standing(rules: &Rules, principal: Option<&Arc<Principal>>, tool: &str) -> Standing {
        rules.standing(rules.of_caller(principal.map(|principal| &**principal)), tool)
    }

    async fn permits(rules: &Arc<Rules>, principal: &Arc<Principal>, tool: &str, arguments: Value) -> bool {
        let set = rules.of_caller(Some(principal));
        rules.permits(set, tool, Some(&arguments.to_string()), Some(principal)).await
    }

    #[test]
    fn deny_wins_and_nothing_is_allowed_that_no_rule_allows() {
        let rules = rules(json!([
            {"principals": ["ci", "team-*"], "allow": ["read-*"]},
            {"scopes": ["admin", "ops"], "allow": ["*"]},
            {"deny": ["*-secret"]},
        ]));
        for (principal, tool, expected) in [
            (Some(key("ci", &[])), "read-file", Standing::Allowed),
            (Some(key("team-a", &[])), "read-file", Standing::Allowed),
            (Some(key("team-a", &[])), "read-secret", Standing::Denied),
            (Some(key("ci", &[])), "write-file", Standing::Denied),
            (Some(key("x", &["admin"])), "read-file", Standing::Denied),
            (Some(key("x", &["admin", "ops"])), "write-file", Standing::Allowed),
            (Some(key("x", &["admin", "ops"])), "write-secret", Standing::Denied),
            (None, "read-file", Standing::Denied),
        ] {
            assert_eq!(standing(&rules, principal.as_ref(), tool), expected, "{principal:?} {tool}");
        }
    }

    #[test]
    fn a_rule_for_everybody_is_for_those_without_a_name_too() {
        let rules = rules(json!([{"allow": ["greet"]}, {"principals": ["*"], "allow": ["list"]}]));
        assert_eq!(standing(&rules, None, "greet"), Standing::Allowed);
        assert_eq!(standing(&rules, None, "list"), Standing::Denied);
        assert_eq!(standing(&rules, Some(&key("a", &[])), "list"), Standing::Allowed);
    }

    #[test]
    fn a_subject_is_no_key_of_the_same_name() {
        let rules = rules(json!([
            {"principals": ["key:ops"], "allow": ["k"]}, {"principals": ["token:ops"], "allow": ["t"]},
            {"principals": ["ops"], "allow": ["both"]},
        ]));
        let (key, token) = (key("ops", &[]), token("ops", &json!({})));
        for (tool, of_key, of_token) in [
            ("k", Standing::Allowed, Standing::Denied),
            ("t", Standing::Denied, Standing::Allowed),
            ("both", Standing::Allowed, Standing::Allowed),
        ] {
            assert_eq!(standing(&rules, Some(&key), tool), of_key);
            assert_eq!(standing(&rules, Some(&token), tool), of_token);
        }
    }

    #[test]
    fn claims_of_every_shape() {
        for (claim, fits) in [
            (json!({"name": "groups", "values": ["dev*"]}), true),
            (json!({"name": "groups", "values": ["ops"]}), false),
            (json!({"name": "tenant", "values": ["a", "b"]}), true),
            (json!({"name": "level", "values": ["3"]}), true),
            (json!({"name": "admin", "values": ["true"]}), true),
            (json!({"name": "/realm_access/roles", "values": ["writer"]}), true),
            (json!({"name": "/realm_access/other", "values": ["*"]}), false),
            (json!({"name": "https://example.com/x", "values": ["y"]}), true),
            (json!({"name": "/https:~1~1example.com~1x", "values": ["y"]}), true),
            (json!({"name": "realm_access", "values": ["*"]}), false),
            (json!({"name": "absent", "values": ["*"]}), false),
        ] {
            let rules = rules(json!([{"claims": [claim.clone()], "allow": ["*"]}]));
            let principal = token(
                "a",
                &json!({
                    "groups": ["devs", "all"], "tenant": "b", "level": 3, "admin": true,
                    "realm_access": {"roles": ["writer"]}, "https://example.com/x": "y",
                }),
            );
            let expected = if fits { Standing::Allowed } else { Standing::Denied };
            assert_eq!(standing(&rules, Some(&principal), "t"), expected, "{claim}");
            assert_eq!(standing(&rules, Some(&key("a", &[])), "t"), Standing::Denied, "{claim}");
        }
    }

    #[tokio::test]
    async fn conditions_decide_on_arguments() {
        let rules = rules(json!([
            {"allow": ["pay"], "when": "args.amount <= 100 || 'ops' in principal.scopes"},
            {"deny": ["pay"], "when": "args.to == 'mallory'"},
        ]));
        let (small, large) = (json!({"amount": 5, "to": "bob"}), json!({"amount": 500, "to": "bob"}));
        let ci = key("ci", &[]);
        assert_eq!(standing(&rules, Some(&ci), "pay"), Standing::Depends);
        assert!(permits(&rules, &ci, "pay", small).await);
        assert!(!permits(&rules, &ci, "pay", large.clone()).await);
        assert!(permits(&rules, &key("ci", &["ops"]), "pay", large).await);
        assert!(!permits(&rules, &ci, "pay", json!({"amount": 5, "to": "mallory"})).await);
        assert!(
            !permits(&rules, &ci, "pay", json!({"amount": 5})).await,
            "the condition of the denial fails"
        );
        assert!(
            !permits(&rules, &ci, "pay", json!({"to": "bob"})).await,
            "the condition of the allowance fails"
        );
        assert!(!permits(&rules, &ci, "pay", json!([1])).await);
    }

    #[tokio::test]
    async fn heavy_arguments_are_worked_out_or_refused() {
        let rules = rules(json!([{"allow": ["t"], "when": "args.list.all(x, x >= 0)"}]));
        let ci = key("ci", &[]);
        let list = |n: usize| json!({"list": (0..n).collect::<Vec<_>>()});
        assert!(permits(&rules, &ci, "t", list(2000)).await);
        assert!(!permits(&rules, &ci, "t", list(200_000)).await, "too heavy to be looked at");
    }
}
