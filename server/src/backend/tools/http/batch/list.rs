//! From one answer to a list of items to an answer for each.

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use mcp_server_config::compile::HttpProgram;
use mcp_server_config::compile::http::BatchShape;
use serde_json::value::RawValue;

use super::super::super::media::MediaType;
use super::super::super::{answer, failure::shortened};
use super::super::map::{Given, part};
use super::Outcome;
use crate::backend::Answer;
use crate::protocol::raw::Raw;

/// Splits an answer into as many as there were items.
pub(super) fn split(shape: &BatchShape, outcome: Outcome, count: usize) -> Vec<Outcome> {
    let all = |outcome: Outcome| vec![outcome; count];
    let response = match outcome {
        Ok(response) if response.status().is_success() => response,
        // An error, or what the answers of all items are then made of.
        other => return all(other),
    };
    let body = MediaType::of(response.headers()).in_utf8(response.body()).unwrap_or_default();
    let list = Raw::check(body).ok().and_then(|raw| part(&raw, &shape.results));
    let Some(list) = list else {
        return all(Err(
            "The upstream's answer has no list of results where the tool expects one.".to_owned()
        ));
    };
    let Ok(results) = serde_json::from_str::<Vec<&RawValue>>(list.as_str()) else {
        return all(Err(
            "The upstream's answer has no list of results where the tool expects one.".to_owned()
        ));
    };
    if results.len() != count {
        let found = results.len();
        return all(Err(format!("The upstream answered {found} results to {count} items.")));
    }
    let mut head = Response::new(Bytes::new());
    *head.status_mut() = response.status();
    *head.headers_mut() = response.headers().clone();
    head.headers_mut().remove(CONTENT_LENGTH);
    head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let one = |result: &RawValue| {
        let mut one = head.clone();
        *one.body_mut() = Raw::part(list.text(), result.get()).bytes().clone();
        Ok(one)
    };
    results.into_iter().map(one).collect()
}

/// What one result of several says of its item, where that failed.
pub(in super::super) fn failed(program: &HttpProgram, given: &Given) -> Option<Answer> {
    let pointer = program.batch.as_ref()?.error.as_ref()?;
    if !given.status.is_success() {
        return None;
    }
    let raw = Raw::check(given.body.clone()).ok()?;
    let found = part(&raw, pointer)?;
    match found.as_str().trim() {
        "null" | "false" => None,
        error => {
            let text = serde_json::from_str::<String>(error).unwrap_or_else(|_| error.to_owned());
            Some(answer::error(&format!("The upstream refused this item: {}", shortened(&text))))
        }
    }
}
