//! What the input schema of a tool says of arguments beyond what is allowed: their defaults, and which of them are whole
//! numbers.

use serde_json::{Map, Value};

/// The deepest nesting that is looked at; references can lead in circles.
const MAX_DEPTH: usize = 8;
/// The most schemas that are looked at: circles of references can branch.
const MAX_SCHEMAS: usize = 5000;

/// What a schema says of one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Whether it is a whole number: JSON has no such type, and `5812.0` is valid where `integer` is asked for
    /// (JSON Schema Validation 2020-12, 6.1.1).
    pub integer: bool,
    /// The members of an object of which something is known, in the order of their names.
    pub members: Vec<Member>,
    /// The items of a list, where something is known of them.
    pub items: Option<Box<Shape>>,
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    /// What the member is where it is missing, as JSON.
    pub default: Option<Box<str>>,
    pub shape: Shape,
}

impl Shape {
    /// Reads an input schema; none where it says nothing of this kind.
    #[must_use]
    pub fn of(schema: &Map<String, Value>) -> Option<Self> {
        let shape = Reader { root: schema, left: MAX_SCHEMAS }.read(schema, MAX_DEPTH);
        (!shape.is_empty()).then_some(shape)
    }

    /// Whether nothing is known.
    fn is_empty(&self) -> bool {
        !self.integer && self.members.is_empty() && self.items.is_none()
    }

    /// Whether a value is not yet as it should be: a member is missing that has a default, or a whole number is written
    /// with a fraction.
    #[must_use]
    pub fn changes(&self, value: &Value) -> bool {
        match value {
            Value::Number(number) => self.integer && number.is_f64() && whole(value).is_some(),
            Value::Object(object) => self.members.iter().any(|member| match object.get(&member.name) {
                Some(value) => member.shape.changes(value),
                None => member.default.is_some(),
            }),
            Value::Array(items) => {
                self.items.as_ref().is_some_and(|shape| items.iter().any(|item| shape.changes(item)))
            }
            _ => false,
        }
    }

    /// Puts defaults in the place of what is missing, at every depth.
    fn fill(&self, value: &mut Value) {
        let Value::Object(object) = value else { return };
        for member in &self.members {
            match (object.get_mut(&member.name), &member.default) {
                (Some(value), _) => member.shape.fill(value),
                (None, Some(json)) => {
                    let value = serde_json::from_str(json).expect("a default is JSON of ours");
                    object.insert(member.name.clone(), value);
                }
                (None, None) => {}
            }
        }
    }
}

/// A number that is whole although it is written with a fraction or an exponent, without them. Beyond 2^53 doubles skip
/// whole numbers, and nothing is certain.
#[must_use]
pub fn whole(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT)?;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within the range of i64")]
    Some(number as i64)
}

/// Reads the schemas in a schema.
struct Reader<'a> {
    root: &'a Map<String, Value>,
    left: usize,
}

impl<'a> Reader<'a> {
    fn read(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Shape {
        let mut shape = Shape::default();
        let (Some(depth), Some(left)) = (depth.checked_sub(1), self.left.checked_sub(1)) else {
            return shape;
        };
        self.left = left;
        // What a schema refers to, or consists of, holds for the same value.
        let referred = schema.get("$ref").and_then(Value::as_str).and_then(|uri| self.part(uri));
        let all =
            schema.get("allOf").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
        for schema in referred.into_iter().chain(all) {
            merge(&mut shape, self.read(schema, depth));
        }
        let says = |word: &str| match schema.get("type") {
            Some(Value::String(given)) => given == word,
            Some(Value::Array(given)) => given.iter().any(|given| given == word),
            _ => false,
        };
        shape.integer |= says("integer") && !says("number");
        if let Some(items) = schema.get("items").and_then(Value::as_object) {
            let items = self.read(items, depth);
            if !items.is_empty() {
                shape.items = Some(Box::new(items));
            }
        }
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let Some(property) = property.as_object() else { continue };
            let below = self.read(property, depth);
            let default = property.get("default").or_else(|| {
                let uri = property.get("$ref").and_then(Value::as_str)?;
                self.part(uri)?.get("default")
            });
            let default = default.cloned().map(|mut value| {
                below.fill(&mut value);
                value.to_string().into_boxed_str()
            });
            if default.is_some() || !below.is_empty() {
                let member = Member { name: name.clone(), default, shape: below };
                merge(&mut shape, Shape { members: vec![member], ..Shape::default() });
            }
        }
        shape
    }

    /// The part of the schema that a reference of its own leads to.
    fn part(&self, uri: &str) -> Option<&'a Map<String, Value>> {
        let mut found = self.root;
        for segment in uri.strip_prefix("#/")?.split('/') {
            found = found.get(&segment.replace("~1", "/").replace("~0", "~"))?.as_object()?;
        }
        Some(found)
    }
}

/// Adds to a shape what another one knows of the same value; in a conflict the other one wins.
fn merge(shape: &mut Shape, other: Shape) {
    shape.integer |= other.integer;
    shape.items = other.items.or(shape.items.take());
    for member in other.members {
        match shape.members.binary_search_by(|known| known.name.cmp(&member.name)) {
            Ok(at) => {
                let known = &mut shape.members[at];
                known.default = member.default.or(known.default.take());
                merge(&mut known.shape, member.shape);
            }
            Err(at) => shape.members.insert(at, member),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(schema: &Value) -> Option<Shape> {
        Shape::of(schema.as_object().unwrap())
    }

    #[test]
    fn a_schema_without_defaults_and_whole_numbers_says_nothing() {
        for schema in [
            json!({"type": "object"}),
            json!({"type": "object", "properties": {"x": {"type": "number"}, "y": true, "z": {"enum": [1]}}}),
            json!({"type": "object", "properties": {"x": {"type": ["integer", "number"]}}}),
            json!({"type": "object", "$ref": "#"}),
            json!({"type": "object", "properties": {"x": {"$ref": "#/properties/x"}}}),
        ] {
            assert_eq!(of(&schema), None, "{schema}");
        }
    }

    #[test]
    fn references_that_lead_in_branching_circles_end() {
        let same: Vec<_> = (0..100).map(|_| json!({"$ref": "#/$defs/a"})).collect();
        let schema = json!({"type": "object", "$ref": "#/$defs/a", "$defs": {"a": {"allOf": same}}});
        assert_eq!(of(&schema), None);
    }

    #[test]
    fn defaults_are_found_below_objects_references_and_parts() {
        let shape = of(&json!({
            "type": "object",
            "$defs": {"mode": {"type": "string", "default": "fast"}, "page": {"properties": {"size": {"type": "integer", "default": 10}}}},
            "properties": {
                "mode": {"$ref": "#/$defs/mode"},
                "own": {"$ref": "#/$defs/mode", "default": "slow"},
                "page": {"$ref": "#/$defs/page"},
                "made": {"allOf": [{"$ref": "#/$defs/page"}], "default": {}},
                "list": {"type": "array", "items": {"type": "integer"}}
            }
        }))
        .unwrap();
        let defaults: Vec<_> =
            shape.members.iter().map(|member| (member.name.as_str(), member.default.as_deref())).collect();
        assert_eq!(
            defaults,
            [
                ("list", None),
                ("made", Some("{\"size\":10}")),
                ("mode", Some("\"fast\"")),
                ("own", Some("\"slow\"")),
                ("page", None)
            ]
        );
        for (value, changes) in [
            (json!({}), true),
            (json!({"made": {"size": 1}, "mode": "x", "own": null}), false),
            (json!({"made": {}, "mode": "x", "own": "y"}), true),
            (json!({"made": {"size": 1}, "mode": "x", "own": "y", "page": {}}), true),
            (json!({"made": {"size": 1.0}, "mode": "x", "own": "y"}), true),
            (json!({"made": {"size": 1.5}, "mode": "x", "own": "y", "list": [1, 2]}), false),
            (json!({"made": {"size": 1}, "mode": "x", "own": "y", "list": [1, 2.0]}), true),
        ] {
            assert_eq!(shape.changes(&value), changes, "{value}");
        }
    }

    #[test]
    fn whole_numbers_are_whole_up_to_where_doubles_skip_some() {
        for (value, expected) in [
            (json!(5812.0), Some(5812)),
            (json!(-0.0), Some(0)),
            (json!(1e15), Some(1_000_000_000_000_000)),
            (json!(1.5), None),
            (json!(1e300), None),
            (json!("1"), None),
        ] {
            assert_eq!(whole(&value), expected, "{value}");
        }
    }
}
