//! Errors of evaluation in words that a model, or a person, can act upon.

use cel::{ExecutionError, Value};

/// The longest message, in characters: some errors quote whole values.
const MAX_MESSAGE: usize = 300;

/// Says what went wrong in an expression.
pub(super) fn sentence(error: &ExecutionError) -> String {
    let cause = match error {
        ExecutionError::NoSuchKey(key) => format!("there is no {key:?}; perhaps an argument is missing"),
        ExecutionError::NoSuchOverload(overload) => {
            format!(
                "{} does not work on ({})",
                overload.function().trim_matches('_'),
                overload.argument_types().join(", ")
            )
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "an index is beyond the end of its list".to_owned(),
        ExecutionError::DuplicateKey(_) => "a map has the same key twice".to_owned(),
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
        ExecutionError::ValuesNotComparable(one, other) => {
            format!("a value of type {} does not compare with one of type {}", type_of(one), type_of(other))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, one, other) => {
            format!("{} does not work on ({}, {})", symbol(operator), type_of(one), type_of(other))
        }
        ExecutionError::UnsupportedKeyType(key) => format!("a value of type {} is no key", type_of(key)),
        ExecutionError::UnsupportedIndex(index, list) => {
            format!("a value of type {} does not index one of type {}", type_of(index), type_of(list))
        }
        ExecutionError::UnexpectedType { got, want } => {
            format!("found a value of type {got} instead of {want}")
        }
        other => other.to_string(),
    };
    format!("The tool could not work out its answer: {}.", shortened(&cause))
}

/// The name that CEL has for a value's type.
fn type_of(value: &Value) -> String {
    match value {
        Value::Float(_) => "double".to_owned(),
        Value::Null => "null_type".to_owned(),
        other => other.type_of().to_string(),
    }
}

/// The sign of an arithmetic operator.
fn symbol(operator: &str) -> &str {
    match operator {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        other => other,
    }
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
