//! One message, read in one pass. What a step of the pipeline looks at is a field; everything else stays text.
//!
//! A value of the wrong type never fails the parse: it becomes [`Field::Wrong`], so that the refusal can echo the id
//! and name the field.

use std::borrow::Cow;

use crate::protocol::errors::{Code, Fault};
use crate::protocol::reader::{Reader, Stop};

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

/// The members of `params` that some step looks at: strings, and the JSON text of everything else.
#[derive(Debug, Default)]
pub struct Params<'a> {
    pub name: Field<'a>,
    pub uri: Field<'a>,
    pub cursor: Field<'a>,
    /// Of `initialize`.
    pub protocol_version: Field<'a>,
    /// Of `notifications/cancelled`.
    pub request_id: Option<&'a str>,
    pub arguments: Option<&'a str>,
    /// Of `completion/complete`: `ref`.
    pub reference: Option<&'a str>,
    /// Of `completion/complete`.
    pub argument: Option<&'a str>,
    /// Of `completion/complete`.
    pub context: Option<&'a str>,
    /// Of a call that is repeated with answers.
    pub input_responses: Option<&'a str>,
    /// Of a call that is repeated with answers.
    pub request_state: Field<'a>,
    pub meta: Meta<'a>,
}

/// The members of `params._meta` that some step looks at: strings, and the JSON text of everything else.
#[derive(Debug, Default)]
pub struct Meta<'a> {
    pub protocol_version: Field<'a>,
    pub client_capabilities: Option<&'a str>,
    pub client_info: Option<&'a str>,
    pub log_level: Field<'a>,
    pub progress_token: Option<&'a str>,
    /// Of W3C Trace Context.
    pub trace_parent: Field<'a>,
    /// Of W3C Trace Context.
    pub trace_state: Field<'a>,
    /// It is there, and no object.
    is_wrong: bool,
}

/// A message that was refused, with its id where it has a good one.
#[derive(Debug)]
pub struct Refused<'a> {
    pub id: Option<&'a str>,
    pub fault: Fault,
}

impl<'a> Envelope<'a> {
    /// Reads one message.
    ///
    /// # Errors
    /// Where it is not JSON, not a message, a batch, or something that readers may differ on.
    pub fn parse(text: &'a str) -> Result<Self, Refused<'a>> {
        let refused = |id, code, message: &'static str| Refused { id, fault: Fault::new(code, message) };
        let message = Message::read(text).map_err(|fault| Refused { id: None, fault })?;
        let id = match message.id {
            None => None,
            Some(id) if is_id(id) => Some(id),
            Some(_) => return Err(refused(None, Code::InvalidRequest, "id must be a string or an integer")),
        };
        if message.jsonrpc.text() != Some("2.0") {
            return Err(refused(id, Code::InvalidRequest, "jsonrpc must be \"2.0\""));
        }
        let kind = match (message.method, id) {
            (Field::Text(method), Some(id)) => Kind::Request { id, method },
            (Field::Text(method), None) => Kind::Notification { method },
            (Field::Absent, Some(_)) if message.answers => Kind::Response,
            _ => return Err(refused(id, Code::InvalidRequest, "method must be a string")),
        };
        if message.params_are_wrong {
            return Err(refused(id, Code::MalformedMeta, "params must be an object"));
        }
        if message.params.meta.is_wrong {
            return Err(refused(id, Code::MalformedMeta, "params._meta must be an object"));
        }
        Ok(Self { kind, params: message.params })
    }
}

/// A string, or a number without fraction and exponent.
fn is_id(json: &str) -> bool {
    let digits = json.strip_prefix('-').unwrap_or(json);
    json.starts_with('"') || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[derive(Default)]
struct Message<'a> {
    jsonrpc: Field<'a>,
    id: Option<&'a str>,
    method: Field<'a>,
    params: Params<'a>,
    params_are_wrong: bool,
    /// Has `result` or `error`.
    answers: bool,
}

impl<'a> Message<'a> {
    fn read(text: &'a str) -> Result<Self, Fault> {
        let mut reader = Reader::new(text);
        let mut message = Self::default();
        let read = match reader.peek() {
            Ok(b'{') => reader.object(|key, reader| message.member(&key.decoded()?, reader)),
            Ok(b'[') => {
                let message = "only revision 2025-03-26 has batches; send each message by itself";
                return Err(Fault::new(Code::InvalidRequest, message));
            }
            _ => reader.value().map(drop),
        };
        let is_object = text.as_bytes().trim_ascii_start().first() == Some(&b'{');
        match read {
            Ok(()) if !reader.is_at_end() => Err(fault(Stop::Syntax, text)),
            Ok(()) if !is_object => Err(Fault::new(Code::InvalidRequest, "a message must be a JSON object")),
            Ok(()) => Ok(message),
            Err(stop) => Err(fault(stop, text)),
        }
    }

    fn member(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), Stop> {
        match key {
            "jsonrpc" => self.jsonrpc = Field::read(reader)?,
            "id" => self.id = Some(reader.value()?),
            "method" => self.method = Field::read(reader)?,
            "params" => {
                let params = &mut self.params;
                self.params_are_wrong = !section(reader, |key, reader| params.member(key, reader))?;
            }
            _ => {
                self.answers |= matches!(key, "result" | "error");
                reader.value()?;
            }
        }
        Ok(())
    }
}

fn fault(stop: Stop, text: &str) -> Fault {
    Fault::from(stop.explain(text))
}

/// Reads what should be an object, or null for none; false where it is something else.
fn section<'a>(
    reader: &mut Reader<'a>,
    mut member: impl FnMut(&str, &mut Reader<'a>) -> Result<(), Stop>,
) -> Result<bool, Stop> {
    match reader.peek()? {
        b'{' => reader.object(|key, reader| member(&key.decoded()?, reader)).map(|()| true),
        _ => reader.value().map(|text| text == "null"),
    }
}

impl<'a> Field<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Stop> {
        match reader.peek()? {
            b'"' => reader.string()?.decoded().map(Self::Text),
            _ => reader.value().map(|text| if text == "null" { Self::Absent } else { Self::Wrong }),
        }
    }
}

impl<'a> Params<'a> {
    fn member(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), Stop> {
        match key {
            "name" => self.name = Field::read(reader)?,
            "uri" => self.uri = Field::read(reader)?,
            "cursor" => self.cursor = Field::read(reader)?,
            "protocolVersion" => self.protocol_version = Field::read(reader)?,
            "requestId" => self.request_id = Some(reader.value()?),
            "arguments" => self.arguments = Some(reader.value()?),
            "ref" => self.reference = Some(reader.value()?),
            "argument" => self.argument = Some(reader.value()?),
            "context" => self.context = Some(reader.value()?),
            "inputResponses" => self.input_responses = Some(reader.value()?),
            "requestState" => self.request_state = Field::read(reader)?,
            "_meta" => {
                let meta = &mut self.meta;
                self.meta.is_wrong = !section(reader, |key, reader| meta.member(key, reader))?;
            }
            _ => drop(reader.value()?),
        }
        Ok(())
    }
}

impl<'a> Meta<'a> {
    fn member(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), Stop> {
        match key {
            "progressToken" => self.progress_token = Some(reader.value()?),
            "traceparent" => self.trace_parent = Field::read(reader)?,
            "tracestate" => self.trace_state = Field::read(reader)?,
            _ => match key.strip_prefix("io.modelcontextprotocol/") {
                Some("protocolVersion") => self.protocol_version = Field::read(reader)?,
                Some("clientCapabilities") => self.client_capabilities = Some(reader.value()?),
                Some("clientInfo") => self.client_info = Some(reader.value()?),
                Some("logLevel") => self.log_level = Field::read(reader)?,
                _ => drop(reader.value()?),
            },
        }
        Ok(())
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
        assert_eq!(envelope.params.arguments.unwrap(), r#"{"n":12345678901234567890123}"#);
        assert_eq!(envelope.params.meta.protocol_version.text(), Some("2026-07-28"));
        assert_eq!(envelope.params.meta.progress_token.unwrap(), "7");
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
