//! Why a request failed, as far as the log may say it: what the client was told often quotes what the client sent, and
//! arguments are logged only where `logging.requests.arguments` says so.

use std::borrow::Cow;

use mcp_server_config::LoggedArguments;
use mcp_server_config::secret::REDACTED;
use serde::Deserialize;
use serde_json::Value;

use crate::observe::{redact, scrub};

/// Characters of a reason.
const LONGEST: usize = 1024;
/// Bytes of a reason that are looked at.
const LONGEST_READ: usize = 64 * 1024;
/// With more bytes of arguments than this, nothing is taken out of a reason: it is not shown.
const LONGEST_ARGUMENTS: usize = 64 * 1024;
/// With more values than this, likewise.
const MOST_VALUES: usize = 512;
/// Shorter values give nothing away, and would take words apart.
const SHORTEST: usize = 3;
/// A quoted value may be cut: so many of its bytes are enough to know it by.
const KNOWN_BY: usize = 16;

/// A reason without secrets, and without the arguments that the log is not to have.
pub(super) fn shown(text: &str, arguments: Option<&str>, policy: LoggedArguments) -> String {
    let text = &text[..text.floor_char_boundary(LONGEST_READ)];
    let text = match arguments {
        Some(arguments) if policy != LoggedArguments::Full => match hidden(arguments, policy) {
            Some(values) => without(text, &values),
            None => return format!("[not shown: it may quote the {} bytes of arguments]", arguments.len()),
        },
        _ => Cow::Borrowed(text),
    };
    let text = scrub::clean(&text);
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}

/// What the text of an error result says.
pub(super) fn of_result(result: &str) -> String {
    #[derive(Deserialize)]
    struct Result {
        content: Vec<Block>,
    }
    #[derive(Deserialize)]
    struct Block {
        text: Option<String>,
    }
    if result.len() > 4 * LONGEST_READ {
        return format!("the tool answered with an error result of {} bytes", result.len());
    }
    let content = serde_json::from_str::<Result>(result).map(|result| result.content).unwrap_or_default();
    let texts: Vec<_> = content.into_iter().filter_map(|block| block.text).collect();
    if texts.is_empty() {
        return "the tool answered with an error result that has no text".to_owned();
    }
    texts.join("\n")
}

/// The values of arguments that the log is not to have, the longest first; none where there are too many to be known.
fn hidden(arguments: &str, policy: LoggedArguments) -> Option<Vec<String>> {
    if arguments.len() > LONGEST_ARGUMENTS {
        return None;
    }
    let mut values = Vec::new();
    // Of what is not JSON the reason is that it is not.
    if let Ok(arguments) = serde_json::from_str(arguments) {
        collect(&arguments, policy == LoggedArguments::Omit, &mut values);
    }
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.dedup();
    (values.len() <= MOST_VALUES).then_some(values)
}

fn collect(value: &Value, all: bool, values: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| collect(value, all || redact::is_secret(name), values));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, all, values)),
        Value::String(text) if all => {
            let quoted = value.to_string();
            let quoted = &quoted[1..quoted.len() - 1];
            values.extend(
                [text.as_str(), quoted].into_iter().filter(|text| text.len() >= SHORTEST).map(str::to_owned),
            );
        }
        Value::Number(number) if all => {
            values.extend(Some(number.to_string()).filter(|text| text.len() >= SHORTEST));
        }
        _ => {}
    }
}

/// The text with a mark in place of each value, be it whole or cut.
fn without<'a>(text: &'a str, values: &[String]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for value in values {
        let known_by = &value[..value.floor_char_boundary(KNOWN_BY)];
        let mut from = 0;
        while let Some(at) = text[from..].find(known_by) {
            let begin = from + at;
            let same =
                text[begin..].bytes().zip(value.bytes()).take_while(|(one, other)| one == other).count();
            let end = text.floor_char_boundary(begin + same);
            text.to_mut().replace_range(begin..end, REDACTED);
            from = begin + REDACTED.len();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [LoggedArguments; 3] = [LoggedArguments::Omit, LoggedArguments::Redact, LoggedArguments::Full];

    #[test]
    fn what_the_caller_sent_is_shown_as_far_as_arguments_are() {
        let arguments =
            r#"{"name": "Ada Lovelace", "password": "hunter2", "nested": [{"id": 4711}], "x": "ab"}"#;
        let text = r#"no user "Ada Lovelace" (4711) with "hunter2" at ab"#;
        let [omit, redact, full] = ALL.map(|policy| shown(text, Some(arguments), policy));
        assert_eq!(omit, r#"no user "[redacted]" ([redacted]) with "[redacted]" at ab"#);
        assert_eq!(redact, r#"no user "Ada Lovelace" (4711) with "[redacted]" at ab"#);
        assert_eq!(full, text);
        assert_eq!(shown(text, None, LoggedArguments::Omit), text);
    }

    #[test]
    fn a_value_is_known_though_it_is_cut_or_escaped() {
        let long = format!("begin of a long ü {}", "x".repeat(500));
        let arguments = serde_json::json!({"text": long, "lines": "one\ntwo"}).to_string();
        let text = format!("cannot read {:?}…: {:?}", &long[..100], "one\ntwo");
        let shown = shown(&text, Some(&arguments), LoggedArguments::Omit);
        assert_eq!(shown, r#"cannot read "[redacted]"…: "[redacted]""#);
    }

    #[test]
    fn too_many_arguments_hide_the_reason() {
        let large = format!(r#"{{"text": "{}"}}"#, "x".repeat(LONGEST_ARGUMENTS));
        let many = serde_json::json!({"list": (1000..3000).collect::<Vec<_>>()}).to_string();
        for arguments in [large, many] {
            assert!(shown("why", Some(&arguments), LoggedArguments::Omit).starts_with("[not shown"));
            assert_eq!(shown("why", Some(&arguments), LoggedArguments::Full), "why");
        }
    }

    #[test]
    fn long_reasons_are_cut() {
        let reason = shown(&"ü".repeat(100_000), None, LoggedArguments::Omit);
        assert_eq!(reason.chars().count(), LONGEST + 1);
    }

    #[test]
    fn the_text_of_a_result_is_its_reason() {
        let result = r#"{"content":[{"type":"text","text":"one"},{"type":"image","data":""},{"type":"text","text":"two"}],"isError":true}"#;
        assert_eq!(of_result(result), "one\ntwo");
        assert!(of_result(r#"{"isError":true}"#).contains("no text"));
    }

    proptest::proptest! {
        #[test]
        fn no_argument_breaks_a_reason(text in "\\PC{0,60}", value in "\\PC{0,40}") {
            let arguments = serde_json::json!({"v": value}).to_string();
            let shown = shown(&text, Some(&arguments), LoggedArguments::Omit);
            proptest::prop_assert!(value.len() < SHORTEST || REDACTED.contains(&value) || !shown.contains(&value));
        }
    }
}
