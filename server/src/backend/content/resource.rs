//! `resources/read`, of what stands in the configuration.

use std::collections::BTreeMap;

use mcp_server_config::compile::content::{CompiledContent, CompiledResource, Content};
use mcp_server_config::compile::{Part, Template};
use mcp_server_config::{Duration, Resource};
use serde::Serialize;

use crate::backend::{Answer, Hints};
use crate::protocol::capabilities::CACHE_TTL_MS;
use crate::protocol::raw::Raw;

/// The media type of plain text.
pub(super) const TEXT: &str = "text/plain";
/// The media type of bytes of which nothing is known.
pub(super) const BYTES: &str = "application/octet-stream";

/// Content of one resource, as the protocol has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contents<'a> {
    uri: &'a str,
    mime_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<&'a str>,
}

/// The media type of a declared resource.
pub(super) fn mime_type(resource: &Resource) -> &str {
    let by_kind = if resource.text.is_some() { TEXT } else { BYTES };
    resource.mime_type.as_deref().unwrap_or(by_kind)
}

pub(super) fn read(resource: &CompiledResource) -> Answer {
    let declared = &resource.declared;
    match &resource.content {
        Content::Text(text) => text_answer(&declared.uri, mime_type(declared), text, declared.ttl),
        Content::Blob(base64) => blob_answer(&declared.uri, mime_type(declared), base64, declared.ttl),
    }
}

/// A resource of a family, if there is one of this URI.
pub(super) fn read_of_family(content: &CompiledContent, uri: &str) -> Option<Answer> {
    content.templates.iter().find_map(|template| {
        let variables = template.uri.variables_of(uri)?;
        let declared = &template.declared;
        let allowed = declared.variables.iter().all(|variable| {
            variables.get(&variable.name).is_some_and(|value| variable.values.contains(value))
        });
        let mime_type = declared.mime_type.as_deref().unwrap_or(TEXT);
        allowed.then(|| text_answer(uri, mime_type, &filled(&template.text, &variables), declared.ttl))
    })
}

/// The text with its places filled. A value that is not given leaves its place empty.
pub(super) fn filled(template: &Template, values: &BTreeMap<String, String>) -> String {
    template
        .parts()
        .iter()
        .map(|part| match part {
            Part::Literal(text) => text.as_str(),
            Part::Argument(names) => {
                names.first().and_then(|name| values.get(name)).map_or("", String::as_str)
            }
        })
        .collect()
}

pub(super) fn text_answer(uri: &str, mime_type: &str, text: &str, ttl: Option<Duration>) -> Answer {
    answer(&Contents { uri, mime_type, text: Some(text), blob: None }, ttl)
}

pub(super) fn blob_answer(uri: &str, mime_type: &str, base64: &str, ttl: Option<Duration>) -> Answer {
    answer(&Contents { uri, mime_type, text: None, blob: Some(base64) }, ttl)
}

fn answer(contents: &Contents<'_>, ttl: Option<Duration>) -> Answer {
    #[derive(Serialize)]
    struct ReadResourceResult<'a> {
        contents: [&'a Contents<'a>; 1],
    }
    let answer = Answer::new(Raw::of(&ReadResourceResult { contents: [contents] }));
    // Where nothing is said, the hints of the server's lists hold, which know who may share.
    match ttl {
        None => answer,
        Some(ttl) => {
            let ttl_ms = u64::try_from(ttl.as_std().as_millis()).unwrap_or(u64::from(CACHE_TTL_MS));
            answer.with_hints(Hints { ttl_ms, scope: None })
        }
    }
}
