//! Declared content as lists show it.

use mcp_server_config::compile::content::{CompiledContent, Content};
use mcp_server_config::{FileResource, Prompt, Resource, ResourceTemplate};
use serde::Serialize;

use super::file;
use crate::backend::{Catalogue, Entry, ResourceEntry, TemplateEntry};
use crate::protocol::raw::Raw;

/// Everything that is declared.
pub(super) fn catalogue(content: &CompiledContent) -> Catalogue {
    let (directories, files): (Vec<_>, Vec<_>) = content.files.iter().partition(|file| file.uri.is_some());
    let resources = content.resources.iter().map(|found| resource(&found.declared, &found.content));
    let templates = content.templates.iter().map(|found| template(&found.declared));
    Catalogue {
        prompts: content.prompts.iter().map(|found| prompt(&found.declared)).collect(),
        resources: resources.chain(files.iter().map(|found| single_file(&found.declared))).collect(),
        templates: templates.chain(directories.iter().map(|found| directory(&found.declared))).collect(),
        completions: completes(content),
        ..Catalogue::default()
    }
}

/// Whether some argument has values to offer.
fn completes(content: &CompiledContent) -> bool {
    let of_prompts =
        content.prompts.iter().flat_map(|prompt| &prompt.declared.arguments).any(|a| !a.values.is_empty());
    of_prompts || content.templates.iter().any(|template| !template.declared.variables.is_empty())
}

fn prompt(prompt: &Prompt) -> Entry {
    #[derive(Serialize)]
    struct Definition<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<Argument<'a>>,
    }
    #[derive(Serialize)]
    struct Argument<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        required: bool,
    }
    let arguments = prompt.arguments.iter().map(|argument| Argument {
        name: &argument.name,
        description: argument.description.as_deref(),
        required: argument.required == Some(true),
    });
    let definition = Definition {
        name: &prompt.name,
        title: prompt.title.as_deref(),
        description: prompt.description.as_deref(),
        arguments: arguments.collect(),
    };
    Entry { name: prompt.name.as_str().into(), definition: Raw::of(&definition) }
}

/// A resource or a template, as the protocol has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_template: Option<&'a str>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
}

fn resource(resource: &Resource, content: &Content) -> ResourceEntry {
    let size = match content {
        Content::Text(text) => text.len(),
        Content::Blob(base64) => base64.trim_end_matches('=').len() * 3 / 4,
    };
    let definition = Definition {
        uri: Some(&resource.uri),
        uri_template: None,
        name: resource.name.as_deref().unwrap_or(&resource.uri),
        title: resource.title.as_deref(),
        description: resource.description.as_deref(),
        mime_type: Some(super::resource::mime_type(resource)),
        size: Some(size),
    };
    ResourceEntry { uri: resource.uri.as_str().into(), definition: Raw::of(&definition) }
}

fn template(template: &ResourceTemplate) -> TemplateEntry {
    let definition = Definition {
        uri: None,
        uri_template: Some(&template.uri_template),
        name: template.name.as_deref().unwrap_or(&template.uri_template),
        title: template.title.as_deref(),
        description: template.description.as_deref(),
        mime_type: Some(template.mime_type.as_deref().unwrap_or(super::resource::TEXT)),
        size: None,
    };
    TemplateEntry { uri_template: template.uri_template.as_str().into(), definition: Raw::of(&definition) }
}

fn single_file(file: &FileResource) -> ResourceEntry {
    let definition = of_file(file, Some(&file.uri), None);
    ResourceEntry { uri: file.uri.as_str().into(), definition }
}

fn directory(file: &FileResource) -> TemplateEntry {
    let definition = of_file(file, None, Some(&file.uri));
    TemplateEntry { uri_template: file.uri.as_str().into(), definition }
}

fn of_file(file: &FileResource, uri: Option<&str>, uri_template: Option<&str>) -> Raw {
    let by_ending = uri.map(|_| file::mime_type(&file.path));
    Raw::of(&Definition {
        uri,
        uri_template,
        name: file.name.as_deref().unwrap_or(&file.uri),
        title: file.title.as_deref(),
        description: file.description.as_deref(),
        mime_type: file.mime_type.as_deref().or(by_ending),
        size: None,
    })
}
