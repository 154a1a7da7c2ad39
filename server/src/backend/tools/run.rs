//! One call, from the JSON of its arguments to its answer.

use std::sync::Arc;

use jsonschema::Validator;
use jsonschema::paths::LocationSegment;
use mcp_server_config::compile::cel::ARGUMENTS;
use mcp_server_config::compile::cost::MAX_WEIGHT;
use mcp_server_config::compile::{Body, CompiledTool};
use serde_json::Value;

use super::answer::MAX_RESULT;
use super::failure::shortened;
use super::{Work, answer, arguments, convert, evaluate, text};
use crate::backend::Answer;
use crate::protocol::raw::Raw;

/// Arguments up to this size, in bytes of JSON, are parsed and checked where they arrive: some tens of microseconds.
const SMALL: usize = 16 << 10;
/// The most violations named in one answer.
const MAX_MISFITS: usize = 10;

/// How far a call got where it arrived.
pub(super) enum Step {
    Done(Answer),
    /// The rest may take long.
    Later(Work),
    /// The arguments are in order; somebody else has to be asked.
    Ask(Checked),
    /// As before, but holding the arguments against the schema may take long.
    CheckFirst(Checking),
}

/// Work that ends with arguments to ask with, or with an answer.
pub(super) type Checking = Box<dyn FnOnce() -> Result<Checked, Answer> + Send>;

/// Arguments that fit the tool's schema.
pub(super) struct Checked {
    raw: Option<Raw>,
    /// Present where the tool needs them parsed.
    value: Option<Value>,
}

impl Checked {
    /// The arguments as JSON.
    pub(super) fn json(&self) -> &str {
        json(self.raw.as_ref())
    }
}

/// Answers at once what is sure to be quick.
pub(super) fn begin(tool: &Arc<CompiledTool>, arguments: Option<Raw>) -> Step {
    let tool = Arc::clone(tool);
    if let Body::Http(_) | Body::Command(_) = tool.body() {
        return if json(arguments.as_ref()).len() > SMALL {
            Step::CheckFirst(Box::new(move || check(&tool, arguments)))
        } else {
            check(&tool, arguments).map_or_else(Step::Done, Step::Ask)
        };
    }
    if json(arguments.as_ref()).len() > SMALL {
        return Step::Later(Box::new(move || match check(&tool, arguments) {
            Ok(checked) => finish(&tool, &checked),
            Err(answer) => answer,
        }));
    }
    match check(&tool, arguments) {
        Err(answer) => Step::Done(answer),
        Ok(checked) if is_cheap(&tool, &checked) => Step::Done(finish(&tool, &checked)),
        Ok(checked) => Step::Later(Box::new(move || finish(&tool, &checked))),
    }
}

/// The arguments as JSON: none sent are none given.
fn json(arguments: Option<&Raw>) -> &str {
    arguments.map_or("{}", Raw::as_str)
}

fn is_cheap(tool: &CompiledTool, checked: &Checked) -> bool {
    match (tool.body(), &checked.value) {
        (Body::Cel(program), Some(value)) => convert::weight(value) <= program.limits().cheap,
        // A template has at most a few thousand places; the size of its result is bounded as it grows.
        (Body::Text(template), _) => template.parts().len() * json(checked.raw.as_ref()).len() <= 4 * SMALL,
        // These are answered elsewhere.
        (Body::Cel(_), None) | (Body::Http(_) | Body::Command(_), _) => false,
    }
}

/// Parses arguments, completes them by the input schema and holds them against the input schema.
fn check(tool: &CompiledTool, raw: Option<Raw>) -> Result<Checked, Answer> {
    let json = json(raw.as_ref());
    if !json.trim_start().starts_with('{') {
        return Err(answer::error("The arguments must be a JSON object. Call the tool again with one."));
    }
    let wanted = matches!(tool.body(), Body::Cel(_)) || tool.input().is_some();
    let mut value: Option<Value> = if wanted { Some(parsed(json)?) } else { None };
    let mut completed = None;
    if let (Some(shape), Some(given)) = (tool.shape(), &value)
        && shape.changes(given)
    {
        let json = arguments::completed(json, given, shape);
        value = Some(parsed(&json)?);
        completed = Some(Raw::written(json.into_bytes()));
    }
    if let (Some(schema), Some(value)) = (tool.input(), &value)
        && !schema.is_valid(value)
    {
        let misfits = misfits(schema, value, "arguments");
        return Err(answer::error(&format!(
            "The arguments do not fit the tool's input schema:\n{}\nCorrect them and call the tool again.",
            misfits.join("\n")
        )));
    }
    Ok(Checked { raw: completed.or(raw), value })
}

fn parsed(json: &str) -> Result<Value, Answer> {
    serde_json::from_str(json)
        .map_err(|error| answer::error(&format!("The arguments cannot be read: {error}.")))
}

fn finish(tool: &CompiledTool, checked: &Checked) -> Answer {
    match (tool.body(), &checked.value) {
        (Body::Text(template), value) => text::fill(template, json(checked.raw.as_ref()), value.as_ref()),
        (Body::Cel(program), value) => {
            let none = Value::Object(serde_json::Map::new());
            let value = value.as_ref().unwrap_or(&none);
            let weight = convert::weight(value);
            if weight > program.limits().accepted {
                return answer::error(&too_heavy(weight, program.limits().accepted));
            }
            evaluate::evaluate(program, tool.output(), &[(ARGUMENTS, value)], MAX_RESULT)
        }
        (Body::Http(_) | Body::Command(_), _) => {
            answer::error("The tool was not called where it can be answered.")
        }
    }
}

fn too_heavy(weight: usize, accepted: usize) -> String {
    let reason = if accepted < MAX_WEIGHT { " for what it does with them" } else { "" };
    format!(
        "The arguments are too large{reason}: they weigh {weight}, and at most {accepted} are accepted (32 for each value and key, plus the length of each text). Send less at once."
    )
}

/// What does not fit a schema, one line each: where, and what was expected there.
pub(crate) fn misfits(schema: &Validator, value: &Value, name: &str) -> Vec<String> {
    let mut errors = schema.iter_errors(value);
    let mut lines: Vec<String> = errors
        .by_ref()
        .take(MAX_MISFITS)
        .map(|error| {
            let mut path = name.to_owned();
            for segment in error.instance_path().segments() {
                match segment {
                    LocationSegment::Property(key) => path.extend([".", &key]),
                    LocationSegment::Index(index) => path.push_str(&format!("[{index}]")),
                }
            }
            // Without the value itself: it may be long, and whoever sent it knows it.
            format!("- {path}: {}", shortened(&error.masked_with("the value").to_string()))
        })
        .collect();
    if errors.next().is_some() {
        lines.push("- and more".to_owned());
    }
    lines
}
