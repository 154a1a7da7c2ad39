//! Request headers that mirror the body (specification 2026-07-28, "Streamable HTTP", standard and custom headers).
//!
//! Intermediaries route on them, so a header that disagrees with the body is refused: otherwise they and this server
//! would act upon different requests.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};

use crate::protocol::envelope::{Field, Params};
use crate::protocol::errors::{Code, Fault};
use crate::protocol::methods::{Mirrored, mirrored};

pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// What the names of custom headers begin with, in lower case.
pub const PARAM_PREFIX: &str = "mcp-param-";

/// The version that the headers name.
///
/// # Errors
/// Where it is given twice, or is not visible ASCII.
pub fn version(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    single(headers, &PROTOCOL_VERSION)
}

/// Checks the standard headers of a modern request against its body.
///
/// # Errors
/// Where one is missing, given twice, or disagrees.
pub fn check_standard(headers: &HeaderMap, method: &str, params: &Params<'_>) -> Result<(), Fault> {
    let version = params.meta.protocol_version.text().unwrap_or_default();
    agree(
        "MCP-Protocol-Version",
        single(headers, &PROTOCOL_VERSION)?,
        "the version in params._meta",
        version,
    )?;
    agree("Mcp-Method", single(headers, &METHOD)?, "method", method)?;
    let (field, path) = match mirrored(method) {
        None => return Ok(()),
        Some(Mirrored::Name) => (&params.name, "params.name"),
        Some(Mirrored::Uri) => (&params.uri, "params.uri"),
    };
    match field {
        Field::Text(text) => {
            let header = single(headers, &NAME)?.map(|value| decode("Mcp-Name", value)).transpose()?;
            agree("Mcp-Name", header.as_deref(), path, text)
        }
        Field::Absent | Field::Wrong => {
            Err(Fault::new(Code::InvalidParams, format!("{path} is missing or not a string")))
        }
    }
}

/// A property of a tool's arguments that a header mirrors: `x-mcp-header` in its `inputSchema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredProperty {
    /// The header, in lower case.
    pub header: HeaderName,
    /// The way to the property, through `properties` only.
    pub path: Vec<String>,
}

/// The mirrored properties of an input schema. A name that is no header name, or stands where the specification does
/// not allow one, mirrors nothing: clients leave such a tool out.
#[must_use]
pub fn mirrored_properties(input_schema: &Map<String, Value>) -> Vec<MirroredProperty> {
    let mut found = Vec::new();
    collect(input_schema, &mut Vec::new(), &mut found);
    found
}

fn collect(schema: &Map<String, Value>, path: &mut Vec<String>, found: &mut Vec<MirroredProperty>) {
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let Some(property) = property.as_object() else { continue };
        path.push(name.clone());
        let scalar =
            matches!(property.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean"));
        if let Some(Value::String(header)) = property.get("x-mcp-header").filter(|_| scalar) {
            let name = format!("{PARAM_PREFIX}{}", header.to_ascii_lowercase());
            if let Ok(header) = HeaderName::try_from(name) {
                found.push(MirroredProperty { header, path: path.clone() });
            }
        }
        collect(property, path, found);
        path.pop();
    }
}

/// Checks the custom headers of a modern `tools/call` against its arguments. Headers that mirror nothing are ignored.
///
/// # Errors
/// Where one is missing, given twice, cannot be decoded, or disagrees.
pub fn check_properties(
    headers: &HeaderMap,
    mirrored: &[MirroredProperty],
    arguments: Option<&str>,
) -> Result<(), Fault> {
    if mirrored.is_empty() {
        return Ok(());
    }
    let arguments: Value = arguments.map_or(Ok(Value::Null), serde_json::from_str).map_err(|_| {
        // Nesting that the guard lets pass at the edge, seen from the top of the message.
        Fault::new(Code::InvalidParams, "params.arguments cannot be read")
    })?;
    for property in mirrored {
        let value = property.path.iter().try_fold(&arguments, |value, key| value.get(key));
        let value = value.filter(|value| !value.is_null());
        let name = property.header.as_str();
        let header = single(headers, &property.header)?.map(|header| decode(name, header)).transpose()?;
        match (value, header) {
            (None, None) => {}
            (Some(value), Some(header)) if same(value, &header) => {}
            (Some(_), None) => {
                return Err(mismatch(format!(
                    "header {name} is missing; it mirrors params.arguments.{}",
                    property.path.join(".")
                )));
            }
            _ => {
                return Err(mismatch(format!(
                    "header {name} differs from params.arguments.{}",
                    property.path.join(".")
                )));
            }
        }
    }
    Ok(())
}

/// Whether a header says the same as a value: integers by their number, everything else by its text.
fn same(value: &Value, header: &str) -> bool {
    match value {
        Value::String(text) => text == header,
        Value::Bool(flag) => header == if *flag { "true" } else { "false" },
        Value::Number(number) => match (number.as_i128(), header.parse::<i128>()) {
            (Some(number), Ok(header)) => number == header,
            _ => {
                number.as_f64().zip(header.parse::<f64>().ok()).is_some_and(|(a, b)| a.total_cmp(&b).is_eq())
            }
        },
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// The value of a header that may come once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(mismatch(format!("header {name} is given more than once")));
    }
    let text = value.to_str().map_err(|_| mismatch(format!("header {name} is not visible ASCII")))?;
    Ok(Some(text.trim_matches([' ', '\t'])))
}

/// The text in `=?base64?…?=`; anything without that wrapper stands for itself.
fn decode<'h>(name: &str, value: &'h str) -> Result<Cow<'h, str>, Fault> {
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(Cow::Borrowed(value));
    };
    let bytes = BASE64_STANDARD.decode(encoded).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Cow::Owned).ok_or_else(|| mismatch(format!("header {name} is not base64 of UTF-8")))
}

/// The header value for a text: wrapped where it would not survive as it is.
#[must_use]
pub fn encode(text: &str) -> String {
    let visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let literal =
        visible && text.trim_matches(' ') == text && !text.is_empty() && !text.starts_with("=?base64?");
    if literal { text.to_owned() } else { format!("=?base64?{}?=", BASE64_STANDARD.encode(text)) }
}

fn agree(name: &str, header: Option<&str>, what: &str, body: &str) -> Result<(), Fault> {
    match header {
        Some(header) if header == body => Ok(()),
        Some(header) => Err(mismatch(format!("header {name} is {header:?}, {what} is {body:?}"))),
        None => Err(mismatch(format!("header {name} is missing; it mirrors {what}"))),
    }
}

fn mismatch(message: String) -> Fault {
    Fault::new(Code::HeaderMismatch, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::envelope::Envelope;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    fn standard(pairs: &[(&'static str, &str)], name: &str) -> Result<(), i32> {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name},
            "_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
        );
        let envelope = Envelope::parse(&text).unwrap();
        check_standard(&headers(pairs), "tools/call", &envelope.params).map_err(|fault| fault.code.number())
    }

    const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
    const CALL: (&str, &str) = ("mcp-method", "tools/call");

    #[test]
    fn standard_headers_mirror_the_body() {
        for (pairs, name, expected) in [
            (&[VERSION, CALL, ("mcp-name", "greet")][..], "\"greet\"", Ok(())),
            (&[VERSION, CALL, ("mcp-name", "  greet\t")], "\"greet\"", Ok(())),
            (&[VERSION, CALL, ("mcp-name", "=?base64?Z3LDvMOf?=")], "\"grüß\"", Ok(())),
            (&[VERSION, CALL, ("mcp-name", "=?base64?Z3JlZXQ=?=")], "\"greet\"", Ok(())),
            (&[VERSION, CALL, ("mcp-name", "=?BASE64?Z3JlZXQ=?=")], "\"greet\"", Err(-32020)),
            (&[VERSION, CALL, ("mcp-name", "=?base64?!!?=")], "\"greet\"", Err(-32020)),
            (&[VERSION, CALL, ("mcp-name", "=?base64?/w==?=")], "\"greet\"", Err(-32020)),
            (&[VERSION, CALL, ("mcp-name", "Greet")], "\"greet\"", Err(-32020)),
            (&[VERSION, CALL], "\"greet\"", Err(-32020)),
            (&[VERSION, CALL, ("mcp-name", "greet"), ("mcp-name", "greet")], "\"greet\"", Err(-32020)),
            (&[VERSION, ("mcp-method", "tools/list"), ("mcp-name", "greet")], "\"greet\"", Err(-32020)),
            (&[VERSION, ("mcp-method", "TOOLS/CALL"), ("mcp-name", "greet")], "\"greet\"", Err(-32020)),
            (&[VERSION, ("mcp-name", "greet")], "\"greet\"", Err(-32020)),
            (&[CALL, ("mcp-name", "greet")], "\"greet\"", Err(-32020)),
            (
                &[("mcp-protocol-version", "2025-11-25"), CALL, ("mcp-name", "greet")],
                "\"greet\"",
                Err(-32020),
            ),
            (&[VERSION, VERSION, CALL, ("mcp-name", "greet")], "\"greet\"", Err(-32020)),
            (&[VERSION, CALL], "7", Err(-32602)),
        ] {
            assert_eq!(standard(pairs, name), expected, "{pairs:?}");
        }
    }

    #[test]
    fn custom_headers_mirror_arguments() {
        let schema = serde_json::json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "n": {"type": "integer", "x-mcp-header": "N"},
            "deep": {"type": "object", "properties": {"on": {"type": "boolean", "x-mcp-header": "On"}}},
            "list": {"type": "array", "x-mcp-header": "List"},
            "bad": {"type": "string", "x-mcp-header": "not a token"},
        }});
        let mirrored = mirrored_properties(schema.as_object().unwrap());
        assert_eq!(mirrored.len(), 3, "{mirrored:?}");
        for (pairs, arguments, ok) in [
            (&[][..], "{}", true),
            (&[], r#"{"region":null}"#, true),
            (&[("mcp-param-region", "eu")], r#"{"region":"eu"}"#, true),
            (&[("mcp-param-region", "=?base64?ZXU=?=")], r#"{"region":"eu"}"#, true),
            (&[("mcp-param-region", "=?base64?ZXU?=x")], r#"{"region":"eu"}"#, false),
            (&[("mcp-param-region", "us")], r#"{"region":"eu"}"#, false),
            (&[], r#"{"region":"eu"}"#, false),
            (&[("mcp-param-region", "eu")], "{}", false),
            (&[("mcp-param-region", "eu"), ("mcp-param-region", "eu")], r#"{"region":"eu"}"#, false),
            (&[("mcp-param-n", "42")], r#"{"n":42}"#, true),
            (&[("mcp-param-n", "042")], r#"{"n":42}"#, true),
            (&[("mcp-param-n", "42.0")], r#"{"n":42}"#, true),
            (&[("mcp-param-n", "43")], r#"{"n":42}"#, false),
            (&[("mcp-param-on", "true")], r#"{"deep":{"on":true}}"#, true),
            (&[("mcp-param-on", "True")], r#"{"deep":{"on":true}}"#, false),
            (&[("mcp-param-unknown", "x")], "{}", true),
        ] {
            let checked = check_properties(&headers(pairs), &mirrored, Some(arguments));
            assert_eq!(checked.is_ok(), ok, "{pairs:?} {arguments}");
            assert!(checked.is_err_and(|fault| fault.code == Code::HeaderMismatch) != ok);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_decodes(text in "\\PC{0,20}") {
            let encoded = encode(&text);
            proptest::prop_assert!(HeaderValue::from_str(&encoded).is_ok());
            proptest::prop_assert_eq!(decode("x", encoded.trim_matches([' ', '\t'])).unwrap(), text);
        }
    }
}
