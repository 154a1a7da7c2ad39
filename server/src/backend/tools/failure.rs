//! Errors of evaluation in words that a model, or a person, can act upon.

use cel::ExecutionError;

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
            format!("a value of type {} does not compare with one of type {}", one.type_of(), other.type_of())
        }
        ExecutionError::UnsupportedBinaryOperator(operator, one, other) => {
            format!("{operator} does not work on ({}, {})", one.type_of(), other.type_of())
        }
        ExecutionError::UnsupportedKeyType(key) => format!("a value of type {} is no key", key.type_of()),
        ExecutionError::UnsupportedIndex(index, list) => {
            format!("a value of type {} does not index one of type {}", index.type_of(), list.type_of())
        }
        ExecutionError::UnexpectedType { got, want } => {
            format!("found a value of type {got} instead of {want}")
        }
        other => other.to_string(),
    };
    format!("The tool could not work out its answer: {}.", shortened(&cause))
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
