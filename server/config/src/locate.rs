//! Where in a text a field stands, so that a message can point at it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::Spanned;

use crate::{Path, path::Segment};

/// A place in a text; both numbers count from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

/// A document that knows where each of its parts stands.
#[derive(Debug)]
pub struct Node {
    position: Position,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Position, Node)>),
}

/// What stands at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Key(&'a str),
    Scalar(&'a Value),
}

impl Node {
    /// Reads every document of a YAML stream. JSON is read as the YAML that it is.
    ///
    /// # Errors
    /// Where the text is not YAML.
    pub fn parse(text: &str) -> Result<Vec<Self>, serde_saphyr::Error> {
        let documents: Vec<Spanned<Content>> = serde_saphyr::from_multiple(text)?;
        Ok(documents.into_iter().map(Self::from).collect())
    }

    /// The document without its places.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|(key, _, node)| (key.clone(), node.to_value())).collect())
            }
        }
    }

    /// The keys that stand on a line, each with its column.
    pub(crate) fn keys_on(&self, line: u64) -> Vec<(u64, &str)> {
        let mut found = Vec::new();
        self.collect_keys(line, &mut found);
        found
    }

    /// Visits every key and every value that is neither a map nor a list.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(&Path, Place<'_>, Position)) {
        self.visit_below(&Path::root(), visit);
    }

    fn visit_below(&self, path: &Path, visit: &mut dyn FnMut(&Path, Place<'_>, Position)) {
        match &self.content {
            Content::Scalar(value) => visit(path, Place::Scalar(value), self.position),
            Content::List(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, item)| item.visit_below(&path.index(index), visit));
            }
            Content::Map(entries) => {
                for (key, at, node) in entries {
                    let path = path.key(key.as_str());
                    visit(&path, Place::Key(key), *at);
                    node.visit_below(&path, visit);
                }
            }
        }
    }

    fn collect_keys<'a>(&'a self, line: u64, found: &mut Vec<(u64, &'a str)>) {
        match &self.content {
            Content::Scalar(_) => {}
            Content::List(items) => items.iter().for_each(|item| item.collect_keys(line, found)),
            Content::Map(entries) => {
                for (key, at, node) in entries {
                    if at.line == line {
                        found.push((at.column, key));
                    }
                    node.collect_keys(line, found);
                }
            }
        }
    }

    /// Where the field at `path` stands, or the nearest field above it that is there: a map entry at its key,
    /// an element of a list at its beginning.
    #[must_use]
    pub fn locate(&self, path: &Path) -> Position {
        let mut node = self;
        let mut position = self.position;
        for segment in path.segments() {
            let next = match (&node.content, segment) {
                (Content::Map(entries), Segment::Key(key)) => {
                    entries.iter().find(|(name, ..)| name == key).map(|(_, at, node)| (*at, node))
                }
                (Content::List(items), Segment::Index(index)) => {
                    items.get(*index).map(|node| (node.position, node))
                }
                _ => None,
            };
            let Some((at, found)) = next else { break };
            (position, node) = (at, found);
        }
        position
    }
}

impl From<Spanned<Content>> for Node {
    fn from(spanned: Spanned<Content>) -> Self {
        let position = position(&spanned);
        Self { position, content: spanned.value }
    }
}

fn position<T>(spanned: &Spanned<T>) -> Position {
    let at = spanned.referenced;
    Position { line: at.line().max(1), column: at.column().max(1) }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        Content::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        Ok(Content::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Content>>()? {
            items.push(item.into());
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Content>>()? {
            let at = position(&key);
            entries.push((key.value, at, value.into()));
        }
        Ok(Content::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, path: &Path) -> (u64, u64) {
        let position = Node::parse(text).unwrap()[0].locate(path);
        (position.line, position.column)
    }

    #[test]
    fn points_at_keys_and_elements() {
        let text = "auth:\n  mode: Required\ntools:\n  - name: a\n    cel: x\n  - name: b\n";
        assert_eq!(at(text, &Path::of("auth.mode")), (2, 3));
        assert_eq!(at(text, &Path::of("tools").index(1).key("name")), (6, 5));
        assert_eq!(at(text, &Path::of("tools").index(0).key("text")), (4, 5), "nearest above");
        assert_eq!(at("{\n \"auth\": {\"mode\": 1}\n}", &Path::of("auth.mode")), (2, 11));
    }

    #[test]
    fn keeps_the_kinds_of_values() {
        let text = "a: 1\nb: '1'\nc: true\nd: null\ne: [1.5, x]\nf: {g: -2}\n";
        let value = Node::parse(text).unwrap()[0].to_value();
        let expected =
            serde_json::json!({"a": 1, "b": "1", "c": true, "d": null, "e": [1.5, "x"], "f": {"g": -2}});
        assert_eq!(value, expected);
    }
}
