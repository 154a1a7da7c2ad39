//! The first step of a call: what it is for.

use bytestring::ByteString;
use serde::Deserialize;

use crate::backend::{Completion, Reference, Target};
use crate::dispatch::head::Request;
use crate::dispatch::snapshot::{Snapshot, Tool};
use crate::protocol::envelope::Field;
use crate::protocol::era::Era;
use crate::protocol::errors::{Code, Fault};
use crate::protocol::methods::Method;
use crate::protocol::raw::Raw;

/// The way of a call.
#[derive(Debug)]
pub(super) struct Route<'s> {
    pub(super) target: Target,
    /// Present where a tool is called.
    pub(super) tool: Option<&'s Tool>,
}

/// Finds what a call is for. Names are what the lists say, exactly; whether there is a resource, only its backend knows.
///
/// # Errors
/// Where there is no such thing.
pub(super) fn find<'s>(
    request: &Request<'_>,
    snapshot: &'s Snapshot,
    body: &ByteString,
) -> Result<Route<'s>, Fault> {
    let params = &request.params;
    let target = match request.method {
        Method::ToolsCall => {
            let name = given(&params.name, "params.name")?;
            let tool = snapshot.tool(name).ok_or_else(|| unknown("tool", name))?;
            return Ok(Route { target: Target::Tool(tool.name.clone()), tool: Some(tool) });
        }
        Method::PromptsGet => {
            let name = given(&params.name, "params.name")?;
            Target::Prompt(snapshot.prompt(name).ok_or_else(|| unknown("prompt", name))?.clone())
        }
        Method::ResourcesRead => Target::Resource(given(&params.uri, "params.uri")?.into()),
        Method::Complete => Target::Completion(Box::new(completion(request, body)?)),
        other => {
            // Everything else was answered before.
            return Err(Fault::method_not_found(other.as_str()));
        }
    };
    Ok(Route { target, tool: None })
}

/// What a caller reads who asks for something that there is not.
pub(super) fn not_found(target: &Target, era: Era) -> Fault {
    match target {
        Target::Resource(uri) => Fault::resource_not_found(uri, era),
        Target::Completion(completion) => match &completion.reference {
            Reference::Prompt(name) => unknown("prompt", name),
            Reference::Template(template) => unknown("resource template", template),
        },
        other => unknown(other.kind(), other.name()),
    }
}

fn unknown(kind: &str, name: &str) -> Fault {
    Fault::new(Code::InvalidParams, format!("unknown {kind} {name:?}"))
}

fn given<'f>(field: &'f Field<'_>, path: &str) -> Result<&'f str, Fault> {
    field.text().ok_or_else(|| Fault::new(Code::InvalidParams, format!("{path} is missing or not a string")))
}

fn completion(request: &Request<'_>, body: &ByteString) -> Result<Completion, Fault> {
    /// `params.ref`.
    #[derive(Deserialize)]
    #[serde(tag = "type")]
    enum Ref {
        #[serde(rename = "ref/prompt")]
        Prompt { name: String },
        #[serde(rename = "ref/resource")]
        Resource { uri: String },
    }
    /// `params.argument`.
    #[derive(Deserialize)]
    struct Argument {
        name: String,
        value: String,
    }
    fn read<'a, T: Deserialize<'a>>(raw: Option<&'a str>, path: &str) -> Result<T, Fault> {
        let text = raw.unwrap_or("null");
        serde_json::from_str(text).map_err(|error| {
            Fault::new(Code::InvalidParams, format!("params.{path} cannot be read: {error}"))
        })
    }
    let params = &request.params;
    let reference = match read(params.reference, "ref")? {
        Ref::Prompt { name } => Reference::Prompt(name.into()),
        Ref::Resource { uri } => Reference::Template(uri.into()),
    };
    let Argument { name, value } = read(params.argument, "argument")?;
    let context = params.context.map(|raw| Raw::part(body, raw));
    Ok(Completion { reference, argument: name, value, context })
}
