//! Fills a request in. Every place has an encoding of its own, so that an argument is never more than a value where it
//! stands.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use mcp_server_config::compile::http::{BodyTemplate, HeaderSource};
use mcp_server_config::compile::json::JsonTemplate;
use mcp_server_config::compile::url::{UrlTemplate, is_of_host};
use mcp_server_config::compile::{HttpProgram, Part, Template};
use mcp_server_config::tools::HttpMethod;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::value::RawValue;
use std::sync::Arc;

use super::super::text::find;
use crate::outbound::Guard;

const FORM: &str = "application/x-www-form-urlencoded";

/// A request that has everything it needs.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) request: Request<Bytes>,
    pub(super) guard: Guard,
}

/// Why arguments do not make a request, in sentences for a model.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Missing(Vec<String>),
    Bad(String),
}

impl Unfit {
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Missing(names) => {
                format!("Missing arguments: {}. Call the tool again with them.", names.join(", "))
            }
            Self::Bad(sentence) => sentence.clone(),
        }
    }
}

/// Takes the values of templates from the arguments of one call.
pub(in super::super) struct Filler<'a> {
    arguments: &'a str,
    missing: Vec<String>,
}

impl<'a> Filler<'a> {
    pub(in super::super) fn new(arguments: &'a str) -> Self {
        Self { arguments, missing: Vec::new() }
    }

    pub(in super::super) fn missing(self) -> Vec<String> {
        self.missing
    }

    /// The JSON of an argument, as it was written; none where it is missing or null.
    fn json(&self, names: &[String]) -> Option<&'a str> {
        find(self.arguments, names).map(str::trim).filter(|json| *json != "null")
    }

    /// The text of an argument: a string without its quotes, anything else as JSON. One that is missing is noted.
    fn text(&mut self, names: &[String]) -> String {
        match self.json(names) {
            Some(json) => text_of(json),
            None => {
                self.miss(names);
                String::new()
            }
        }
    }

    fn miss(&mut self, names: &[String]) {
        let name = names.join(".");
        if !self.missing.contains(&name) {
            self.missing.push(name);
        }
    }

    /// A text with its arguments, each passed through `encode`.
    fn parts(&mut self, parts: &[Part], encode: impl Fn(&str) -> String) -> String {
        let mut filled = String::new();
        for part in parts {
            match part {
                Part::Literal(text) => filled.push_str(text),
                Part::Argument(names) => filled.push_str(&encode(&self.text(names))),
            }
        }
        filled
    }

    /// A text with its arguments as they are.
    pub(in super::super) fn plain(&mut self, template: &Template) -> String {
        self.parts(template.parts(), str::to_owned)
    }

    /// JSON with its arguments; false where it is nothing but an argument that is missing.
    fn push_json(&mut self, template: &JsonTemplate, filled: &mut String) -> bool {
        match template {
            JsonTemplate::Literal(json) => filled.push_str(json),
            // An explicit null stays one.
            JsonTemplate::Argument(names) => match find(self.arguments, names) {
                Some(json) => filled.push_str(json.trim()),
                None => return false,
            },
            JsonTemplate::Text(template) => {
                let text = self.plain(template);
                filled.push_str(&serde_json::Value::from(text).to_string());
            }
            JsonTemplate::List(items) => {
                filled.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        filled.push(',');
                    }
                    self.push_needed(item, filled);
                }
                filled.push(']');
            }
            JsonTemplate::Object(fields) => {
                filled.push('{');
                let empty = filled.len();
                for (key, value) in fields {
                    let before = filled.len();
                    if before > empty {
                        filled.push(',');
                    }
                    filled.push_str(key);
                    filled.push(':');
                    if !self.push_json(value, filled) {
                        filled.truncate(before);
                    }
                }
                filled.push('}');
            }
        }
        true
    }

    fn push_needed(&mut self, template: &JsonTemplate, filled: &mut String) {
        if !self.push_json(template, filled)
            && let JsonTemplate::Argument(names) = template
        {
            self.miss(names);
        }
    }
}

/// Fills in a body.
pub(super) fn body(program: &HttpProgram, filler: &mut Filler<'_>) -> Option<String> {
    match program.body.as_ref()? {
        BodyTemplate::Text(template) => Some(filler.plain(template)),
        BodyTemplate::Form(fields) => {
            let mut filled = String::new();
            for (name, value) in fields {
                push_pairs(name, value, filler, &mut filled);
            }
            Some(filled)
        }
        BodyTemplate::Json(template) => {
            let mut filled = String::new();
            filler.push_needed(template, &mut filled);
            Some(filled)
        }
    }
}

/// Fills in everything but the body. `secrets` are those of the headers, in their order.
pub(super) fn head(
    program: &HttpProgram,
    filler: &mut Filler<'_>,
    secrets: &[Arc<SecretString>],
) -> Result<Filled, Unfit> {
    let mut url = url(&program.url, filler)?;
    let mut pairs = String::new();
    for (name, value) in &program.query {
        push_pairs(name, value, filler, &mut pairs);
    }
    if !pairs.is_empty() {
        url.push(if program.url.query.is_some() { '&' } else { '?' });
        url.push_str(&pairs);
    }
    let headers = headers(program, filler, secrets)?;
    if !filler.missing.is_empty() {
        return Err(Unfit::Missing(filler.missing.clone()));
    }
    let unsendable =
        |_| Unfit::Bad("The arguments do not make a URL. Call the tool again with others.".to_owned());
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = url.parse::<Uri>().map_err(unsendable)?;
    *request.method_mut() = match program.method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
    };
    *request.headers_mut() = headers;
    let guard = if program.url.has_literal_host() { Guard::Configured } else { Guard::Learned };
    Ok(Filled { request, guard })
}

fn url(template: &UrlTemplate, filler: &mut Filler<'_>) -> Result<String, Unfit> {
    let mut url = String::from(if template.https { "https://" } else { "http://" });
    for part in &template.authority {
        match part {
            Part::Literal(text) => url.push_str(text),
            Part::Argument(names) => {
                let value = filler.text(names);
                if !value.bytes().all(is_of_host) {
                    let name = names.join(".");
                    return Err(Unfit::Bad(format!(
                        "The argument {name} becomes part of a host name and has characters that those do not have."
                    )));
                }
                url.push_str(&value);
            }
        }
    }
    for segment in &template.segments {
        let filled = filler.parts(segment, encode);
        let has_argument = segment.iter().any(|part| matches!(part, Part::Argument(_)));
        // An empty segment, or one that leads up, would name another thing than the one that was meant.
        if has_argument && matches!(filled.as_str(), "" | "." | "..") && filler.missing.is_empty() {
            let names: Vec<_> = segment
                .iter()
                .filter_map(|part| match part {
                    Part::Argument(names) => Some(names.join(".")),
                    Part::Literal(_) => None,
                })
                .collect();
            return Err(Unfit::Bad(format!(
                "The argument {} becomes part of a path and must be neither empty nor made of dots.",
                names.join(", ")
            )));
        }
        url.push('/');
        url.push_str(&filled);
    }
    if let Some(query) = &template.query {
        url.push('?');
        url.push_str(&filler.parts(query, encode));
    }
    Ok(url)
}

/// Adds a parameter, once for each of its values, as a query and a form have it
/// (application/x-www-form-urlencoded; a space is %20, which every reader of forms understands).
fn push_pairs(name: &str, value: &Template, filler: &mut Filler<'_>, pairs: &mut String) {
    for value in values(value, filler) {
        if !pairs.is_empty() {
            pairs.push('&');
        }
        pairs.push_str(&encode(name));
        pairs.push('=');
        pairs.push_str(&encode(&value));
    }
}

/// The values of one parameter: none where it is an argument that is missing, several where it is a list.
fn values(template: &Template, filler: &mut Filler<'_>) -> Vec<String> {
    let Some(names) = template.whole() else { return vec![filler.plain(template)] };
    let Some(json) = filler.json(names) else { return Vec::new() };
    match serde_json::from_str::<Vec<&RawValue>>(json) {
        Ok(items) => items.into_iter().map(|item| text_of(item.get())).collect(),
        Err(_) => vec![text_of(json)],
    }
}

fn headers(
    program: &HttpProgram,
    filler: &mut Filler<'_>,
    secrets: &[Arc<SecretString>],
) -> Result<HeaderMap, Unfit> {
    let mut headers = HeaderMap::new();
    let mut secrets = secrets.iter();
    for (name, source) in &program.headers {
        let value = match source {
            HeaderSource::Template(template) => {
                if name == "cookie" {
                    fits_cookie(template, filler)?;
                }
                let text = filler.plain(template);
                HeaderValue::from_str(&text).map_err(|_| {
                    Unfit::Bad(format!("An argument becomes part of the header {name} and has characters that those do not have."))
                })?
            }
            HeaderSource::Secret { prefix, .. } => {
                let secret = secrets.next().map_or("", |secret| secret.expose_secret());
                let mut value = HeaderValue::from_str(&format!("{prefix}{secret}")).map_err(|_| {
                    Unfit::Bad(format!("The secret for the header {name} has characters that no header may have; whoever runs this server must mend it."))
                })?;
                value.set_sensitive(true);
                value
            }
        };
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Unfit::Bad(format!("{name} is not the name of a header.")))?;
        headers.append(name, value);
    }
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json, */*;q=0.5"));
    let kind = program.body.as_ref().map(|body| match body {
        BodyTemplate::Json(_) => "application/json",
        BodyTemplate::Form(_) => FORM,
        BodyTemplate::Text(_) => "text/plain; charset=utf-8",
    });
    if let Some(kind) = kind {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    Ok(headers)
}

/// Refuses arguments that would begin another cookie: they have characters that no value of a cookie may (RFC 6265, 4.1.1).
fn fits_cookie(template: &Template, filler: &mut Filler<'_>) -> Result<(), Unfit> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    for part in template.parts() {
        if let Part::Argument(names) = part
            && !filler.text(names).bytes().all(fits)
        {
            return Err(Unfit::Bad(format!(
                "The argument {} becomes part of a cookie and has characters that those do not have.",
                names.join(".")
            )));
        }
    }
    Ok(())
}

fn text_of(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

/// Percent-encodes all but the unreserved characters (RFC 3986), which is right in a path and behind the question mark.
fn encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    encoded
}
