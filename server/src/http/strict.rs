//! Heads of HTTP/1 that two readers may read in two ways: request smuggling lives on what a proxy in front and the
//! server behind take for the end of a request. The parser is lenient where RFC 9112 allows it, and drops a
//! Content-Length beside a Transfer-Encoding before anybody could see it; so the bytes are looked at on their way to it.

use memchr::memchr;

/// The longest name that matters, and a colon.
const PREFIX: usize = 18;

/// Looks at a head line by line, in whatever pieces it arrives.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// How the current line begins.
    prefix: [u8; PREFIX],
    /// Bytes of the current line.
    length: usize,
    last: u8,
    /// Whether a line came that is not empty: empty ones before the head do not count.
    begun: bool,
    done: bool,
    /// Headers that say where the body ends.
    framing: u8,
}

impl Head {
    /// Looks at the next bytes; false where the head is one of that kind. What follows the head is not looked at.
    #[must_use]
    pub(super) fn is_clear(&mut self, mut bytes: &[u8]) -> bool {
        while !self.done {
            let Some(end) = memchr(b'\n', bytes) else {
                self.take(bytes);
                return true;
            };
            self.take(&bytes[..end]);
            bytes = &bytes[end + 1..];
            // A line feed alone ends a line for some, and is a part of it for others.
            if self.last != b'\r' {
                return false;
            }
            if self.length > 1 {
                self.begun = true;
                self.framing += u8::from(self.frames());
                if self.framing > 1 {
                    return false;
                }
            } else {
                self.done = self.begun;
            }
            (self.length, self.last) = (0, 0);
        }
        true
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(&last) = bytes.last() else { return };
        let missing = PREFIX.saturating_sub(self.length).min(bytes.len());
        if missing > 0 {
            self.prefix[self.length..self.length + missing].copy_from_slice(&bytes[..missing]);
        }
        self.length += bytes.len();
        self.last = last;
    }

    /// Whether the current line is a header that says where the body ends.
    fn frames(&self) -> bool {
        let line = &self.prefix[..self.length.min(PREFIX)];
        matches!(line.first(), Some(b'c' | b'C' | b't' | b'T'))
            && ["content-length:", "transfer-encoding:"].iter().any(|name| {
                line.get(..name.len()).is_some_and(|line| line.eq_ignore_ascii_case(name.as_bytes()))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAR: [&str; 4] = [
        "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}\n\n",
        "\r\n\r\nGET / HTTP/1.1\r\n\r\n\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nContent-Type: a\r\nX-Content-Length: 1\r\n\r\n2\n",
        "PRI * HTTP/2.0\r\n\r\nSM\n\r\n",
    ];
    const AMBIGUOUS: [&str; 7] = [
        "POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\ncontent-length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        "POST / HTTP/1.1\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\n\n",
    ];

    #[test]
    fn tells_them_apart_however_they_are_cut() {
        for (texts, expected) in [(&CLEAR[..], true), (&AMBIGUOUS[..], false)] {
            for text in texts {
                for size in 1..=text.len() {
                    let mut head = Head::default();
                    let clear = text.as_bytes().chunks(size).all(|piece| head.is_clear(piece));
                    assert_eq!(clear, expected, "{text:?} in pieces of {size}");
                }
            }
        }
    }
}
