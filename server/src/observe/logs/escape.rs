//! Text that cannot be mistaken for something else: not for the end of its line, nor for an order to a terminal.

use std::fmt::Write as _;

/// Writes a JSON string.
pub(crate) fn json(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) =
        rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\' || byte == 0x7f)
    {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            // Writing to a string cannot fail.
            byte => drop(write!(out, "\\u{byte:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Writes a text on one line, with escapes for what is no character to look at.
pub(crate) fn plain(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

/// Writes a value behind an equals sign: in quotes where it would not be one word.
pub(crate) fn word(text: &str, out: &mut String) {
    if !text.is_empty() && !text.contains([' ', '"', '=', '\t', '\n', '\r']) {
        return plain(text, out);
    }
    out.push('"');
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            out.push_str("\\\"");
        }
        plain(part, out);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(write: fn(&str, &mut String), text: &str) -> String {
        let mut out = String::new();
        write(text, &mut out);
        out
    }

    proptest::proptest! {
        #[test]
        fn json_reads_back(text in "\\PC*|[\\x00-\\x7f]*") {
            let written = with(json, &text);
            proptest::prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
            proptest::prop_assert!(!written.chars().any(char::is_control));
        }
    }

    #[test]
    fn words_and_texts() {
        for (text, shown) in [
            ("a", "a"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=\"b\"", "\"a=\\\"b\\\"\""),
            ("ä\u{7}", "ä\\x07"),
        ] {
            assert_eq!(with(word, text), shown);
        }
        assert_eq!(with(plain, "a\tb\u{9b}c d"), "a\\tb\\x9bc d");
    }
}
