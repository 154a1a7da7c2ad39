//! Writing what clients read. A result of a backend is copied at most once, and a large one not at all.

use bytes::{BufMut, Bytes, BytesMut};

use crate::protocol::errors::Fault;
use crate::protocol::raw::Raw;

/// Up to this many bytes, one copy costs less than another write.
const COPY_UP_TO: usize = 16 * 1024;

/// One message, in at most three pieces that are sent one after the other.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pieces: [Bytes; 3],
}

impl Message {
    /// A message in one piece.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self { pieces: [bytes, Bytes::new(), Bytes::new()] }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn pieces(&self) -> &[Bytes; 3] {
        &self.pieces
    }

    #[must_use]
    pub fn into_pieces(self) -> [Bytes; 3] {
        self.pieces
    }

    /// The message in one piece.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

/// An answer whose result is complete as it is.
#[must_use]
pub fn result(id: &str, result: &Bytes) -> Message {
    compose(id, &[], result)
}

/// An answer to a modern request: `stamp` is put in front of the members of `result`, which is an object.
#[must_use]
pub fn stamped(id: &str, stamp: &Bytes, result: &Bytes) -> Message {
    stamped_with(id, stamp, "", result)
}

/// The same, with more members between the stamp and those of the result: each with a comma in front.
#[must_use]
pub fn stamped_with(id: &str, stamp: &Bytes, more: &str, result: &Bytes) -> Message {
    let brace = result.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
    let members = result.slice(brace..);
    let none = members.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'}');
    compose(id, &[b"{", stamp, more.as_bytes(), if none { b"" } else { b"," }], &members)
}

fn compose(id: &str, before: &[&[u8]], result: &Bytes) -> Message {
    const OPEN: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
    const RESULT: &[u8] = br#","result":"#;
    let before_len: usize = before.iter().map(|piece| piece.len()).sum();
    let copied = if result.len() <= COPY_UP_TO { result.len() + 1 } else { 0 };
    let mut head = BytesMut::with_capacity(OPEN.len() + id.len() + RESULT.len() + before_len + copied);
    head.put_slice(OPEN);
    head.put_slice(id.as_bytes());
    head.put_slice(RESULT);
    before.iter().for_each(|piece| head.put_slice(piece));
    if copied > 0 {
        head.put_slice(result);
        head.put_u8(b'}');
        return Message::whole(head.freeze());
    }
    Message { pieces: [head.freeze(), result.clone(), Bytes::from_static(b"}")] }
}

/// A refusal. Where the message was not read, or had no id that could be read, the id is null (JSON-RPC 2.0, section 5).
#[must_use]
pub fn error(id: Option<&str>, fault: &Fault) -> Message {
    let message = Raw::of(&*fault.message);
    let mut text = String::with_capacity(96 + message.bytes().len());
    text.push_str(r#"{"jsonrpc":"2.0","id":"#);
    text.push_str(id.unwrap_or("null"));
    text.push_str(r#","error":{"code":"#);
    text.push_str(&fault.code.number().to_string());
    text.push_str(r#","message":"#);
    text.push_str(message.as_str());
    if let Some(data) = &fault.data {
        text.push_str(r#","data":"#);
        text.push_str(data.as_str());
    }
    text.push_str("}}");
    Message::whole(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::errors::Code;

    fn text(message: &Message) -> String {
        String::from_utf8(message.to_vec()).unwrap()
    }

    #[test]
    fn stamps_go_in_front_of_the_members() {
        let stamp = Bytes::from_static(br#""resultType":"complete""#);
        for (result, expected) in [
            (r#"{"a":1}"#, r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","a":1}}"#),
            ("{}", r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete"}}"#),
            ("{ }", r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete" }}"#),
        ] {
            assert_eq!(text(&stamped("7", &stamp, &Bytes::from(result))), expected);
        }
    }

    #[test]
    fn members_may_stand_behind_the_stamp() {
        let stamp = Bytes::from_static(br#""a":1"#);
        for (result, expected) in [(r#"{"c":3}"#, r#"{"a":1,"b":2,"c":3}"#), ("{}", r#"{"a":1,"b":2}"#)] {
            let message = stamped_with("1", &stamp, r#","b":2"#, &Bytes::from(result));
            assert_eq!(text(&message), format!(r#"{{"jsonrpc":"2.0","id":1,"result":{expected}}}"#));
        }
    }

    #[test]
    fn a_large_result_is_not_copied() {
        let large = Bytes::from(format!("{{\"a\":\"{}\"}}", "x".repeat(COPY_UP_TO)));
        let message = result("\"i\"", &large);
        assert_eq!(
            text(&message),
            format!("{{\"jsonrpc\":\"2.0\",\"id\":\"i\",\"result\":{}}}", text_of(&large))
        );
        assert_eq!(message.len(), message.to_vec().len());
        assert!(std::ptr::eq(message.into_pieces()[1].as_ptr(), large.as_ptr()));
    }

    fn text_of(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn errors_are_json_whatever_the_message() {
        let fault = Fault { data: Some(Raw::of(&[1])), ..Fault::new(Code::InvalidParams, "a \"b\"\n") };
        let with_id = text(&error(Some("\"x\""), &fault));
        assert_eq!(
            with_id,
            r#"{"jsonrpc":"2.0","id":"x","error":{"code":-32602,"message":"a \"b\"\n","data":[1]}}"#
        );
        assert!(text(&error(None, &fault)).starts_with(r#"{"jsonrpc":"2.0","id":null,"error":{"#));
    }
}
