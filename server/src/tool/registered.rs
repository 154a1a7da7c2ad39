//! A tool with its types forgotten, as the backend of the program keeps it.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use jsonschema::{PatternOptions, Validator};
use mcp_server_config::tools::Definition;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::context::Context;
use super::error::{Cause, ToolError};
use super::info::ToolInfo;
use super::output::{Output, schema_of};
use super::{CpuTool, Tool};
use crate::backend::tools::misfits;
use crate::backend::{Answer, CallError, Entry, Outcome};
use crate::protocol::raw::Raw;

/// A tool that can be called.
pub struct RegisteredTool {
    entry: Entry,
    input: Validator,
    pub(crate) run: Run,
}

/// How a tool is called.
#[derive(Clone)]
pub(crate) enum Run {
    Async(Arc<Begin>),
    Cpu(Arc<Compute>),
}

type Ending = BoxFuture<'static, Result<Outcome, CallError>>;
type Begin = dyn Fn(Value, Context) -> Ending + Send + Sync;
type Compute = dyn Fn(Value, &Context) -> Result<Outcome, CallError> + Send + Sync;

/// Why something is not a tool.
#[derive(Debug, thiserror::Error)]
pub enum BadTool {
    #[error("the tool name {0:?} must have from 1 to 128 letters, digits, dots, dashes and underscores")]
    Name(String),
    #[error("the arguments of the tool {0:?} must be a struct, so that their schema is one of objects")]
    Arguments(String),
    #[error("the input schema of the tool {name:?} is wrong: {cause}")]
    Schema { name: String, cause: String },
}

impl RegisteredTool {
    /// A tool that waits for things.
    ///
    /// # Errors
    /// Where its name or its schema is wrong.
    pub fn new<T: Tool>(tool: T) -> Result<Self, BadTool> {
        let info = tool.info();
        let tool = Arc::new(tool);
        let run = Run::Async(Arc::new(move |arguments, context| {
            let tool = tool.clone();
            Box::pin(async move {
                match read::<T::Arguments>(arguments) {
                    Ok(arguments) => ended(tool.call(arguments, context).await),
                    Err(answer) => Ok(Outcome::Complete(answer)),
                }
            })
        }));
        Self::build::<T::Arguments, T::Output>(info, run)
    }

    /// A tool that computes.
    ///
    /// # Errors
    /// Where its name or its schema is wrong.
    pub fn cpu<T: CpuTool>(tool: T) -> Result<Self, BadTool> {
        let info = tool.info();
        let run = Run::Cpu(Arc::new(move |arguments, context| match read::<T::Arguments>(arguments) {
            Ok(arguments) => ended(tool.call(arguments, context)),
            Err(answer) => Ok(Outcome::Complete(answer)),
        }));
        Self::build::<T::Arguments, T::Output>(info, run)
    }

    fn build<A: DeserializeOwned + schemars::JsonSchema, O: Output>(
        info: ToolInfo,
        run: Run,
    ) -> Result<Self, BadTool> {
        let of_letters = info.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if !of_letters || !(1..=128).contains(&info.name.len()) {
            return Err(BadTool::Name(info.name));
        }
        let generator = || SchemaGenerator::new(SchemaSettings::draft2020_12().for_deserialize());
        let schema = info.input_schema.clone().or_else(|| schema_of::<A>(generator()));
        let schema = schema.ok_or_else(|| BadTool::Arguments(info.name.clone()))?;
        let input = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex())
            .build(&Value::Object(schema.clone()))
            .map_err(|error| BadTool::Schema { name: info.name.clone(), cause: error.to_string() })?;
        let definition = definition(&info, &schema, O::schema().as_ref());
        Ok(Self { entry: Entry { name: info.name.into(), definition }, input, run })
    }

    /// How lists show it.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Arguments that fit the schema, or what the model should read.
    pub(crate) fn checked(&self, arguments: Option<&Raw>) -> Result<Value, Answer> {
        let json = arguments.map_or("{}", Raw::as_str);
        let value: Value = serde_json::from_str(json)
            .map_err(|error| Answer::error(&format!("The arguments cannot be read: {error}.")))?;
        if !value.is_object() {
            let message = "The arguments must be a JSON object. Call the tool again with one.";
            return Err(Answer::error(message));
        }
        if !self.input.is_valid(&value) {
            let misfits = misfits(&self.input, &value, "arguments");
            return Err(Answer::error(&format!(
                "The arguments do not fit the tool's input schema:\n{}\nCorrect them and call the tool again.",
                misfits.join("\n")
            )));
        }
        Ok(value)
    }
}

impl fmt::Debug for RegisteredTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisteredTool").field("name", &self.entry.name).finish_non_exhaustive()
    }
}

fn read<A: DeserializeOwned>(arguments: Value) -> Result<A, Answer> {
    serde_json::from_value(arguments)
        .map_err(|error| Answer::error(&format!("The arguments do not fit the tool: {error}.")))
}

fn ended<O: Output>(result: Result<O, ToolError>) -> Result<Outcome, CallError> {
    match result {
        Ok(output) => Ok(Outcome::Complete(output.into_output().into_answer())),
        Err(ToolError(Cause::Message(message, cause))) => {
            Ok(Outcome::Complete(Answer::error(&message).with_cause(cause)))
        }
        Err(ToolError(Cause::Asks(questions))) => Ok(Outcome::NeedInput(questions)),
        Err(ToolError(Cause::Call(error))) => Err(error),
    }
}

fn definition(info: &ToolInfo, input: &Map<String, Value>, output: Option<&Map<String, Value>>) -> Raw {
    Raw::of(&Definition {
        name: &info.name,
        title: info.title.as_deref(),
        description: info.description.as_deref(),
        input_schema: input,
        output_schema: output,
        annotations: Some(&info.annotations).filter(|annotations| **annotations != Default::default()),
    })
}
