//! JSON that stays text: checked once, then passed through untouched.
//!
//! What a client sends reaches a backend byte for byte, so unknown fields and numbers of any size survive. What it must
//! not hold is told in [`crate::protocol::reader`]; and raw line breaks between tokens become spaces, since in a protocol
//! framed by lines they would begin a second message.

use std::fmt;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use memchr::memchr2;
use serde::Serialize;

use crate::protocol::reader::{Reader, Stop};

/// The deepest nesting of arrays and objects that is accepted; what `serde_json` itself parses at most.
pub const MAX_DEPTH: usize = 128;

/// One valid JSON value, owned and cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Raw(ByteString);

/// Why a text was refused.
#[derive(Debug, thiserror::Error)]
pub enum RawError {
    /// Not JSON, or not UTF-8.
    #[error("invalid JSON: {0}")]
    Syntax(String),
    /// Arrays and objects nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// An object that has a key twice.
    #[error("an object has the key {0:?} twice")]
    DuplicateKey(String),
}

impl Raw {
    /// Takes one JSON value from a stranger.
    ///
    /// # Errors
    /// Where it is not JSON, is nested too deep or has a key twice in one object.
    pub fn check(bytes: Bytes) -> Result<Self, RawError> {
        let text = one_line(bytes)?;
        let mut reader = Reader::new(&text);
        match reader.value() {
            Ok(_) if reader.is_at_end() => Ok(Self(text)),
            Ok(_) => Err(Stop::Syntax.explain(&text)),
            Err(stop) => Err(stop.explain(&text)),
        }
    }

    /// Writes a value of our own.
    #[must_use]
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(
            serde_json::to_string(value)
                .expect("values of ours are JSON: their maps have string keys")
                .into(),
        )
    }

    /// A value that was written piece by piece.
    pub(crate) fn written(json: Vec<u8>) -> Self {
        Self(ByteString::try_from(json).expect("JSON is UTF-8"))
    }

    /// A text of our own that is one JSON value.
    pub(crate) fn ours(json: &'static str) -> Self {
        Self(ByteString::from_static(json))
    }

    /// The part `part` of a text that was read already.
    pub(crate) fn part(whole: &ByteString, part: &str) -> Self {
        Self(whole.slice_ref(part))
    }

    /// The same value in memory of its own: to be kept for longer than what it was part of.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self(self.as_str().into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        self.0.as_bytes()
    }

    /// The value as text of which parts can be kept.
    pub(crate) fn text(&self) -> &ByteString {
        &self.0
    }
}

impl fmt::Debug for Raw {
    /// Arguments and results belong to users: they do not show in logs by accident.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.0.len())
    }
}

/// The text in these bytes, with a space in place of every line break outside strings. It need not be JSON: whoever reads
/// it next says what is wrong with it.
///
/// # Errors
/// Where it is not UTF-8.
pub(crate) fn one_line(bytes: Bytes) -> Result<ByteString, RawError> {
    // Most clients send none.
    let bytes = match memchr2(b'\n', b'\r', &bytes) {
        None => bytes,
        Some(_) => without_breaks(&bytes),
    };
    // Checked here, once; whoever reads a part of it is spared that.
    ByteString::try_from(bytes).map_err(|_| RawError::Syntax("not UTF-8".to_owned()))
}

/// A copy with every raw line break outside strings replaced. Its length stays, so positions stay true.
fn without_breaks(bytes: &[u8]) -> Bytes {
    let mut copy = BytesMut::from(bytes);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at + 1),
            b'\n' | b'\r' => copy[at] = b' ',
            _ => {}
        }
        at += 1;
    }
    copy.freeze()
}

/// Index of the quote that ends the string whose content begins at `at`, or the end of the text.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match memchr2(b'"', b'\\', &bytes[at.min(bytes.len())..]) {
            None => return bytes.len(),
            Some(found) if bytes[at + found] == b'"' => return at + found,
            Some(found) => at += found + 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, RawError> {
        Raw::check(Bytes::copy_from_slice(text.as_bytes())).map(|raw| raw.as_str().to_owned())
    }

    #[test]
    fn passes_json_through_untouched() {
        for text in [
            "null",
            "12345678901234567890123",
            r#"{"a":{"a":[{"a":1},{"a":1}]},"b":"{\"b\":1,\"b\":2}"}"#,
            r#"[{"k":"\\"},{"k":"\\\""},"tab\there"]"#,
            "{}",
            r#"{"x":["a","a",{"x":"x"}],"y":"x"}"#,
        ] {
            assert_eq!(check(text).unwrap(), text);
        }
    }

    #[test]
    fn replaces_line_breaks_between_tokens_only() {
        assert_eq!(check("[1,\n{\"a\":\r\n\"x\\n\"}\n,2]").unwrap(), r#"[1, {"a":  "x\n"} ,2]"#);
        assert!(matches!(check("[\"a\nb\"]"), Err(RawError::Syntax(_))), "a raw line break in a string");
    }

    #[test]
    fn refuses_the_same_key_twice() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"x":{"b":1,"a":{"a":1},"b":2}}]"#,
            r#"{"":1,"":2}"#,
            r#"{"a" : 1 , "a" : 2}"#,
        ] {
            assert!(matches!(check(text), Err(RawError::DuplicateKey(_))), "{text}");
        }
        let many: Vec<_> = (0..1000).map(|n| format!("\"k{n}\":0")).collect();
        assert!(check(&format!("{{{}}}", many.join(","))).is_ok());
        assert!(check(&format!("{{{},\"k7\":1}}", many.join(","))).is_err());
    }

    #[test]
    fn refuses_what_is_nested_too_deep() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(check(&nested(MAX_DEPTH + 1)), Err(RawError::TooDeep)));
        assert!(matches!(check(&"{\"a\":".repeat(1_000_000)), Err(RawError::TooDeep)));
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in ["", "{", "]", "\"", "\"\\", "{\"a\"}", "[1,]", "{}{}", "'a'", "nul"] {
            assert!(matches!(check(text), Err(RawError::Syntax(_))), "{text}");
        }
        assert!(matches!(Raw::check(Bytes::from_static(b"\"\xff\"")), Err(RawError::Syntax(_))));
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_never_changes_the_length(text in r#"[\[\]{}:,"\\a1 \n]{0,64}"#) {
            let line = one_line(Bytes::copy_from_slice(text.as_bytes())).unwrap();
            proptest::prop_assert_eq!(line.as_bytes().len(), text.len());
            proptest::prop_assert_eq!(without_breaks(line.as_bytes()), line.as_bytes());
        }

        #[test]
        fn agrees_with_the_parser(text in r#"[\[\]{}:,"\\a1 \n]{0,24}"#) {
            let valid = serde_json::from_str::<serde_json::Value>(&text).ok();
            if let Ok(raw) = check(&text) {
                proptest::prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&raw).ok(), valid);
            }
        }
    }
}
