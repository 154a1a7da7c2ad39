//! Arguments as the tool's input schema means them: with its defaults, and whole numbers without a fraction. Everything
//! else stays as it was written, byte for byte.

use std::borrow::Cow;
use std::fmt;

use mcp_server_config::compile::shape::{Shape, whole};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Writes arguments anew; `value` is what `json` reads as.
pub(super) fn completed(json: &str, value: &Value, shape: &Shape) -> String {
    let mut written = String::with_capacity(json.len() + 64);
    write(json, value, shape, &mut written);
    written
}

fn write(json: &str, value: &Value, shape: &Shape, written: &mut String) {
    if !shape.changes(value) {
        written.push_str(json.trim());
        return;
    }
    match value {
        Value::Object(_) => write_object(json, value, shape, written),
        Value::Array(values) => {
            let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            let below = shape.items.as_deref();
            written.push('[');
            for (index, (item, value)) in items.iter().zip(values).enumerate() {
                separate(index, written);
                match below {
                    Some(shape) => write(item.get(), value, shape, written),
                    None => written.push_str(item.get()),
                }
            }
            written.push(']');
        }
        _ => match whole(value) {
            Some(number) => written.push_str(&number.to_string()),
            None => written.push_str(json),
        },
    }
}

fn write_object(json: &str, value: &Value, shape: &Shape, written: &mut String) {
    let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(json) else {
        written.push_str(json);
        return;
    };
    let mut count = 0;
    written.push('{');
    for (name, member) in &members {
        separate(count, written);
        count += 1;
        written.push_str(&Value::from(name.as_ref()).to_string());
        written.push(':');
        let known = shape.members.iter().find(|known| known.name == *name);
        match (known, value.get(name.as_ref())) {
            (Some(known), Some(value)) => write(member.get(), value, &known.shape, written),
            _ => written.push_str(member.get()),
        }
    }
    for (member, default) in
        shape.members.iter().filter_map(|member| Some((member, member.default.as_deref()?)))
    {
        if value.get(&member.name).is_none() {
            separate(count, written);
            count += 1;
            written.push_str(&Value::from(member.name.as_str()).to_string());
            written.push(':');
            written.push_str(default);
        }
    }
    written.push('}');
}

fn separate(before: usize, written: &mut String) {
    if before > 0 {
        written.push(',');
    }
}

/// The members of an object in their order, with their values as they were written.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        #[derive(Deserialize)]
        struct Key<'k>(#[serde(borrow)] Cow<'k, str>);

        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Collect).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_is_filled_in_and_the_rest_stays_byte_for_byte() {
        let schema = json!({"type": "object", "properties": {
            "limit": {"type": "integer", "default": 10},
            "a\"b": {"default": null},
            "page": {"properties": {"size": {"type": "integer", "default": 5}}},
            "ids": {"items": {"type": "integer"}}
        }});
        let shape = Shape::of(schema.as_object().unwrap()).unwrap();
        for (arguments, expected) in [
            ("{}", r#"{"a\"b":null,"limit":10}"#),
            (r#"{ "limit" : null , "a\"b" : 1 }"#, r#"{ "limit" : null , "a\"b" : 1 }"#),
            (
                r#"{"big": 123456789012345678901234567890, "limit": 2e1, "\u0061\"b": 1.50}"#,
                r#"{"big":123456789012345678901234567890,"limit":20,"a\"b":1.50}"#,
            ),
            (
                r#"{"page":{"x":1.0},"ids":[1, 2.0, "x"],"limit":1,"a\"b":0}"#,
                r#"{"page":{"x":1.0,"size":5},"ids":[1,2,"x"],"limit":1,"a\"b":0}"#,
            ),
        ] {
            let value: Value = serde_json::from_str(arguments).unwrap();
            assert_eq!(completed(arguments, &value, &shape), expected);
        }
    }
}
