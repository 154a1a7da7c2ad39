//! Evaluates CEL expressions.

use cel::Context;
use jsonschema::Validator;
use mcp_server_config::compile::CelProgram;
use mcp_server_config::compile::cel::environment;
use serde_json::Value;

use super::{answer, convert, failure, run};
use crate::backend::Answer;

/// Answers with the value of an expression, of at most `limit` bytes: a string as text, anything else as structured
/// content.
pub(super) fn evaluate(
    program: &CelProgram,
    output: Option<&Validator>,
    variables: &[(&str, &Value)],
    limit: usize,
) -> Answer {
    // The environment is shared; a context of its own costs next to nothing, and may borrow its variables.
    let mut context = Context::with_env(environment());
    for (name, value) in variables {
        context.add_variable_as_val(*name, convert::to_cel(value));
    }
    let value = match program.program().execute(&context) {
        Ok(value) => value,
        Err(error) => return answer::error(&failure::sentence(&error)),
    };
    match (&value, output) {
        (cel::Value::String(text), None) => answer::text(text, limit),
        (cel::Value::String(_), Some(_)) => answer::error(
            "The tool promises a structured result and worked out a text; its declaration must be mended.",
        ),
        (value, output) => match convert::to_json(value) {
            Ok(json) => match output.map(|output| run::misfits(output, &json, "result")) {
                Some(misfits) if !misfits.is_empty() => answer::error(&format!(
                    "The result is not what the tool promises:\n{}",
                    misfits.join("\n")
                )),
                _ => answer::structured(&json, limit),
            },
            Err(sentence) => answer::error(&sentence),
        },
    }
}
