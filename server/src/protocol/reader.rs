//! Reads JSON once: checks that it is JSON, and hands out its parts as the text that they are.
//!
//! Text that is passed on unparsed is only safe if everybody reads the same thing in it. Hence what readers differ on is
//! refused here: nesting deeper than [`MAX_DEPTH`], and an object with the same key twice. A policy must not judge
//! another value than the backend acts upon.
//!
//! What is accepted is what `serde_json` accepts (RFC 8259), which a property test holds it to; what is wrong with a text
//! that is not accepted, `serde_json` is asked.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::protocol::raw::{MAX_DEPTH, RawError};

/// A place in a text of JSON.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Keys of the objects that are open, the outermost first.
    keys: Vec<Span<'a>>,
}

/// The content of a string, as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    text: &'a str,
    is_escaped: bool,
}

/// Why reading ended.
#[derive(Debug)]
pub(crate) enum Stop {
    Syntax,
    TooDeep,
    DuplicateKey(String),
}

/// Keys of one object up to which comparing each with each is cheaper than sorting.
const FEW_KEYS: usize = 12;

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, keys: Vec::with_capacity(32) }
    }

    /// The first byte of what comes next.
    pub(crate) fn peek(&mut self) -> Result<u8, Stop> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Stop::Syntax),
            }
        }
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_err()
    }

    /// The text of the next value.
    pub(crate) fn value(&mut self) -> Result<&'a str, Stop> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => drop(self.string()?),
            b'{' => self.object(|_, reader| reader.value().map(drop))?,
            b'[' => self.array(|_| ())?,
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => return Err(Stop::Syntax),
        }
        Ok(&self.text[start..self.at])
    }

    /// Reads the object that comes next. For each member, `member` has to read the value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(Span<'a>, &mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.open(b'{')?;
        let from = self.keys.len();
        if self.peek()? != b'}' {
            loop {
                if self.peek()? != b'"' {
                    return Err(Stop::Syntax);
                }
                let key = self.string()?;
                self.keys.push(key);
                self.byte(b':')?;
                member(key, self)?;
                if self.peek()? != b',' {
                    break;
                }
                self.at += 1;
            }
        }
        self.close(b'}')?;
        refuse_duplicates(&mut self.keys[from..])?;
        self.keys.truncate(from);
        Ok(())
    }

    /// Reads the array that comes next, and hands out the text of each element.
    pub(crate) fn array(&mut self, mut element: impl FnMut(&'a str)) -> Result<(), Stop> {
        self.open(b'[')?;
        if self.peek()? != b']' {
            loop {
                element(self.value()?);
                if self.peek()? != b',' {
                    break;
                }
                self.at += 1;
            }
        }
        self.close(b']')
    }

    fn open(&mut self, bracket: u8) -> Result<(), Stop> {
        self.byte(bracket)?;
        if self.depth == MAX_DEPTH {
            return Err(Stop::TooDeep);
        }
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> Result<(), Stop> {
        self.depth -= 1;
        self.byte(bracket)
    }

    fn byte(&mut self, expected: u8) -> Result<(), Stop> {
        if self.peek()? == expected {
            self.at += 1;
            Ok(())
        } else {
            Err(Stop::Syntax)
        }
    }

    /// Reads the string whose quote comes next.
    pub(crate) fn string(&mut self) -> Result<Span<'a>, Stop> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut at = start;
        let mut is_escaped = false;
        loop {
            at += plain(&bytes[at.min(bytes.len())..]);
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    at += escape(&bytes[at + 1..]).ok_or(Stop::Syntax)?;
                }
                // A control character, or the end.
                _ => return Err(Stop::Syntax),
            }
        }
        self.at = at + 1;
        Ok(Span { text: &self.text[start..at], is_escaped })
    }

    fn number(&mut self) -> Result<(), Stop> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let some = |from: usize| Some(digits(from)).filter(|count| *count > 0).ok_or(Stop::Syntax);
        if bytes[at] == b'-' {
            at += 1;
        }
        at += if bytes.get(at) == Some(&b'0') { 1 } else { some(at)? };
        if bytes.get(at) == Some(&b'.') {
            at += 1 + some(at + 1)?;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            at += 1;
            if let Some(b'+' | b'-') = bytes.get(at) {
                at += 1;
            }
            at += some(at)?;
        }
        self.at = at;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Stop> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(Stop::Syntax)
        }
    }
}

impl<'a> Span<'a> {
    /// The text that the string stands for.
    pub(crate) fn decoded(self) -> Result<Cow<'a, str>, Stop> {
        if !self.is_escaped {
            return Ok(Cow::Borrowed(self.text));
        }
        // Half of a surrogate pair is an escape, and no text.
        serde_json::from_str(&format!("\"{}\"", self.text)).map(Cow::Owned).map_err(|_| Stop::Syntax)
    }

    /// The same where it is only compared: what cannot be read stands for itself.
    pub(crate) fn compared(self) -> Cow<'a, str> {
        self.decoded().unwrap_or(Cow::Borrowed(self.text))
    }
}

impl Stop {
    /// What is wrong with the text, for whoever sent it.
    pub(crate) fn explain(self, text: &str) -> RawError {
        match self {
            Self::TooDeep => RawError::TooDeep,
            Self::DuplicateKey(key) => RawError::DuplicateKey(key),
            Self::Syntax => RawError::Syntax(match serde_json::from_str::<IgnoredAny>(text) {
                Err(error) => error.to_string(),
                Ok(_) => "a string holds half of a surrogate pair".to_owned(),
            }),
        }
    }
}

/// How many bytes come before the first quote, backslash or control character: eight at a time, since most strings are
/// too short for what a search over vectors costs to begin.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES * 0x80;
    // For each byte of a word below `limit`, its high bit; right for the lowest such byte, which is all that is asked.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let mut count = 0;
    while let Some(chunk) = bytes[count..].first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = (below(word, 0x20) | quote | backslash) & HIGH;
        if found != 0 {
            return count + found.trailing_zeros() as usize / 8;
        }
        count += 8;
    }
    let rest = &bytes[count..];
    count + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// The length of the escape behind whose backslash `bytes` begin, with the backslash.
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(1..5)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

fn refuse_duplicates(keys: &mut [Span<'_>]) -> Result<(), Stop> {
    let twice = |key: &str| Stop::DuplicateKey(key.to_owned());
    if keys.iter().any(|key| key.is_escaped) {
        // Rare: "a" and "\u0061" are the same key.
        let mut decoded: Vec<_> = keys.iter().map(|key| key.compared()).collect();
        decoded.sort_unstable();
        let same = decoded.windows(2).find(|pair| pair[0] == pair[1]);
        return same.map_or(Ok(()), |pair| Err(twice(&pair[0])));
    }
    if keys.len() <= FEW_KEYS {
        let is_before =
            |index: usize, key: &Span<'_>| keys[..index].iter().any(|other| other.text == key.text);
        let same = keys.iter().enumerate().find(|(index, key)| is_before(*index, key));
        return same.map_or(Ok(()), |(_, key)| Err(twice(key.text)));
    }
    keys.sort_unstable_by_key(|key| key.text);
    let same = keys.windows(2).find(|pair| pair[0].text == pair[1].text);
    same.map_or(Ok(()), |pair| Err(twice(pair[0].text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<&str, Stop> {
        let mut reader = Reader::new(text);
        let value = reader.value()?;
        if reader.is_at_end() { Ok(value) } else { Err(Stop::Syntax) }
    }

    #[test]
    fn hands_out_values_as_they_were_written() {
        for text in ["1.50e+3", "-0", "\"a\\u00e9\\\"\"", "{ \"a\" : [ 1 , {} ] }", "[]", "true", "null"] {
            assert_eq!(read(&format!(" \n{text}\t")).unwrap(), text);
        }
    }

    #[test]
    fn finds_what_ends_plain_text_wherever_it_stands() {
        for end in [b'"', b'\\', 0, b'\n', 0x1f] {
            for before in 0..40 {
                let mut text = "é~ \u{7f}x".bytes().cycle().take(before).collect::<Vec<_>>();
                assert_eq!(plain(&text), before);
                text.push(end);
                text.extend(b"\"\\\0aaaaaaaaaaaa");
                assert_eq!(plain(&text), before, "{end}");
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

        #[test]
        fn accepts_what_serde_json_accepts(text in r#"[\[\]{}:,"\\a01 \n.eE+\-u-]{0,24}|(\[|\{"a":|"|-?[0-9.eE+-]{1,6}|\\[u"/bx][0-9a-fA-F]{0,4}|true|fals|null|,|:|\]|\}| |\t|\x01|é){1,12}"#) {
            let expected = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            match read(&text) {
                Err(Stop::DuplicateKey(_)) => {}
                read => proptest::prop_assert_eq!(read.is_ok(), expected, "{}", text),
            }
        }

        #[test]
        fn reads_every_value(value in proptest::arbitrary::any::<Vec<(String, f64, i64, bool)>>()) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            proptest::prop_assert_eq!(read(&text).unwrap(), &text);
        }
    }
}
