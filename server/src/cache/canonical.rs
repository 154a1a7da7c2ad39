//! Arguments in one spelling, so that the same question has the same key.
//!
//! Two texts get the same spelling only where every reader of JSON reads the same value in them: keys in another order,
//! other white space, other escapes, `1.50` for `1.5`. `1` and `1.0` stay apart, since some tools tell whole numbers from
//! others, and numbers keep every digit: what differs in the thirtieth place is another question.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Writes the one spelling of `text`, which is JSON without duplicate keys and not nested too deep. None where it is not.
#[must_use]
pub fn canonical(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    write(text.trim_matches(WHITE), &mut out)?;
    Some(out)
}

const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

fn write(text: &str, out: &mut Vec<u8>) -> Option<()> {
    match text.as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            out.push(b'{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(&key, out);
                out.push(b':');
                write(value.get(), out)?;
            }
            out.push(b'}');
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push(b'[');
            for (index, item) in items.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item.get(), out)?;
            }
            out.push(b']');
        }
        b'"' => string(&serde_json::from_str::<Cow<'_, str>>(text).ok()?, out),
        b't' | b'f' | b'n' => out.extend_from_slice(text.as_bytes()),
        _ => number(text, out)?,
    }
    Some(())
}

fn string(text: &str, out: &mut Vec<u8>) {
    // Writing to memory cannot fail, and every string is JSON.
    let _written = serde_json::to_writer(out, text);
}

/// A whole number as it is; any other as digits without zeros around them, and the power of ten of the last digit.
fn number(text: &str, out: &mut Vec<u8>) -> Option<()> {
    if !text.contains(['.', 'e', 'E']) {
        out.extend_from_slice(text.as_bytes());
        return Some(());
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (text, "0"),
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // An exponent of this size has no value that anybody computes with; its own spelling is safe.
    let Some(exponent) = exponent.parse::<i64>().ok().filter(|exponent| exponent.abs() < 1 << 40) else {
        out.extend_from_slice(text.as_bytes());
        return Some(());
    };
    let digits = format!("{whole}{part}");
    let exponent = exponent - i64::try_from(part.len()).ok()?;
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    let exponent = match significant.is_empty() {
        true => 0,
        false => exponent + i64::try_from(digits.len() - significant.len()).ok()?,
    };
    let significant = if significant.is_empty() { "0" } else { significant };
    out.extend_from_slice(format!("{sign}{significant}e{exponent}").as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    fn spelt(text: &str) -> String {
        String::from_utf8(canonical(text).unwrap()).unwrap()
    }

    #[test]
    fn the_same_question_is_spelt_the_same() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, " { \"b\" : [ true , null ] , \"a\" : 1 } "),
            (r#"{"a":"A/\u00fc"}"#, r#"{"\u0061":"\u0041\/ü"}"#),
            ("1.5", "1.50"),
            ("1.5", "15e-1"),
            ("1.5", "0.15E+1"),
            ("100.0", "1e2"),
            ("0.0", "0e99"),
            ("-1.0e0", "-10e-1"),
            ("[]", "[ ]"),
        ] {
            assert_eq!(spelt(one), spelt(other), "{one} {other}");
        }
    }

    #[test]
    fn another_question_is_spelt_otherwise() {
        let texts = [
            "1",
            "1.0",
            "-0",
            "0",
            "0.0",
            "-0.0",
            "\"1\"",
            "[1]",
            "[[1]]",
            "{\"1\":1}",
            "12345678901234567890123",
            "12345678901234567890124",
            "0.1",
            "0.10000000000000000000000000000001",
            "1e400",
            "1e401",
            "1e99999999999999999999",
            "null",
            "\"null\"",
            "[1,2]",
            "[2,1]",
            "[12]",
            "{\"a\":\"b\",\"c\":\"d\"}",
            "{\"a\":\"b\\\",\\\"c\\\":\\\"d\"}",
        ];
        let mut spellings: Vec<_> = texts.iter().map(|text| spelt(text)).collect();
        spellings.sort();
        spellings.dedup();
        assert_eq!(spellings.len(), texts.len(), "{spellings:?}");
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter("a number", |n| n.is_finite() && *n != 0.0).prop_map(Value::from),
            (-3_i32..0).prop_map(|n| json!(f64::from(n))),
            "[a-c\"\\\\é\n]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"]{0,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(Map::from_iter(members))),
            ]
        })
    }

    /// The same value in other words: members turned around, escapes, white space.
    fn otherwise(value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let members: Vec<_> = members
                    .iter()
                    .rev()
                    .map(|(key, value)| format!("{} :\t{}", escaped(key), otherwise(value)))
                    .collect();
                format!("{{ {} }}", members.join("\n, "))
            }
            Value::Array(items) => {
                format!("[{} ]", items.iter().map(otherwise).collect::<Vec<_>>().join(" ,"))
            }
            Value::String(text) => escaped(text),
            other => other.to_string(),
        }
    }

    fn escaped(text: &str) -> String {
        let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        format!("\"{units}\"")
    }

    proptest! {
        #[test]
        fn spelt_the_same_exactly_where_the_value_is_the_same(one in value(), other in value()) {
            prop_assert_eq!(spelt(&one.to_string()), spelt(&otherwise(&one)));
            let equal = one == other;
            prop_assert_eq!(spelt(&one.to_string()) == spelt(&other.to_string()), equal, "{} {}", one, other);
        }

        #[test]
        fn never_panics(text in r#"[\[\]{}:,"\\a1e.\- ]{0,24}"#) {
            let _spelt = canonical(&text);
        }
    }
}
