//! Reads the outline of a CEL source before any parser does.
//!
//! The parser, the evaluator and even dropping a parsed expression recurse; a deep expression would overflow the stack,
//! and that aborts the process. So depth is bounded here, by a loop. The scan reads strings and comments exactly as
//! the CEL lexer does and refuses what it cannot read with certainty (a string that does not end, an unknown escape),
//! for what it took for a string and the lexer did not could hide any depth.

/// The longest source, in bytes.
pub const MAX_SOURCE: usize = 1024;
/// How deep brackets, conditionals and unary operators may be nested in all.
pub const MAX_NESTING: usize = 32;
/// The most operators, selections, indexes and calls in one expression: a chain of them is a deep tree as well.
pub const MAX_OPERATORS: usize = 256;

/// Why a source is not handed to the parser.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Byte offset in the source.
    pub(super) at: usize,
    pub(super) message: String,
}

fn refuse<T>(at: usize, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { at, message: message.into() })
}

/// Checks length, strings, nesting and the number of operators.
pub(super) fn scan(source: &str) -> Result<(), Refusal> {
    if source.trim().is_empty() {
        return refuse(0, "is empty; write a CEL expression, as in \"Hello, \" + args.name");
    }
    if source.len() > MAX_SOURCE {
        return refuse(
            MAX_SOURCE,
            format!(
                "has {} bytes, and at most {MAX_SOURCE} are allowed; shorten the expression",
                source.len()
            ),
        );
    }
    Scan { bytes: source.as_bytes(), levels: vec![Level::default()], unary: 0, operators: 0 }.run()
}

/// What one pair of brackets contributes to the nesting.
#[derive(Default)]
struct Level {
    conditionals: usize,
}

struct Scan<'a> {
    bytes: &'a [u8],
    levels: Vec<Level>,
    /// Length of the run of `!` and `-` read last.
    unary: usize,
    operators: usize,
}

impl Scan<'_> {
    fn run(mut self) -> Result<(), Refusal> {
        let mut at = 0;
        while let Some(&byte) = self.bytes.get(at) {
            let start = at;
            at += 1;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0c => continue,
                b'/' if self.bytes.get(at) == Some(&b'/') => {
                    at = self.bytes[at..]
                        .iter()
                        .position(|&b| b == b'\n')
                        .map_or(self.bytes.len(), |n| at + n);
                    continue;
                }
                b'!' if self.bytes.get(at) != Some(&b'=') => self.unary += 1,
                b'-' => {
                    self.unary += 1;
                    self.operators += 1;
                }
                b'"' | b'\'' => {
                    at = self.string(start)?;
                    self.unary = 0;
                }
                b'`' => {
                    return refuse(
                        start,
                        "has a backtick; write args[\"a-name\"] for a name with other signs",
                    );
                }
                b'(' | b'[' | b'{' => {
                    self.unary = 0;
                    self.operators += 1;
                    self.levels.push(Level::default());
                }
                b')' | b']' | b'}' => {
                    self.unary = 0;
                    // One bracket too many is for the parser to report.
                    if self.levels.len() > 1 {
                        self.levels.pop();
                    }
                }
                b',' => {
                    self.unary = 0;
                    self.level().conditionals = 0;
                }
                b'?' => {
                    self.unary = 0;
                    self.level().conditionals += 1;
                }
                b'+' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' | b'&' | b'|' | b'.' => {
                    self.unary = 0;
                    self.operators += 1;
                    if matches!(byte, b'<' | b'>' | b'=' | b'!' | b'&' | b'|') {
                        at += usize::from(matches!(self.bytes.get(at), Some(b'=' | b'&' | b'|')));
                    }
                }
                b'i' if self.is_word_in(start) => {
                    self.unary = 0;
                    self.operators += 1;
                }
                _ => self.unary = 0,
            }
            self.check(start)?;
        }
        Ok(())
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the outermost level is never popped")
    }

    fn check(&self, at: usize) -> Result<(), Refusal> {
        let conditionals: usize = self.levels.iter().map(|level| level.conditionals).sum();
        if self.levels.len() - 1 + conditionals + self.unary > MAX_NESTING {
            return refuse(
                at,
                format!("is nested deeper than {MAX_NESTING} levels; split it, or say it more simply"),
            );
        }
        if self.operators > MAX_OPERATORS {
            return refuse(
                at,
                format!("has more than {MAX_OPERATORS} operators and calls; say it more simply"),
            );
        }
        Ok(())
    }

    /// Whether the word `in` stands at `at`.
    fn is_word_in(&self, at: usize) -> bool {
        let part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        self.bytes[at..].starts_with(b"in")
            && !self.bytes.get(at + 2).is_some_and(part)
            && !at.checked_sub(1).and_then(|before| self.bytes.get(before)).is_some_and(part)
    }

    /// Reads the string whose quote stands at `start`; returns the offset behind it.
    fn string(&self, start: usize) -> Result<usize, Refusal> {
        let raw = self.is_raw(start)?;
        let quote = self.bytes[start];
        let triple = self.bytes[start..].starts_with(&[quote; 3]);
        let mut at = start + if triple { 3 } else { 1 };
        while let Some(&byte) = self.bytes.get(at) {
            match byte {
                b'\\' if !raw => at += self.escape(at)?,
                b'\n' | b'\r' if !triple => break,
                _ if byte == quote && !triple => return Ok(at + 1),
                _ if byte == quote && self.bytes[at..].starts_with(&[quote; 3]) => return Ok(at + 3),
                _ => at += 1,
            }
        }
        refuse(start, "has a string that does not end; close it with the quote that opened it")
    }

    /// Whether the letters before the quote at `start` make it a raw string.
    fn is_raw(&self, start: usize) -> Result<bool, Refusal> {
        let part = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
        let letters = self.bytes[..start].iter().rev().take_while(part).count();
        match &self.bytes[start - letters..start] {
            b"" | b"b" | b"B" => Ok(false),
            b"r" | b"R" | b"br" | b"bR" | b"Br" | b"BR" => Ok(true),
            _ => refuse(start, "has a string right behind a name or number; put an operator between them"),
        }
    }

    /// Length of the escape sequence whose backslash stands at `at`.
    fn escape(&self, at: usize) -> Result<usize, Refusal> {
        let digits = |from: usize, count: usize, legal: fn(&u8) -> bool| {
            self.bytes.get(from..from + count).is_some_and(|digits| digits.iter().all(legal))
        };
        let hex = |count| digits(at + 2, count, u8::is_ascii_hexdigit).then_some(2 + count);
        let length = match self.bytes.get(at + 1) {
            Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`') => {
                Some(2)
            }
            Some(b'x' | b'X') => hex(2),
            Some(b'u') => hex(4),
            Some(b'U') => hex(8),
            Some(b'0'..=b'3') => digits(at + 2, 2, |b| (b'0'..=b'7').contains(b)).then_some(4),
            _ => None,
        };
        match length {
            Some(length) => Ok(length),
            None => refuse(
                at,
                "has an unknown escape in a string; write \\\\ for a backslash, or a raw string r\"…\"",
            ),
        }
    }
}
