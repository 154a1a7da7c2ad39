//! CEL expressions: parsed once, and everything said about them that can be said without arguments.

use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::{Context, Env, ExecutionError, Program, Value};

use super::cost::{self, Limits};
use super::scan;

/// The one variable the expression of a tool may name: the arguments of the call.
pub const ARGUMENTS: &str = "args";
/// What the condition of a rule may name besides: who calls, and what the caller's token claims.
pub const PRINCIPAL: &str = "principal";
pub const CLAIMS: &str = "claims";
/// The variables of a rule.
pub(super) const OF_RULE: &[&str] = &[ARGUMENTS, PRINCIPAL, CLAIMS];
/// What an expression over the answer of an upstream may name.
pub(super) const OF_ANSWER: &[&str] = &[ARGUMENTS, "status", "headers", "body"];
/// How deep comprehensions (`map`, `filter`, `all`, `exists`, `exists_one`) may be nested in each other's bodies.
pub const MAX_COMPREHENSION_DEPTH: usize = 1;
/// The largest compiled form of a regular expression, in bytes.
const MAX_REGEX: usize = 256 * 1024;
/// The most problems reported of one expression.
const MAX_PROBLEMS: usize = 8;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// The environment that expressions are compiled for and must be evaluated in: CEL's standard functions and macros,
/// optional values (`args.?name.orValue("you")`) included, without durations and timestamps.
#[must_use]
pub fn environment() -> Arc<Env> {
    Arc::clone(&ENVIRONMENT)
}

/// A checked expression.
#[derive(Debug)]
pub struct CelProgram {
    program: Program,
    limits: Limits,
}

/// Something wrong with an expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Line and column, both from 1; absent where it is the whole expression.
    pub(super) position: Option<(usize, usize)>,
    pub(super) message: String,
}

impl CelProgram {
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Which arguments the expression may be given, and how few make it cheap.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Compiles an expression over these variables. The limits are on what all of them weigh together. Needs a stack of
    /// some megabytes: see [`super::STACK`].
    pub(super) fn compile_over(source: &str, variables: &[&str]) -> Result<Self, Vec<Problem>> {
        scan::scan(source).map_err(|refusal| {
            vec![Problem { position: Some(position(source, refusal.at)), message: refusal.message }]
        })?;
        let program = ENVIRONMENT.compile(source).map_err(|errors| vec![first(&errors)])?;
        let mut check = Check {
            program: &program,
            source,
            variables,
            root: Context::with_env(environment()),
            bound: Vec::new(),
            depth: 0,
            problems: Vec::new(),
        };
        check.walk(program.expression());
        let mut problems = check.problems;
        if problems.is_empty() {
            match cost::limits(program.expression(), variables) {
                Ok(limits) => return Ok(Self { program, limits }),
                Err(message) => problems.push(Problem { position: None, message }),
            }
        }
        problems.truncate(MAX_PROBLEMS);
        Err(problems)
    }
}

/// The first of the parser's complaints: the others are mostly its echo.
fn first(errors: &cel::ParseErrors) -> Problem {
    let Some(error) = errors.errors.first() else {
        return Problem { position: None, message: "is not a CEL expression".to_owned() };
    };
    let from_one = |n: isize| usize::try_from(n).unwrap_or(0).max(1);
    let mut message = plain(&error.msg.replace(['\n', '\r'], " "));
    if let Some((end, _)) = message.char_indices().nth(200) {
        message.truncate(end);
        message.push('…');
    }
    Problem {
        position: Some((from_one(error.pos.0), from_one(error.pos.1))),
        message: format!("is not a CEL expression: {message}; correct it there"),
    }
}

/// The parser's complaint without its list of all that could stand there, which fills lines and helps nobody.
fn plain(complaint: &str) -> String {
    let complaint = complaint.trim().trim_start_matches("Syntax error: ");
    let after = |start: &str| complaint.strip_prefix(start);
    if let Some(found) = after("token recognition error at: ") {
        return format!("{} is not part of the language", shown(found));
    }
    if let Some(found) = after("no viable alternative at input ") {
        let ends = found.trim_matches('\'').ends_with("<EOF>");
        let said = if ends { "the expression ends too early" } else { "nothing that fits follows here" };
        return said.to_owned();
    }
    if let Some((name, _)) = after("invalid argument to ").and_then(|rest| rest.split_once("() macro")) {
        return format!("invalid argument to {name}() macro");
    }
    if complaint.starts_with("Incomplete ") {
        return "a part of the expression is missing".to_owned();
    }
    let (found, wanted) =
        if let Some(rest) = after("mismatched input ").or_else(|| after("extraneous input ")) {
            rest.split_once(" expecting ").unwrap_or((rest, ""))
        } else if let Some((wanted, found)) = after("missing ").and_then(|rest| rest.split_once(" at ")) {
            (found, wanted)
        } else {
            return "it cannot be read from here on".to_owned();
        };
    // Where only one thing can stand there, it is worth naming.
    let one = wanted.starts_with('\'') && !wanted.contains(", ");
    match (found.trim_matches('\'').ends_with("<EOF>"), one) {
        (true, true) => format!("the expression ends too early, {wanted} is missing"),
        (true, false) => "the expression ends too early".to_owned(),
        (false, true) => format!("{wanted} is missing before {}", shown(found)),
        (false, false) => format!("{} does not belong there", shown(found)),
    }
}

/// What the parser found, where that is a sign of the language; anything else could be part of a text, and texts may be
/// secrets.
fn shown(found: &str) -> &str {
    let sign = found.trim_matches('\'');
    let is_sign = (1..=2).contains(&sign.len()) && sign.bytes().all(|byte| byte.is_ascii_punctuation());
    if is_sign { found } else { "what stands here" }
}

/// Line and column of a byte offset, both from 1, the column in characters.
pub(super) fn position(source: &str, at: usize) -> (usize, usize) {
    let before = source.get(..at.min(source.len())).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// A walk through an expression, with the names that are bound where it stands.
struct Check<'a> {
    program: &'a Program,
    source: &'a str,
    variables: &'a [&'a str],
    root: Context<'static, 'static>,
    bound: Vec<&'a str>,
    depth: usize,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn report(&mut self, expr: &IdedExpr, message: impl Into<String>) {
        let offset = self.program.source_info().offset_for(expr.id);
        let position =
            offset.and_then(|(start, _)| Some(position(self.source, usize::try_from(start).ok()?)));
        self.problems.push(Problem { position, message: message.into() });
    }

    fn walk(&mut self, expr: &'a IdedExpr) {
        match &expr.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.ident(expr, name),
            Expr::Select(select) => self.walk(&select.operand),
            Expr::List(list) => list.elements.iter().for_each(|element| self.walk(element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(_) => self.report(
                expr,
                "builds a message, and there are no message types; write a map {\"key\": value}",
            ),
            Expr::Call(call) => self.call(expr, call),
            Expr::Comprehension(comprehension) => self.comprehension(expr, comprehension),
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.walk(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.walk(&entry.key);
                self.walk(&entry.value);
            }
        }
    }

    fn is_bound(&self, name: &str) -> bool {
        self.variables.contains(&name) || self.bound.contains(&name)
    }

    fn ident(&mut self, expr: &IdedExpr, name: &str) {
        // What is no variable may still name a type, as in `type(args.x) == int`.
        if !self.is_bound(name) && !self.resolves(expr) {
            if let Some(meant) = self.variables.iter().find(|variable| is_near(name, variable)) {
                self.report(expr, format!("names an unknown variable; did you mean {meant}?"));
                return;
            }
            let known = match self.variables {
                [one] => format!("only {one} is known"),
                several => format!("there are {}", several.join(", ")),
            };
            self.report(expr, format!("names an unknown variable; {known}, as in args.name"));
        }
    }

    fn call(&mut self, expr: &'a IdedExpr, call: &'a CallExpr) {
        let name = call.func_name.as_str();
        // An operator: its name cannot be written as a call, so the parser vouches for it.
        let operator = !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !operator {
            match &call.target {
                Some(target) if self.names_function(target, name) => {}
                Some(target) => {
                    self.walk(target);
                    self.known(expr, name, Some(literal(LiteralValue::Null)));
                }
                None => self.known(expr, name, None),
            }
            if name == "matches" {
                self.pattern(call);
            }
        } else if let Some(target) = &call.target {
            self.walk(target);
        }
        call.args.iter().for_each(|argument| self.walk(argument));
    }

    /// Whether `target.name` spells the name of one function, as `optional.of` does.
    fn names_function(&self, target: &IdedExpr, name: &str) -> bool {
        let mut root = target;
        while let Expr::Select(select) = &root.expr {
            root = &select.operand;
        }
        matches!(&root.expr, Expr::Ident(first) if !self.is_bound(first))
            && self.resolves(&called(name, Some(target.clone())))
    }

    fn known(&mut self, expr: &IdedExpr, name: &str, target: Option<IdedExpr>) {
        if !self.resolves(&called(name, target)) {
            self.report(
                expr,
                "calls an unknown function; there are size, contains, startsWith, endsWith, matches, string, int, uint, double, bytes, type, and the macros has, all, exists, exists_one, map, filter with their arguments",
            );
        }
    }

    /// Asks the environment itself, by a call with no arguments that no overload takes: so no list of names can go stale.
    fn resolves(&self, expr: &IdedExpr) -> bool {
        !matches!(Value::resolve(expr, &self.root), Err(ExecutionError::UndeclaredReference(_)))
    }

    /// The pattern of `matches` is compiled at each evaluation: it must be known, and small.
    fn pattern(&mut self, call: &CallExpr) {
        let Some(pattern) = call.args.last() else { return };
        match &pattern.expr {
            Expr::Literal(LiteralValue::String(text)) => {
                if let Err(error) = regex::RegexBuilder::new(text.inner()).size_limit(MAX_REGEX).build() {
                    self.report(pattern, format!("has a bad regular expression: {}", super::regex_error(&error)));
                }
            }
            _ => self.report(
                pattern,
                "computes the pattern of matches; write it as a plain string, so that nobody can pass a costly one",
            ),
        }
    }

    fn comprehension(&mut self, expr: &'a IdedExpr, inner: &'a ComprehensionExpr) {
        self.walk(&inner.iter_range);
        self.walk(&inner.accu_init);
        if self.depth >= MAX_COMPREHENSION_DEPTH {
            let at = if self.program.source_info().offset_for(expr.id).is_some() {
                expr
            } else {
                &inner.iter_range
            };
            self.report(at, "has a comprehension inside another; call one after the other, or prepare the list in the arguments");
            return;
        }
        let before = self.bound.len();
        self.bound.push(&inner.accu_var);
        self.bound.push(&inner.iter_var);
        self.bound.extend(inner.iter_var2.as_deref());
        self.depth += 1;
        for part in [&inner.loop_cond, &inner.loop_step, &inner.result] {
            self.walk(part);
        }
        self.depth -= 1;
        self.bound.truncate(before);
    }
}

/// Whether a name is so near to a variable's that it was probably meant.
pub(super) fn is_near(name: &str, variable: &str) -> bool {
    let name = name.to_lowercase();
    // `argument` and `arguments` are what args is short for.
    strsim::osa_distance(&name, variable) <= 1 || (variable == ARGUMENTS && name.starts_with("argument"))
}

fn literal(value: LiteralValue) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Literal(value) }
}

fn called(name: &str, target: Option<IdedExpr>) -> IdedExpr {
    let call = CallExpr { func_name: name.to_owned(), target: target.map(Box::new), args: Vec::new() };
    IdedExpr { id: 0, expr: Expr::Call(call) }
}
