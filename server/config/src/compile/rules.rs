//! Rules of who may call which tools, with their conditions compiled.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::cel::{CelProgram, OF_RULE, Problem};
use super::{STACK, gather};
use crate::auth_rules::Rule;
use crate::path::Path;
use crate::validate::Violation;

/// One rule, ready to be asked.
#[derive(Debug)]
pub struct CompiledRule {
    rule: Rule,
    when: Option<CelProgram>,
}

impl CompiledRule {
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The condition; absent where the rule always applies.
    #[must_use]
    pub fn when(&self) -> Option<&CelProgram> {
        self.when.as_ref()
    }
}

/// Compiles the conditions of rules.
///
/// # Errors
/// With everything that is wrong with any of them.
pub fn compile_rules(rules: &[Rule]) -> Result<Vec<CompiledRule>, Vec<Violation>> {
    if rules.iter().all(|rule| rule.when.is_none()) {
        return Ok(rules.iter().map(|rule| CompiledRule { rule: rule.clone(), when: None }).collect());
    }
    let failed = |message: String| Err(vec![Violation { path: Path::of("auth.rules"), message }]);
    let on_ample_stack = thread::scope(|scope| {
        let thread = thread::Builder::new().name("compile-rules".to_owned()).stack_size(STACK);
        Ok(thread.spawn_scoped(scope, || compile_here(rules))?.join())
    });
    match on_ample_stack {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => {
            failed("could not be compiled: the compiler failed; please report this configuration".to_owned())
        }
        Err::<_, std::io::Error>(error) => failed(format!(
            "could not be compiled: no thread could be started ({error}); raise the limit of processes"
        )),
    }
}

fn compile_here(rules: &[Rule]) -> Result<Vec<CompiledRule>, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut compiled = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let path = Path::of("auth.rules").index(index).key("when");
        let when = rule.when.as_deref().and_then(|source| gather(condition(source, &path), &mut violations));
        compiled.push(CompiledRule { rule: rule.clone(), when });
    }
    if violations.is_empty() { Ok(compiled) } else { Err(violations) }
}

fn condition(source: &str, path: &Path) -> Result<CelProgram, Vec<Violation>> {
    let violation = |message: String| Violation { path: path.clone(), message };
    let said = |problem: Problem| match problem.position {
        Some((line, column)) => violation(format!("{} (line {line}, column {column})", problem.message)),
        None => violation(problem.message),
    };
    match catch_unwind(AssertUnwindSafe(|| CelProgram::compile_over(source, OF_RULE))) {
        Ok(compiled) => compiled.map_err(|problems| problems.into_iter().map(said).collect()),
        Err(_) => Err(vec![violation(
            "could not be compiled: the compiler failed; please report this rule".to_owned(),
        )]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(when: &str) -> Result<Vec<CompiledRule>, Vec<Violation>> {
        compile_rules(&[
            Rule { allow: vec!["*".into()], ..Rule::default() },
            Rule { allow: vec!["*".into()], when: Some(when.into()), ..Rule::default() },
        ])
    }

    #[test]
    fn conditions_are_over_arguments_principal_and_claims() {
        let when = "args.amount <= 100 && principal.id == 'ci' && 'ops' in claims.groups";
        assert!(compile(when).unwrap()[1].when().is_some());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (when, part) in [
            ("args.", "is not a CEL expression"),
            ("user.id == 'x'", "there are args, principal, claims"),
            ("claims.groups.map(a, claims.groups.map(b, a + b)).size() > 0", "comprehension inside another"),
        ] {
            let violations = compile(when).unwrap_err();
            assert_eq!(violations[0].path.to_string(), "auth.rules[1].when");
            assert!(violations[0].message.contains(part), "{}", violations[0]);
        }
    }
}
