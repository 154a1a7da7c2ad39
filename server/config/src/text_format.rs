//! Formats of log lines in the %-style of Python's `logging` (library reference, "LogRecord attributes" and
//! "printf-style String Formatting"), read once and checked before anything is logged.

use std::fmt;

/// A format that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFormat {
    pub pieces: Vec<Piece>,
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Field { attribute: Attribute, spec: Spec },
}

/// How one value is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    pub left: bool,
    pub zeros: bool,
    pub sign: Option<char>,
    pub width: usize,
    /// Characters of a text, or digits behind the point.
    pub precision: Option<usize>,
    pub conversion: Conversion,
}

/// The last letter of a placeholder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conversion {
    #[default]
    Text,
    Whole,
    Fixed,
}

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    Asctime,
    Created,
    Filename,
    FuncName,
    LevelName,
    LevelNo,
    LineNo,
    Message,
    Module,
    Msecs,
    Name,
    PathName,
    Process,
    ProcessName,
    RelativeCreated,
    Thread,
    ThreadName,
}

use Attribute::{
    Asctime, Created, Filename, FuncName, LevelName, LevelNo, LineNo, Message, Module, Msecs, Name, PathName,
    Process, ProcessName, RelativeCreated, Thread, ThreadName,
};

/// Names as Python writes them; true where the value is a number.
const ATTRIBUTES: &[(&str, Attribute, bool)] = &[
    ("asctime", Asctime, false),
    ("created", Created, true),
    ("filename", Filename, false),
    ("funcName", FuncName, false),
    ("levelname", LevelName, false),
    ("levelno", LevelNo, true),
    ("lineno", LineNo, true),
    ("message", Message, false),
    ("module", Module, false),
    ("msecs", Msecs, true),
    ("name", Name, false),
    ("pathname", PathName, false),
    ("process", Process, true),
    ("processName", ProcessName, false),
    ("relativeCreated", RelativeCreated, true),
    ("thread", Thread, true),
    ("threadName", ThreadName, false),
];

/// What is wrong with a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("must have from 1 to {LONGEST} characters")]
    Length,
    #[error("has a placeholder that does not exist; there are {names}", names = names())]
    Unknown,
    #[error("{0:?} is a text; write %({0})s")]
    NotANumber(String),
    #[error("{0:?} does not end with one of s, d and f, as in %(message)s")]
    Conversion(String),
    #[error("{0:?} is wider than {MOST} characters")]
    TooWide(String),
    #[error("a % stands for itself only where it is doubled; write %% or a placeholder as in %(message)s")]
    Bare,
    #[error("must not hold a line break: each event is one line")]
    LineBreak,
}

const LONGEST: usize = 1024;
const MOST: usize = 1000;

impl TextFormat {
    /// Reads a format.
    ///
    /// # Errors
    /// Where it has a placeholder that means nothing, or is no %-style format at all.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        if !(1..=LONGEST).contains(&text.chars().count()) {
            return Err(FormatError::Length);
        }
        if text.contains(['\n', '\r']) {
            return Err(FormatError::LineBreak);
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                plain.push('%');
                rest = after;
                continue;
            }
            let (piece, after) = placeholder(rest)?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }
}

/// Reads what follows a percent sign; what comes after it is left.
fn placeholder(text: &str) -> Result<(Piece, &str), FormatError> {
    let (name, rest) = text
        .strip_prefix('(')
        .and_then(|text| text.split_once(')'))
        .filter(|(name, _)| !name.contains('('))
        .ok_or(FormatError::Bare)?;
    let found = ATTRIBUTES.iter().find(|(known, ..)| *known == name);
    let (_, attribute, is_number) = *found.ok_or(FormatError::Unknown)?;
    let mut spec = Spec::default();
    let flags = rest.len() - rest.trim_start_matches(['-', '0', ' ', '+', '#']).len();
    for flag in rest[..flags].chars() {
        match flag {
            '-' => spec.left = true,
            '0' => spec.zeros = true,
            '+' => spec.sign = Some('+'),
            ' ' => spec.sign = spec.sign.or(Some(' ')),
            _ => {}
        }
    }
    let (width, mut rest) = digits(&rest[flags..], name)?;
    spec.width = width.unwrap_or(0);
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after, name)?;
        spec.precision = Some(precision.unwrap_or(0));
        rest = after;
    }
    let conversion = rest.chars().next();
    spec.conversion = match conversion {
        Some('s' | 'r' | 'a') => Conversion::Text,
        Some('d' | 'i' | 'u') => Conversion::Whole,
        Some('f' | 'F') => Conversion::Fixed,
        _ => return Err(FormatError::Conversion(name.to_owned())),
    };
    if spec.conversion != Conversion::Text && !is_number {
        return Err(FormatError::NotANumber(name.to_owned()));
    }
    Ok((Piece::Field { attribute, spec }, &rest[1..]))
}

fn digits<'a>(text: &'a str, name: &str) -> Result<(Option<usize>, &'a str), FormatError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let number = digits.parse().ok().filter(|number| *number <= MOST);
    number.map(|number| (Some(number), rest)).ok_or_else(|| FormatError::TooWide(name.to_owned()))
}

fn names() -> String {
    ATTRIBUTES.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
}

impl Spec {
    /// Lays out a text.
    pub fn text(&self, text: &str, line: &mut String) {
        let end = self.precision.and_then(|most| text.char_indices().nth(most)).map(|(at, _)| at);
        let text = &text[..end.unwrap_or(text.len())];
        self.pad("", text, ' ', line);
    }

    /// Lays out a number, of which the last digits may stand behind the point.
    #[expect(clippy::cast_possible_truncation, reason = "towards zero, as Python's int()")]
    pub fn number(&self, number: f64, line: &mut String) {
        let digits = match self.conversion {
            Conversion::Whole => {
                format!("{:0width$}", number.abs() as u64, width = self.precision.unwrap_or(0))
            }
            Conversion::Fixed => format!("{:.*}", self.precision.unwrap_or(6), number.abs()),
            Conversion::Text => {
                let shown =
                    if number.fract() == 0.0 { format!("{}", number as i64) } else { number.to_string() };
                return self.text(&shown, line);
            }
        };
        let sign = self.sign.map(String::from);
        let sign = if number < 0.0 { "-" } else { sign.as_deref().unwrap_or("") };
        let fill = if self.zeros && !self.left { '0' } else { ' ' };
        self.pad(sign, &digits, fill, line);
    }

    fn pad(&self, sign: &str, text: &str, fill: char, line: &mut String) {
        let missing = self.width.saturating_sub(sign.len() + text.chars().count());
        let blanks = std::iter::repeat_n(fill, missing);
        match (self.left, fill) {
            (true, _) => {
                line.push_str(sign);
                line.push_str(text);
                line.extend(blanks);
            }
            (false, '0') => {
                line.push_str(sign);
                line.extend(blanks);
                line.push_str(text);
            }
            (false, _) => {
                line.extend(blanks);
                line.push_str(sign);
                line.push_str(text);
            }
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            ATTRIBUTES.iter().find(|(_, attribute, _)| attribute == self).map_or("", |(name, ..)| name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One placeholder laid out as Python does it (the expected texts were printed by Python 3).
    fn shown(placeholder: &str, text: &str, number: f64) -> String {
        let format = TextFormat::parse(placeholder).unwrap();
        let mut line = String::new();
        for piece in &format.pieces {
            match piece {
                Piece::Text(plain) => line.push_str(plain),
                Piece::Field { attribute: Message | LevelName, spec } => spec.text(text, &mut line),
                Piece::Field { spec, .. } => spec.number(number, &mut line),
            }
        }
        line
    }

    #[test]
    fn lays_out_as_python_does() {
        for (placeholder, text, number, expected) in [
            ("%(levelname)-8s|", "INFO", 0.0, "INFO    |"),
            ("%(levelname)8s|", "INFO", 0.0, "    INFO|"),
            ("%(levelname)08s|", "INFO", 0.0, "    INFO|"),
            ("%(levelname).1s", "INFO", 0.0, "I"),
            ("%(levelname)-6.3s|", "WARNING", 0.0, "WAR   |"),
            ("%(levelname)2s", "WARNING", 0.0, "WARNING"),
            ("%(message)5.2s|", "grüße", 0.0, "   gr|"),
            ("%(msecs)d", "", 7.9, "7"),
            ("%(msecs)03d", "", 7.0, "007"),
            ("%(msecs)-5d|", "", 7.0, "7    |"),
            ("%(msecs)-05d|", "", 7.0, "7    |"),
            ("%(msecs)+d", "", 7.0, "+7"),
            ("%(msecs)+05d", "", 7.0, "+0007"),
            ("%(msecs).3d", "", 7.0, "007"),
            ("%(msecs)5.2f", "", 7.125, " 7.12"),
            ("%(created)f", "", 1.5, "1.500000"),
            ("%(lineno)s", "", 42.0, "42"),
            ("%(lineno)5d|", "", 42.0, "   42|"),
            ("100%% %(message)s", "done", 0.0, "100% done"),
            ("no placeholder", "", 0.0, "no placeholder"),
        ] {
            assert_eq!(shown(placeholder, text, number), expected, "{placeholder}");
        }
    }

    #[test]
    fn every_attribute_is_understood() {
        for (name, attribute, is_number) in ATTRIBUTES {
            let conversion = if *is_number { "d" } else { "s" };
            let format = TextFormat::parse(&format!("%({name}){conversion}")).unwrap();
            assert!(
                matches!(format.pieces[..], [Piece::Field { attribute: found, .. }] if found == *attribute)
            );
            assert_eq!(attribute.to_string(), *name);
        }
        let classic = "%(asctime)s - %(name)s - %(levelname)s - %(message)s";
        assert_eq!(TextFormat::parse(classic).unwrap().pieces.len(), 7);
    }

    #[test]
    fn the_rest_is_refused() {
        for (text, error) in [
            ("", FormatError::Length),
            ("%(when)s", FormatError::Unknown),
            ("%(Message)s", FormatError::Unknown),
            ("%(message)d", FormatError::NotANumber("message".into())),
            ("%(message)", FormatError::Conversion("message".into())),
            ("%(message)x", FormatError::Conversion("message".into())),
            ("%(message)é", FormatError::Conversion("message".into())),
            ("%(message)9999s", FormatError::TooWide("message".into())),
            ("%(message)99999999999999999999s", FormatError::TooWide("message".into())),
            ("%s", FormatError::Bare),
            ("100%", FormatError::Bare),
            ("%(message", FormatError::Bare),
            ("%(a%(message)s", FormatError::Bare),
            ("%(message)s\n", FormatError::LineBreak),
        ] {
            assert_eq!(TextFormat::parse(text), Err(error), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_format_panics(text in "(%|\\(|\\)|[-0-9.sdf é]|message|msecs){0,12}") {
            if let Ok(format) = TextFormat::parse(&text) {
                let mut line = String::new();
                for piece in &format.pieces {
                    if let Piece::Field { spec, .. } = piece {
                        spec.text("é", &mut line);
                        spec.number(-1.5, &mut line);
                    }
                }
            }
        }
    }
}
