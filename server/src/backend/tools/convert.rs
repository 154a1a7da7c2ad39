//! JSON to CEL values and back.
//!
//! JSON has one kind of number and CEL three that do not mix. A number that is whole is an `int`, however it is spelled
//! (`2`, `2.0`, `2e0`): so `args.n + 1` works for every client, and where fractions may come a tool says
//! `double(args.x)`. Whole numbers above the largest `int` are `uint`; above the largest `uint`, and whole numbers
//! written with a fraction or exponent beyond 2^53, where doubles skip integers, they are `double`.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use mcp_server_config::compile::cost::VALUE_WEIGHT;
use serde_json::{Map, Number, Value};

/// Up to here every whole number is a double, and the next one is told apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The weight of a value, as the bounds on costs count it.
pub(crate) fn weight(value: &Value) -> usize {
    VALUE_WEIGHT
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| VALUE_WEIGHT + key.len() + weight(value)).sum()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// A JSON value as CEL sees it; texts are borrowed.
pub(crate) fn to_cel<'v>(value: &'v Value) -> Box<dyn Val + 'v> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(*flag)),
        Value::Number(number) => number_to_cel(number),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(to_cel).collect::<Vec<_>>())),
        Value::Object(fields) => {
            let entries = fields.iter().map(|(key, value)| (CelMapKey::from(key.as_str()), to_cel(value)));
            Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
        }
    }
}

fn number_to_cel<'v>(number: &Number) -> Box<dyn Val + 'v> {
    if let Some(whole) = number.as_i64() {
        return Box::new(CelInt::from(whole));
    }
    if let Some(whole) = number.as_u64() {
        return Box::new(CelUInt::from(whole));
    }
    let double = number.as_f64().unwrap_or(f64::NAN);
    if double.fract() == 0.0 && double.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within the range of i64")]
        return Box::new(CelInt::from(double as i64));
    }
    Box::new(CelDouble::from(double))
}

/// A result as JSON: integers keep every digit, keys of maps become strings in their order, bytes base64.
///
/// # Errors
/// With a sentence where JSON has nothing like it.
pub(super) fn to_json(value: &cel::Value) -> Result<Value, String> {
    Ok(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(flag) => Value::Bool(*flag),
        cel::Value::Int(whole) => Value::from(*whole),
        cel::Value::UInt(whole) => Value::from(*whole),
        cel::Value::Float(double) => Number::from_f64(*double)
            .map(Value::Number)
            .ok_or_else(|| format!("The result holds the number {double}, which JSON cannot express."))?,
        cel::Value::String(text) => Value::String(text.as_ref().clone()),
        cel::Value::Bytes(bytes) => Value::String(STANDARD.encode(bytes.as_slice())),
        cel::Value::List(items) => Value::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        cel::Value::Map(entries) => {
            let mut sorted = BTreeMap::new();
            for (key, value) in entries.map.iter() {
                let name = key.to_string();
                if sorted.contains_key(&name) {
                    return Err(format!(
                        "The result holds a map in which two keys are written {name:?} in JSON."
                    ));
                }
                sorted.insert(name, value);
            }
            let fields = sorted.into_iter().map(|(key, value)| Ok((key, to_json(value)?)));
            Value::Object(fields.collect::<Result<Map<_, _>, String>>()?)
        }
        other => {
            return Err(format!(
                "The result holds a value of type {}, which JSON cannot express; an optional is opened with orValue().",
                other.type_of()
            ));
        }
    })
}
