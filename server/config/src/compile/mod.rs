//! Declared tools, compiled: CEL programs, text templates and JSON Schemas.
//!
//! Whoever holds a configuration can say what in it is broken: the operator before it writes anything, the server before
//! it serves. Nothing here evaluates an expression, and no source, however hostile, may crash the process: sources are
//! scanned before they are parsed ([`scan`]), costs are bounded before anything runs ([`cost`]).

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use jsonschema::Validator;
use serde_json::{Map, json};

use crate::path::Path;
use crate::tools::{Definition, EXACTLY_ONE, Tool};
use crate::validate::Violation;

pub mod cel;
pub mod command;
pub mod content;
pub mod cost;
pub mod http;
pub mod json;
pub mod notes;
pub mod rules;
pub mod scan;
pub mod schema;
mod schema_notes;
pub mod shape;
pub mod template;
pub mod url;

#[cfg(test)]
mod outside_tests;
#[cfg(test)]
mod tests;

pub use self::cel::CelProgram;
pub use self::command::CommandProgram;
pub use self::http::HttpProgram;
pub use self::notes::notes;
pub use self::rules::{CompiledRule, compile_rules};
pub use self::shape::Shape;
pub use self::template::{Part, Template};

/// Stack of the thread that compiles, in bytes: several times what the deepest expression allowed takes in an
/// unoptimised build.
pub const STACK: usize = 16 << 20;

/// The declared tools of one configuration, ready to be called, in the order in which they were declared.
#[derive(Clone, Debug, Default)]
pub struct CompiledTools {
    tools: Vec<Arc<CompiledTool>>,
}

impl CompiledTools {
    /// The tools, in the order of the configuration.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<CompiledTool>> {
        self.tools.iter()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }
}

impl IntoIterator for CompiledTools {
    type Item = Arc<CompiledTool>;
    type IntoIter = std::vec::IntoIter<Arc<CompiledTool>>;

    fn into_iter(self) -> Self::IntoIter {
        self.tools.into_iter()
    }
}

/// One declared tool, ready to be called.
pub struct CompiledTool {
    name: Arc<str>,
    definition: String,
    input: Option<Validator>,
    shape: Option<Shape>,
    output: Option<Validator>,
    body: Body,
}

/// What answers a call.
#[derive(Debug)]
pub enum Body {
    Cel(CelProgram),
    Text(Template),
    Http(Box<HttpProgram>),
    Command(CommandProgram),
}

impl CompiledTool {
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The tool as `tools/list` shows it: one JSON object, the same text for the same declaration.
    #[must_use]
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// Checks arguments; none where any object will do.
    #[must_use]
    pub fn input(&self) -> Option<&Validator> {
        self.input.as_ref()
    }

    /// Defaults and whole numbers among the arguments; absent where the schema says nothing of them.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        self.shape.as_ref()
    }

    /// Checks structured results; absent where none were promised.
    #[must_use]
    pub fn output(&self) -> Option<&Validator> {
        self.output.as_ref()
    }

    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }
}

impl fmt::Debug for CompiledTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledTool")
            .field("name", &self.name)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// Compiles declared tools.
///
/// # Errors
/// With everything that is wrong with any of them. What [`crate::validate_service`] says as well (names that repeat,
/// `cel` and `text` both or neither) is said in the same words at the same path, so that a caller who asks both can sort
/// and drop duplicates.
pub fn compile(tools: &[Tool]) -> Result<CompiledTools, Vec<Violation>> {
    let on_ample_stack = thread::scope(|scope| {
        let thread = thread::Builder::new().name("compile-tools".to_owned()).stack_size(STACK);
        Ok(thread.spawn_scoped(scope, || compile_here(tools))?.join())
    });
    let failed = |message: String| Err(vec![Violation { path: Path::of("tools"), message }]);
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

fn compile_here(tools: &[Tool]) -> Result<CompiledTools, Vec<Violation>> {
    let mut compiled = Vec::with_capacity(tools.len());
    let mut violations = Vec::new();
    let mut names = BTreeSet::new();
    for (index, tool) in tools.iter().enumerate() {
        let path = Path::of("tools").index(index);
        if !names.insert(tool.name.as_str()) {
            let message = crate::tools::REPEATED.to_owned();
            violations.push(Violation { path: path.key("name"), message });
        }
        match catch_unwind(AssertUnwindSafe(|| compile_tool(tool, &path))) {
            Ok(Ok(tool)) => compiled.push(Arc::new(tool)),
            Ok(Err(mut more)) => violations.append(&mut more),
            Err(_) => violations.push(Violation {
                path,
                message: "could not be compiled: the compiler failed; please report this tool".to_owned(),
            }),
        }
    }
    if violations.is_empty() { Ok(CompiledTools { tools: compiled }) } else { Err(violations) }
}

fn compile_tool(tool: &Tool, path: &Path) -> Result<CompiledTool, Vec<Violation>> {
    let mut violations = Vec::new();
    let input = match &tool.input_schema {
        Some(schema) => gather(schema::compile(schema, &path.key("inputSchema")), &mut violations).flatten(),
        None => None,
    };
    let output = match &tool.output_schema {
        Some(schema) => gather(schema::compile(schema, &path.key("outputSchema")), &mut violations),
        None => None,
    };
    let body = gather(body(tool, path), &mut violations);
    if tool.output_schema.is_some() && matches!(&body, Some(body) if !body.may_be_structured()) {
        violations.push(Violation {
            path: path.key("outputSchema"),
            message:
                "promises structured content, which a text does not have; remove it, or build a map with cel"
                    .to_owned(),
        });
    }
    match body {
        Some(body) if violations.is_empty() => Ok(CompiledTool {
            name: tool.name.as_str().into(),
            definition: definition(tool),
            input,
            shape: tool.input_schema.as_ref().and_then(Shape::of),
            // An output schema that any object fits still asks for an object.
            output: output.map(|validator| validator.unwrap_or_else(any_object)),
            body,
        }),
        _ => Err(violations),
    }
}

fn body(tool: &Tool, path: &Path) -> Result<Body, Vec<Violation>> {
    match (&tool.cel, &tool.text, &tool.http, &tool.command) {
        (Some(source), None, None, None) => {
            cel_program(source, &[cel::ARGUMENTS], &path.key("cel")).map(Body::Cel)
        }
        (None, Some(text), None, None) => template(Template::parse, text, &path.key("text")).map(Body::Text),
        (None, None, Some(http), None) => {
            http::compile(http, tool.annotations.as_ref(), &path.key("http")).map(Box::new).map(Body::Http)
        }
        (None, None, None, Some(command)) => {
            command::compile(command, &path.key("command")).map(Body::Command)
        }
        _ => Err(vec![Violation { path: path.clone(), message: EXACTLY_ONE.to_owned() }]),
    }
}

impl Body {
    fn may_be_structured(&self) -> bool {
        match self {
            Self::Cel(_) | Self::Http(_) => true,
            Self::Text(_) => false,
            Self::Command(command) => command.json,
        }
    }
}

fn gather<T>(result: Result<T, Vec<Violation>>, violations: &mut Vec<Violation>) -> Option<T> {
    result.map_err(|mut more| violations.append(&mut more)).ok()
}

fn any_object() -> Validator {
    jsonschema::options().offline().build(&json!({"type": "object"})).expect("the schema is valid")
}

/// Compiles an expression, and says where it is broken.
fn cel_program(source: &str, variables: &[&str], path: &Path) -> Result<CelProgram, Vec<Violation>> {
    CelProgram::compile_over(source, variables).map_err(|problems| {
        let violation = |problem: cel::Problem| Violation {
            path: path.clone(),
            message: match problem.position {
                Some((line, column)) => format!("{} (line {line}, column {column})", problem.message),
                None => problem.message,
            },
        };
        problems.into_iter().map(violation).collect()
    })
}

/// Reads a template, and says where it is broken.
fn template(
    parse: impl Fn(&str) -> Result<Template, template::TemplateError>,
    text: &str,
    path: &Path,
) -> Result<Template, Vec<Violation>> {
    parse(text).map_err(|error| {
        let (line, column) = cel::position(text, error.at);
        vec![Violation {
            path: path.clone(),
            message: format!("{} (line {line}, column {column})", error.message),
        }]
    })
}

/// The error of a regular expression in one line, without the drawing.
fn regex_error(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it is too large; repeat less".to_owned(),
        other => {
            let text = other.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    }
}

fn definition(tool: &Tool) -> String {
    let any = Map::from_iter([("type".to_owned(), json!("object"))]);
    let definition = Definition {
        name: &tool.name,
        title: tool.title.as_deref(),
        description: tool.description.as_deref(),
        input_schema: tool.input_schema.as_ref().unwrap_or(&any),
        output_schema: tool.output_schema.as_ref(),
        annotations: tool.annotations.as_ref(),
    };
    serde_json::to_string(&definition).expect("a tool is JSON: its maps have string keys")
}
