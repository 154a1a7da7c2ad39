//! A bound on what an expression costs, worked out before it ever runs.
//!
//! The evaluator has no budget: nothing stops an expression that doubles a list forty times, or one that compares two
//! long lists item by item. So its cost is bounded from its tree, as a function of the *weight* of the arguments, and
//! turned into two figures: the heaviest arguments it may be given at all, and those with which it is cheap. A call then
//! compares numbers.
//!
//! The unit is one byte that is allocated or looked at, or a hundredth of the evaluation of one node: on the machines of
//! 2026 roughly a nanosecond. The bound is pessimistic: each node is thought to touch all of its operands, and a loop to
//! run over everything that could be in the list.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// What any value weighs besides its text; a JSON value costs about this in memory.
pub const VALUE_WEIGHT: usize = 32;
/// The heaviest arguments for any expression: a megabyte of text, or 32 768 numbers.
pub const MAX_WEIGHT: usize = 1 << 20;
/// What one evaluation may cost: a bound on time (tens of milliseconds) and, byte for byte, on memory.
const BUDGET: f64 = (64 << 20) as f64;
/// What an evaluation may cost that is worth no thread of its own: some tens of microseconds.
const CHEAP: f64 = (32 << 10) as f64;
/// An expression that cannot take this much is of no use.
const LEAST_WEIGHT: usize = 4096;

const NODE: f64 = 100.0;
const VALUE: f64 = VALUE_WEIGHT as f64;
/// A key and a value, and their slot in the table.
const ENTRY: f64 = 3.0 * VALUE;
/// Compiling a regular expression of the largest size allowed, at each evaluation.
const REGEX: f64 = 200_000.0;

/// Weights of arguments: [`VALUE_WEIGHT`] for each value and each key, plus the bytes of keys and strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The heaviest that are evaluated; heavier ones are refused.
    pub accepted: usize,
    /// The heaviest with which the evaluation takes at most some tens of microseconds; zero where it always takes longer.
    pub cheap: usize,
}

/// Works the limits out.
///
/// # Errors
/// With a message where the expression costs too much even for small arguments.
pub(super) fn limits(expr: &IdedExpr, variables: &[&str]) -> Result<Limits, String> {
    let accepted = heaviest(expr, variables, BUDGET);
    if accepted < LEAST_WEIGHT {
        return Err(
            "costs too much even with small arguments; build smaller values, or do less in each step of the loop".to_owned()
        );
    }
    Ok(Limits { accepted, cheap: heaviest(expr, variables, CHEAP) })
}

/// The heaviest arguments within a budget: costs only grow with the weight, so halving the interval finds it.
fn heaviest(expr: &IdedExpr, variables: &[&str], budget: f64) -> usize {
    let affordable = |weight: usize| {
        let bound = Estimate { arguments: weight as f64, variables, item: None }.of(expr);
        // The result is converted twice: out of the evaluator, and to text.
        bound.work.fixed + 2.0 * bound.size.fixed <= budget
    };
    if !affordable(0) {
        return 0;
    }
    let (mut good, mut bad) = (0, MAX_WEIGHT + 1);
    while bad - good > 1 {
        let middle = usize::midpoint(good, bad);
        if affordable(middle) { good = middle } else { bad = middle }
    }
    good
}

/// `fixed + share × (weight of the loop's current item)`; outside loops `share` is zero.
#[derive(Clone, Copy, Default)]
struct Linear {
    fixed: f64,
    share: f64,
}

impl Linear {
    fn of(fixed: f64) -> Self {
        Self { fixed, share: 0.0 }
    }

    fn plus(self, other: Self) -> Self {
        Self { fixed: self.fixed + other.fixed, share: self.share + other.share }
    }

    /// The sum over all items of a list.
    fn over(self, list: &Bound) -> f64 {
        self.fixed * list.items.fixed + self.share * list.size.fixed
    }

    fn times(self, factor: f64) -> Self {
        Self { fixed: self.fixed * factor, share: self.share * factor }
    }
}

/// What a node yields and what that takes.
#[derive(Clone, Copy, Default)]
struct Bound {
    size: Linear,
    work: Linear,
    /// Items, should it be a list or a map.
    items: Linear,
}

impl Bound {
    /// Of a value of which no more is known than its size: each item weighs at least [`VALUE`].
    fn opaque(size: Linear, work: Linear) -> Self {
        Self { size, work, items: size.times(1.0 / VALUE) }
    }

    /// What two values take together, and hold together.
    fn plus(self, other: Self) -> Self {
        Self {
            size: self.size.plus(other.size),
            work: self.work.plus(other.work),
            items: self.items.plus(other.items),
        }
    }
}

struct Estimate<'a> {
    /// What all variables weigh together, and so at most any one of them.
    arguments: f64,
    variables: &'a [&'a str],
    /// Name of the variable that holds the loop's current item.
    item: Option<&'a str>,
}

impl<'a> Estimate<'a> {
    fn of(&self, expr: &'a IdedExpr) -> Bound {
        match &expr.expr {
            Expr::Unspecified | Expr::Struct(_) => leaf(Linear::of(VALUE)),
            Expr::Literal(literal) => {
                let text = match literal {
                    LiteralValue::String(text) => text.inner().len(),
                    LiteralValue::Bytes(bytes) => bytes.inner().len(),
                    _ => 0,
                };
                Bound { items: Linear::default(), ..leaf(Linear::of(VALUE + text as f64)) }
            }
            Expr::Ident(name) if self.item == Some(name) => leaf(Linear { fixed: 0.0, share: 1.0 }),
            Expr::Ident(name) if self.variables.contains(&name.as_str()) => {
                leaf(Linear::of(self.arguments + VALUE))
            }
            // What a loop gathered so far: its growth is what counts, see `comprehension`.
            Expr::Ident(name) if name.starts_with('@') => leaf(Linear::default()),
            Expr::Ident(_) => leaf(Linear::of(VALUE)),
            Expr::Select(select) => {
                let operand = self.of(&select.operand);
                Bound::opaque(operand.size, operand.work.plus(Linear::of(NODE)))
            }
            Expr::List(list) => built(list.elements.iter().map(|element| (self.of(element), VALUE))),
            Expr::Map(map) => built(map.entries.iter().map(|entry| (self.entry(&entry.expr), ENTRY))),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn entry(&self, entry: &'a EntryExpr) -> Bound {
        match entry {
            EntryExpr::StructField(field) => self.of(&field.value),
            EntryExpr::MapEntry(entry) => self.of(&entry.key).plus(self.of(&entry.value)),
        }
    }

    fn call(&self, call: &'a CallExpr) -> Bound {
        let operands = call.target.as_deref().into_iter().chain(&call.args).map(|operand| self.of(operand));
        let operands = operands.fold(Bound::default(), Bound::plus);
        let mut work = operands.work.plus(Linear::of(NODE));
        let flag = Linear::of(VALUE);
        let none = Linear::default();
        let (size, items) = match call.func_name.as_str() {
            operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::NOT_STRICTLY_FALSE => return Bound { size: flag, work, items: none },
            // These pass on what they are given, or a part of it.
            operators::CONDITIONAL => {
                return Bound { size: operands.size.plus(flag), work, items: operands.items };
            }
            operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => {
                return Bound::opaque(operands.size.plus(flag), work);
            }
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::IN
            | "size"
            | "contains"
            | "startsWith"
            | "endsWith" => (flag, none),
            "matches" => {
                work = work.plus(Linear::of(REGEX));
                (flag, none)
            }
            // A double takes up to 325 digits.
            "string" => (operands.size.plus(Linear::of(352.0)), none),
            operators::ADD => (operands.size.plus(flag), operands.items),
            _ => (operands.size.plus(flag), operands.size.plus(flag).times(1.0 / VALUE)),
        };
        Bound { size, work: work.plus(operands.size).plus(size), items }
    }

    /// A loop: the parser's own macros, all of which add to what they gathered and never multiply it. That none stands
    /// in another's body was checked before.
    fn comprehension(&self, inner: &'a ComprehensionExpr) -> Bound {
        let range = self.of(&inner.iter_range);
        let start = self.of(&inner.accu_init);
        let body = Self { item: Some(&inner.iter_var), ..*self };
        let (condition, step, result) =
            (body.of(&inner.loop_cond), body.of(&inner.loop_step), body.of(&inner.result));
        let (grown, items) = (step.size.over(&range), step.items.over(&range));
        // Each item is copied into the scope of the body.
        let turn = condition.work.plus(step.work).plus(Linear { fixed: NODE, share: 1.0 });
        let work = range.work.fixed + start.work.fixed + turn.over(&range) + result.work.fixed + NODE + grown;
        Bound {
            size: Linear::of(start.size.fixed + grown + result.size.fixed),
            work: Linear::of(work),
            items: Linear::of(start.items.fixed + items),
        }
    }
}

fn leaf(size: Linear) -> Bound {
    Bound::opaque(size, Linear::of(NODE))
}

/// A list or a map of parts, each of which is copied into it and takes `slot` besides.
fn built(parts: impl Iterator<Item = (Bound, f64)>) -> Bound {
    let start = Bound { size: Linear::of(VALUE), work: Linear::of(NODE), items: Linear::default() };
    parts.fold(start, |sum, (part, slot)| {
        let size = part.size.plus(Linear::of(slot));
        Bound {
            size: sum.size.plus(size),
            work: sum.work.plus(part.work).plus(size),
            items: sum.items.plus(Linear::of(1.0)),
        }
    })
}
