//! From the answer of an upstream to the answer of the tool.

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response, StatusCode};
use mcp_server_config::compile::http::ResultMap;
use mcp_server_config::compile::{CompiledTool, HttpProgram};
use serde_json::{Map, Value, json};

use super::super::answer::{self, MAX_RESULT};
use super::super::convert::weight;
use super::super::evaluate::evaluate;
use super::super::failure::shortened;
use super::super::media::MediaType;
use super::super::run::misfits;
use super::super::text::find;
use crate::backend::Answer;
use crate::protocol::raw::Raw;

/// Up to this size, in bytes, an answer is worked out where it arrives.
const SMALL: usize = 16 << 10;

/// What an upstream answered.
pub(super) struct Given {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    media: MediaType,
    /// The largest result, in bytes.
    limit: usize,
    /// The arguments of the call, as JSON.
    pub(super) arguments: String,
    /// Secrets that the request held: an upstream may repeat them where it complains.
    pub(super) secrets: Vec<std::sync::Arc<secrecy::SecretString>>,
}

impl Given {
    pub(super) fn new(
        response: Response<Bytes>,
        program: &HttpProgram,
        arguments: &str,
        secrets: &[std::sync::Arc<secrecy::SecretString>],
    ) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            media: MediaType::of(&head.headers),
            headers: head.headers,
            body,
            // Whatever was read can be answered with.
            limit: program.max_response.max(MAX_RESULT),
            arguments: arguments.to_owned(),
            secrets: secrets.to_vec(),
        }
    }

    /// Whether [`Given::answer`] surely takes no more than some tens of microseconds.
    pub(super) fn is_cheap(&self, result: &ResultMap) -> bool {
        // What an expression costs depends on the body once it is read.
        self.body.len() <= SMALL && !matches!(result, ResultMap::Cel(_))
    }

    /// The answer of the tool.
    pub(super) fn answer(&self, tool: &CompiledTool, result: &ResultMap) -> Answer {
        if self.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return answer::error(
                "The upstream answered with a compressed body, which it was not asked for.",
            );
        }
        if self.status.is_redirection() {
            return answer::error(&format!(
                "The upstream answered {} and leads elsewhere, which is not followed.",
                self.status
            ));
        }
        if self.status.is_client_error() || self.status.is_server_error() {
            return answer::error(&self.complaint());
        }
        let Ok(body) = self.media.in_utf8(&self.body) else { return self.unreadable() };
        match result {
            ResultMap::Whole => self.whole(tool, &body),
            ResultMap::Pointer(pointer) => self.at(tool, pointer, &body),
            ResultMap::Cel(program) => {
                let body = match (self.raw(&body), std::str::from_utf8(&body)) {
                    (Some(raw), _) => serde_json::from_str(raw.as_str()).unwrap_or(Value::Null),
                    (None, Ok(text)) => Value::from(text),
                    (None, Err(_)) => return self.unreadable(),
                };
                let arguments = serde_json::from_str(&self.arguments).unwrap_or(json!({}));
                let values = [
                    ("args", arguments),
                    ("status", Value::from(self.status.as_u16())),
                    ("headers", Value::Object(texts(&self.headers))),
                    ("body", body),
                ];
                let weighs: usize = values.iter().map(|(_, value)| weight(value)).sum();
                let accepted = program.limits().accepted;
                if weighs > accepted {
                    return answer::error(&format!(
                        "The upstream's answer is too large for what the tool does with it: it weighs {weighs}, and at most {accepted} is accepted. Ask for less."
                    ));
                }
                let values: Vec<_> = values.iter().map(|(name, value)| (*name, value)).collect();
                evaluate(program, tool.output(), &values, self.limit)
            }
        }
    }

    /// The body, where it is JSON in UTF-8.
    fn raw(&self, body: &Bytes) -> Option<Raw> {
        let kind = self.media.essence.as_str();
        // Many servers say nothing, or say text, of what is JSON all the same; markup surely is none.
        let may_be = kind.ends_with("/json")
            || kind.ends_with("+json")
            || matches!(kind, "" | "text/plain" | "application/octet-stream");
        if may_be { Raw::check(body.clone()).ok() } else { None }
    }

    fn whole(&self, tool: &CompiledTool, body: &Bytes) -> Answer {
        if let Some(raw) = self.raw(body) {
            return json_answer(tool, &raw, self.limit);
        }
        if tool.output().is_some() {
            return answer::error(
                "The upstream's answer is not JSON, and the tool promises a structured result.",
            );
        }
        match (self.media.medium(body), std::str::from_utf8(body)) {
            (_, Ok("")) => answer::text(&format!("The upstream answered {}.", self.status), self.limit),
            (Some((medium, mime_type)), _) => answer::media(medium, mime_type, body),
            (None, Ok(text)) => answer::text(text, self.limit),
            (None, Err(_)) => self.unreadable(),
        }
    }

    /// Says that nobody here can make anything of the bytes.
    fn unreadable(&self) -> Answer {
        answer::error(&format!(
            "The upstream answered with {} ({} bytes), which is neither text in a known character set nor an image or sound.",
            self.media.name(),
            self.body.len()
        ))
    }

    fn at(&self, tool: &CompiledTool, pointer: &str, body: &Bytes) -> Answer {
        let Ok(raw) = Raw::check(body.clone()) else {
            return answer::error(&format!("The upstream's answer is not JSON but {}.", self.media.name()));
        };
        match part(&raw, pointer) {
            Some(found) => json_answer(tool, &found, self.limit),
            None => answer::error(&format!("The upstream's answer has nothing at {pointer}.")),
        }
    }

    /// Status and the beginning of the body, without what a request held in secret.
    pub(super) fn complaint(&self) -> String {
        use secrecy::ExposeSecret as _;
        // What is no text says nothing here.
        let body = self.media.in_utf8(&self.body).unwrap_or_default();
        let mut text = std::str::from_utf8(&body).unwrap_or_default().to_owned();
        for secret in &self.secrets {
            if !secret.expose_secret().is_empty() {
                text = text.replace(secret.expose_secret(), "[redacted]");
            }
        }
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match text.trim() {
            "" => format!("The upstream answered {}.", self.status),
            text => format!("The upstream answered {}: {}", self.status, shortened(text)),
        }
    }
}

/// The part of a JSON value at a pointer, as it was written.
pub(super) fn part(raw: &Raw, pointer: &str) -> Option<Raw> {
    let names: Vec<_> =
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    find(raw.as_str(), &names).map(|found| Raw::part(raw.text(), found))
}

/// A JSON value as the answer of a tool: a string as text, anything else as structured content, byte for byte.
fn json_answer(tool: &CompiledTool, raw: &Raw, limit: usize) -> Answer {
    if let Some(output) = tool.output() {
        let value = serde_json::from_str(raw.as_str()).unwrap_or(Value::Null);
        let misfits = misfits(output, &value, "result");
        if !misfits.is_empty() {
            return answer::error(&format!(
                "The result is not what the tool promises:\n{}",
                misfits.join("\n")
            ));
        }
    } else if let Ok(text) = serde_json::from_str::<String>(raw.as_str()) {
        return answer::text(&text, limit);
    }
    answer::structured_raw(raw, limit)
}

/// Headers as an expression sees them; those that are no text are left out, several of a name are joined.
fn texts(headers: &HeaderMap) -> Map<String, Value> {
    let mut texts = Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        texts.insert(name.as_str().to_owned(), Value::from(values.join(", ")));
    }
    texts
}
