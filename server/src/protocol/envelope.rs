//! One message, read in one pass. What a step of the pipeline looks at is a field; everything else stays text.
//!
//! A value of the wrong type never fails the parse: it becomes [`Field::Wrong`], so that the refusal can echo the id
//! and name the field. `serde(flatten)` and untagged enums are avoided, since they buffer what they read.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::protocol::errors::{Code, Fault};

/// A JSON-RPC message.
#[derive(Debug)]
pub struct Envelope<'a> {
    pub kind: Kind<'a>,
    pub params: Params<'a>,
}

/// What sort of message it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Wants an answer under this id, which is JSON text: a string or an integer.
    Request {
        id: &'a str,
        method: Cow<'a, str>,
    },
    Notification {
        method: Cow<'a, str>,
    },
    /// An answer of the client to a question of the server.
    Response,
}

/// A member that should be a string.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Field<'a> {
    /// Not there, or null.
    #[default]
    Absent,
    Text(Cow<'a, str>),
    /// Another type.
    Wrong,
}

impl Field<'_> {
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Wrong => None,
        }
    }
}

/// The members of `params` that some step looks at.
#[derive(Debug, Default)]
pub struct Params<'a> {
    pub name: Field<'a>,
    pub uri: Field<'a>,
    pub cursor: Field<'a>,
    /// Of `initialize`.
    pub protocol_version: Field<'a>,
    /// Of `notifications/cancelled`.
    pub request_id: Option<&'a RawValue>,
    pub arguments: Option<&'a RawValue>,
    /// Of `completion/complete`: `ref`.
    pub reference: Option<&'a RawValue>,
    /// Of `completion/complete`.
    pub argument: Option<&'a RawValue>,
    /// Of `completion/complete`.
    pub context: Option<&'a RawValue>,
    /// Of a call that is repeated with answers.
    pub input_responses: Option<&'a RawValue>,
    /// Of a call that is repeated with answers.
    pub request_state: Field<'a>,
    pub meta: Meta<'a>,
}

/// The members of `params._meta` that some step looks at.
#[derive(Debug, Default)]
pub struct Meta<'a> {
    pub protocol_version: Field<'a>,
    pub client_capabilities: Option<&'a RawValue>,
    pub client_info: Option<&'a RawValue>,
    pub log_level: Field<'a>,
    pub progress_token: Option<&'a RawValue>,
    /// Of W3C Trace Context.
    pub trace_parent: Field<'a>,
    /// Of W3C Trace Context.
    pub trace_state: Field<'a>,
}

/// A message that was refused, with its id where it has a good one.
#[derive(Debug)]
pub struct Refused<'a> {
    pub id: Option<&'a str>,
    pub fault: Fault,
}

impl<'a> Envelope<'a> {
    /// Reads one message. The text has gone through [`crate::protocol::raw::guard`].
    ///
    /// # Errors
    /// Where it is not JSON, not a message, or a batch.
    pub fn parse(text: &'a str) -> Result<Self, Refused<'a>> {
        let refused = |id, code, message: Cow<'static, str>| Refused { id, fault: Fault::new(code, message) };
        let message: Message<'a> = serde_json::from_str(text).map_err(|error| match first_byte(text) {
            // The message is an object, and no member can fail by its type: what failed is the syntax.
            Some(b'{') | None => refused(None, Code::Parse, format!("invalid JSON: {error}").into()),
            Some(_) if error.is_data() => not_an_object(text),
            Some(_) => refused(None, Code::Parse, format!("invalid JSON: {error}").into()),
        })?;
        let id = match message.id.map(RawValue::get) {
            None => None,
            Some(id) if is_id(id) => Some(id),
            Some(_) => {
                return Err(refused(None, Code::InvalidRequest, "id must be a string or an integer".into()));
            }
        };
        if message.jsonrpc.text() != Some("2.0") {
            return Err(refused(id, Code::InvalidRequest, "jsonrpc must be \"2.0\"".into()));
        }
        let kind = match (message.method, id) {
            (Field::Text(method), Some(id)) => Kind::Request { id, method },
            (Field::Text(method), None) => Kind::Notification { method },
            (Field::Absent, Some(_)) if message.answers => Kind::Response,
            _ => return Err(refused(id, Code::InvalidRequest, "method must be a string".into())),
        };
        match message.params {
            Section::Object(params) if params.meta_is_object => Ok(Self { kind, params: params.params }),
            Section::Object(_) => {
                Err(refused(id, Code::MalformedMeta, "params._meta must be an object".into()))
            }
            Section::Absent => Ok(Self { kind, params: Params::default() }),
            Section::Wrong => Err(refused(id, Code::MalformedMeta, "params must be an object".into())),
        }
    }
}

fn first_byte(text: &str) -> Option<u8> {
    text.bytes().find(|byte| !byte.is_ascii_whitespace())
}

fn not_an_object<'a>(text: &str) -> Refused<'a> {
    let message = match first_byte(text) {
        Some(b'[') => "batches are not part of the served revisions; send each message by itself",
        _ => "a message must be a JSON object",
    };
    Refused { id: None, fault: Fault::new(Code::InvalidRequest, message) }
}

/// A string, or a number without fraction and exponent.
fn is_id(json: &str) -> bool {
    let digits = json.strip_prefix('-').unwrap_or(json);
    json.starts_with('"') || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A member that should be an object.
#[derive(Default)]
enum Section<T> {
    #[default]
    Absent,
    Object(T),
    Wrong,
}

struct ParamsRead<'a> {
    params: Params<'a>,
    meta_is_object: bool,
}

#[derive(Default)]
struct Message<'a> {
    jsonrpc: Field<'a>,
    id: Option<&'a RawValue>,
    method: Field<'a>,
    params: Section<ParamsRead<'a>>,
    /// Has `result` or `error`.
    answers: bool,
}

/// Visits members of an object by name.
trait Members<'de>: Default {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

impl<'de> Members<'de> for Message<'de> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "jsonrpc" => self.jsonrpc = map.next_value()?,
            "id" => self.id = Some(map.next_value()?),
            "method" => self.method = map.next_value()?,
            "params" => self.params = map.next_value()?,
            "result" | "error" => {
                self.answers = true;
                map.next_value::<IgnoredAny>()?;
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl Default for ParamsRead<'_> {
    fn default() -> Self {
        Self { params: Params::default(), meta_is_object: true }
    }
}

impl<'de> Members<'de> for ParamsRead<'de> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let params = &mut self.params;
        match key {
            "name" => params.name = map.next_value()?,
            "uri" => params.uri = map.next_value()?,
            "cursor" => params.cursor = map.next_value()?,
            "protocolVersion" => params.protocol_version = map.next_value()?,
            "requestId" => params.request_id = Some(map.next_value()?),
            "arguments" => params.arguments = Some(map.next_value()?),
            "ref" => params.reference = Some(map.next_value()?),
            "argument" => params.argument = Some(map.next_value()?),
            "context" => params.context = Some(map.next_value()?),
            "inputResponses" => params.input_responses = Some(map.next_value()?),
            "requestState" => params.request_state = map.next_value()?,
            "_meta" => match map.next_value()? {
                Section::Object(meta) => params.meta = meta,
                Section::Absent => {}
                Section::Wrong => self.meta_is_object = false,
            },
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<'de> Members<'de> for Meta<'de> {
    fn member<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "progressToken" => self.progress_token = Some(map.next_value()?),
            "traceparent" => self.trace_parent = map.next_value()?,
            "tracestate" => self.trace_state = map.next_value()?,
            _ => match key.strip_prefix("io.modelcontextprotocol/") {
                Some("protocolVersion") => self.protocol_version = map.next_value()?,
                Some("clientCapabilities") => self.client_capabilities = Some(map.next_value()?),
                Some("clientInfo") => self.client_info = Some(map.next_value()?),
                Some("logLevel") => self.log_level = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            },
        }
        Ok(())
    }
}

fn members<'de, T: Members<'de>, A: MapAccess<'de>>(mut map: A) -> Result<T, A::Error> {
    let mut object = T::default();
    while let Some(Key(key)) = map.next_key()? {
        object.member(&key, &mut map)?;
    }
    Ok(object)
}

/// A key, borrowed unless it is escaped.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Message<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl<'de> Visitor<'de> for Whole {
            type Value = Message<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                members(map)
            }
        }

        deserializer.deserialize_map(Whole)
    }
}

impl<'de, T: Members<'de>> Deserialize<'de> for Section<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Part<T>(std::marker::PhantomData<T>);

        impl<'de, T: Members<'de>> Visitor<'de> for Part<T> {
            type Value = Section<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                members(map).map(Section::Object)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Section::Wrong)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Section::Absent)
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Section::Wrong)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Section::Wrong)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Section::Wrong)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Section::Wrong)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Section::Wrong)
            }
        }

        deserializer.deserialize_any(Part(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Field<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Field::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Field::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Field::Absent)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Field::Wrong)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Field::Wrong)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Field::Wrong)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Field::Wrong)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Field::Wrong)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Field::Wrong)
            }
        }

        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_steps_look_at_and_leaves_the_rest() {
        let text = r#"{"jsonrpc":"2.0","id":"a","method":"tools\/call","extra":[1],"params":{"name":"greet","cursor":null,
            "arguments":{"n":12345678901234567890123},"_meta":{"progressToken":7,"other":{},
            "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let envelope = Envelope::parse(text).unwrap();
        assert_eq!(envelope.kind, Kind::Request { id: "\"a\"", method: "tools/call".into() });
        assert_eq!(envelope.params.name.text(), Some("greet"));
        assert_eq!(envelope.params.cursor, Field::Absent);
        assert_eq!(envelope.params.arguments.unwrap().get(), r#"{"n":12345678901234567890123}"#);
        assert_eq!(envelope.params.meta.protocol_version.text(), Some("2026-07-28"));
        assert_eq!(envelope.params.meta.progress_token.unwrap().get(), "7");
    }

    #[test]
    fn tells_messages_apart() {
        let kind = |text| Envelope::parse(text).unwrap().kind;
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            Kind::Notification { method: "notifications/initialized".into() }
        );
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Kind::Response);
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#), Kind::Response);
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","id":-5,"method":"ping","params":null}"#),
            Kind::Request { id: "-5", method: "ping".into() }
        );
    }

    #[test]
    fn refuses_with_the_id_where_there_is_one() {
        for (text, id, code) in [
            ("", None, -32700),
            ("{", None, -32700),
            ("{\"jsonrpc\":\"2.0\",}", None, -32700),
            ("{}x", None, -32700),
            ("[", None, -32600),
            ("[]", None, -32600),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, None, -32600),
            ("1", None, -32600),
            ("\"x\"", None, -32600),
            ("null", None, -32600),
            ("{}", None, -32600),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, Some("1"), -32600),
            (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, Some("1"), -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, None, -32600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, None, -32600),
            (r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#, None, -32600),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, None, -32600),
            (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, None, -32600),
            (r#"{"jsonrpc":"2.0","id":1}"#, Some("1"), -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":{"a":[1]}}"#, Some("1"), -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, Some("1"), -32602),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, Some("1"), -32602),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":[]}}"#, Some("1"), -32602),
        ] {
            let refused = Envelope::parse(text).unwrap_err();
            assert_eq!(
                (refused.id, refused.fault.code.number()),
                (id, code),
                "{text}: {}",
                refused.fault.message
            );
        }
    }

    #[test]
    fn a_wrong_type_is_found_out_without_failing() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":{"a":1},"uri":[1],"cursor":5}}"#;
        let params = Envelope::parse(text).unwrap().params;
        assert_eq!((params.name, params.uri, params.cursor), (Field::Wrong, Field::Wrong, Field::Wrong));
    }
}
