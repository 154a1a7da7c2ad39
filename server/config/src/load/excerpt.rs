//! The line that a message points at, with its keys and its shape and without its values: any value could be a secret.
//!
//! What is shown is known to be harmless, everything else is masked: keys where the document was parsed, and names of
//! settings where it could not be. Comments are masked as well.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use serde_json::Value;

use crate::locate::{Node, Position};
use crate::{ProcessConfig, ServiceConfig, compat};

/// What stands for a value.
const MASK: char = '…';

/// A line without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    line: u64,
    text: String,
    /// What is meant, as a number of characters from the start of `text`.
    caret: usize,
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let (margin, before) = (" ".repeat(number.len()), " ".repeat(self.caret));
        write!(f, "{margin} |\n{number} | {}\n{margin} | {before}^", self.text)
    }
}

/// Masks a line of a document; `tree` is the document where it could be parsed.
pub(super) fn excerpt(line: &str, at: Position, tree: Option<&Node>, json: bool) -> Excerpt {
    let keys = match tree {
        Some(tree) => Keys::Parsed(tree.keys_on(at.line)),
        None => Keys::Guessed,
    };
    let target = usize::try_from(at.column.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut masking =
        Masking { line: line.chars().collect(), keys, json, depth: 0, text: String::new(), written: 0 };
    let caret = masking.run(target);
    Excerpt { line: at.line, text: masking.text.trim_end().to_owned(), caret }
}

/// How keys are told from values.
enum Keys<'a> {
    /// The keys on the line, each with its column from 1.
    Parsed(Vec<(u64, &'a str)>),
    /// A name of a setting with a colon behind it is a key.
    Guessed,
}

struct Masking<'a> {
    line: Vec<char>,
    keys: Keys<'a>,
    json: bool,
    /// Brackets that are open.
    depth: usize,
    text: String,
    /// Characters of `text`.
    written: usize,
}

impl Masking<'_> {
    /// Masks the line, and returns where in the result the column `target` is.
    fn run(&mut self, target: usize) -> usize {
        let (mut at, mut caret) = (0, None);
        while at < self.line.len() {
            let before = self.written;
            let (length, is_key) = self.token(at);
            if (at..at + length).contains(&target) {
                caret = Some(before + if is_key { target - at } else { 0 });
            }
            at += length;
        }
        caret.unwrap_or(self.written)
    }

    /// Writes what begins at `at`; returns its length, and whether it appears character by character.
    fn token(&mut self, at: usize) -> (usize, bool) {
        let c = self.line[at];
        match c {
            _ if c.is_whitespace() => self.push(' '),
            '{' | '[' => {
                self.depth += 1;
                self.push(c);
            }
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                self.push(c);
            }
            ',' | ':' => self.push(c),
            '-' if self.begins_item(at) => self.push(c),
            _ => match self.key(at) {
                Some(length) => {
                    (at..at + length).for_each(|index| self.push(self.line[index]));
                    return (length, true);
                }
                None => return (self.value(at), false),
            },
        }
        (1, true)
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
        self.written += 1;
    }

    /// Whether a dash begins an item of a list: nothing but dashes and spaces stand before it.
    fn begins_item(&self, at: usize) -> bool {
        self.line.get(at + 1).is_none_or(|c| c.is_whitespace())
            && self.line[..at].iter().all(|c| c.is_whitespace() || *c == '-')
    }

    /// The length of the key that begins at `at`, with its quotes.
    fn key(&self, at: usize) -> Option<usize> {
        match &self.keys {
            Keys::Parsed(keys) => {
                let (_, name) = keys.iter().find(|(column, _)| *column == at as u64 + 1)?;
                // `api_key:secret` without a space is a key to YAML.
                let quoted = |quote: &str| self.follows(at, &format!("{quote}{name}{quote}"));
                let length =
                    [String::new(), "\"".to_owned(), "'".to_owned()].iter().find_map(|quote| quoted(quote));
                length.filter(|_| !name.contains([':', '=']))
            }
            Keys::Guessed => {
                let quote = Some(self.line[at]).filter(|c| matches!(c, '"' | '\''));
                let start = at + usize::from(quote.is_some());
                let name = self.line[start..].iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_');
                let name: String = name.collect();
                let end = start + name.len();
                let closed = quote.is_none() || self.line.get(end) == quote.as_ref();
                let end = end + usize::from(quote.is_some());
                let next = self.line.get(end..)?.iter().find(|c| !c.is_whitespace());
                (closed && next == Some(&':') && NAMES.contains(&name)).then_some(end - at)
            }
        }
    }

    fn follows(&self, at: usize, text: &str) -> Option<usize> {
        let length = text.chars().count();
        self.line.get(at..at + length)?.iter().copied().eq(text.chars()).then_some(length)
    }

    /// Masks the value that begins at `at`, and returns its length. Where it is not certain where the value ends, the rest
    /// of the line is part of it.
    fn value(&mut self, at: usize) -> usize {
        let quote = self.line[at];
        let quoted = matches!(quote, '"' | '\'').then(|| self.quoted(at)).flatten();
        let end = quoted.or_else(|| self.plain(at)).unwrap_or(self.line.len());
        let end = self.next_key(at).map_or(end, |key| end.min(key));
        let shown: &[char] = if quoted == Some(end) { &[quote, MASK, quote] } else { &[MASK] };
        shown.iter().for_each(|c| self.push(*c));
        if self.next_key(at) == Some(end) {
            self.push(' ');
        }
        end - at
    }

    /// The end of a text in quotes, where it surely ends there.
    fn quoted(&self, at: usize) -> Option<usize> {
        let quote = self.line[at];
        let mut end = at + 1;
        loop {
            match *self.line.get(end)? {
                '\\' if quote == '"' => end += 2,
                c if c == quote && quote == '\'' && self.line.get(end + 1) == Some(&quote) => end += 2,
                c if c == quote => break,
                _ => end += 1,
            }
        }
        let next = self.line[end + 1..].iter().find(|c| !c.is_whitespace());
        next.is_none_or(|next| matches!(next, ',' | ']' | '}' | ':')).then_some(end + 1)
    }

    /// The end of a value without quotes, where it surely ends there: between brackets.
    fn plain(&self, at: usize) -> Option<usize> {
        let length = self.line[at..].iter().position(|c| matches!(c, ',' | ']' | '}'))?;
        let text: String = self.line[at..at + length].iter().collect();
        let certain = if self.json {
            serde_json::from_str::<Value>(text.trim()).is_ok()
        } else {
            self.depth > 0 && !text.starts_with(['"', '\'', '#'])
        };
        certain.then(|| at + text.trim_end().chars().count())
    }

    /// Where the next key begins behind `at`, where keys are known.
    fn next_key(&self, at: usize) -> Option<usize> {
        let Keys::Parsed(keys) = &self.keys else { return None };
        let starts = keys.iter().filter_map(|(column, _)| usize::try_from(column - 1).ok());
        starts.filter(|start| *start > at && *start <= self.line.len()).min()
    }
}

/// The names of all settings, of today and of the classic file, and those of a manifest.
static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut names = BTreeSet::new();
    for schema in [schemars::schema_for!(ServiceConfig), schemars::schema_for!(ProcessConfig)] {
        properties(schema.as_value(), &mut names);
    }
    names.extend(compat::keys().flat_map(|path| path.split('.')).map(str::to_owned));
    let others = ["apiVersion", "kind", "metadata", "namespace", "spec", "config", "file", "env", "value"];
    names.extend(others.map(str::to_owned));
    names
});

/// The names of properties at any depth of a schema.
fn properties(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                names.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| properties(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(name: &str, text: &str, line: u64, column: u64) -> String {
        let tree = Node::parse(text).ok().and_then(|mut nodes| nodes.pop());
        let shown = text.lines().nth(usize::try_from(line).unwrap() - 1).unwrap();
        let excerpt = excerpt(shown, Position { line, column }, tree.as_ref(), name.ends_with(".json"));
        format!("{}\n{}^", excerpt.text, " ".repeat(excerpt.caret))
    }

    #[test]
    fn keys_and_shape_stay_and_values_go() {
        for (name, text, line, column, expected) in [
            (
                "a.json",
                r#"{"auth":{"enabled":true,"api_key":"canary"},"foo":1}"#,
                1,
                45,
                "{\"auth\":{\"enabled\":…,\"api_key\":\"…\"},\"foo\":…}\n                                    ^",
            ),
            (
                "a.yaml",
                "auth: {mode: x, apiKey: canary}\n",
                1,
                17,
                "auth: {mode: …, apiKey: …}\n                ^",
            ),
            ("a.yaml", "a:\n  - b: can, ary # canary\n    c: 1\n", 2, 5, "  - b: …\n    ^"),
            // The caret stays on what was meant, although the line got shorter before it.
            ("a.yaml", "{a: 'can''ary', \"b\": x}\n", 1, 17, "{a: '…', \"b\": …}\n         ^"),
            ("a.yaml", "a: {api_key:canary}\n", 1, 5, "a: {…}\n    ^"),
            ("a.yaml", "a: |\n  b: canary\n", 2, 3, "  …\n  ^"),
            ("a.yaml", "a: &canary !canary x\n", 1, 1, "a: …\n^"),
        ] {
            assert_eq!(masked(name, text, line, column), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_parsed_shows_names_of_settings_alone() {
        for (name, text, expected) in [
            ("a.json", r#"{"api_key": "canary", "foo": 1"#, "{\"api_key\": \"…\", \"…\": …"),
            ("a.json", r#"{"api_key": "canary, "foo": 1}"#, "{\"api_key\": …"),
            ("a.json", r#"{"api_key", "canary": 1, }"#, "{\"…\", \"…\": …, }"),
            ("a.json", r#"{"api_key": canary, }"#, "{\"api_key\": …"),
            ("a.yaml", "apiKey: 'canary", "apiKey: …"),
            ("a.yaml", "apiKey: {a: canary, b", "apiKey: {…, …"),
            ("a.yaml", "\tapiKey: \"canary\" canary", " apiKey: …"),
        ] {
            let shown = excerpt(text, Position { line: 1, column: 1 }, None, name.ends_with(".json"));
            assert_eq!(shown.text, expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_value_is_ever_shown(before in "[{}\\[\\],: \"'#a-]{0,12}", after in "[{}\\[\\],: \"'#a-]{0,12}", json: bool) {
            let line = format!("{before}canary{after}");
            let shown = excerpt(&line, Position { line: 1, column: 3 }, None, json);
            proptest::prop_assert!(!shown.text.contains("canary"), "{line} -> {}", shown.text);
        }
    }
}
