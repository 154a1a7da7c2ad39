//! Texts with places for arguments: `Hello, {{args.name}}!`.
//!
//! A place is `{{args}}` or `{{args.a.b}}`: names of letters, digits, `_` and `-`, joined by dots; a name of digits also
//! counts the items of a list, from 0. Spaces inside the braces do not matter. `\{{` is a literal `{{`.

/// A text, split at its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// One piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Stands as it is.
    Literal(String),
    /// Stands for an argument: the names below `args`. None at all means the arguments as a whole.
    Argument(Vec<String>),
}

/// Why a text is not a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TemplateError {
    /// Byte offset in the text.
    pub(super) at: usize,
    pub(super) message: String,
}

/// The longest text, in bytes.
pub const MAX_TEXT: usize = 16 * 1024;

impl Template {
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The argument for which the whole text stands, where it is nothing else: `{{args.x}}`.
    #[must_use]
    pub fn whole(&self) -> Option<&[String]> {
        match self.parts.as_slice() {
            [Part::Argument(names)] => Some(names),
            _ => None,
        }
    }

    /// The text itself, where no argument is in it.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// As [`Template::parse`], for places where there may be nothing.
    pub(super) fn parse_or_empty(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() { Ok(Self { parts: Vec::new() }) } else { Self::parse(text) }
    }

    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() || text.len() > MAX_TEXT {
            let message = format!("has {} bytes; it must have from 1 to {MAX_TEXT}", text.len());
            return Err(TemplateError { at: 0, message });
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            let at = text.len() - rest.len() + open;
            let (before, place) = (&rest[..open], &rest[open + 2..]);
            if let Some(before) = before.strip_suffix('\\') {
                literal.push_str(before);
                literal.push_str("{{");
                rest = place;
                continue;
            }
            literal.push_str(before);
            let Some(close) = place.find("}}") else {
                return Err(TemplateError {
                    at,
                    message: "opens {{ and does not close it; write }} behind the name, or \\{{ for two literal braces"
                        .to_owned(),
                });
            };
            let argument = argument(&place[..close]).map_err(|message| TemplateError { at, message })?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Argument(argument));
            rest = &place[close + 2..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }
}

/// Reads what stands between the braces.
fn argument(place: &str) -> Result<Vec<String>, String> {
    let place = place.trim();
    let mut names = place.split('.');
    let first = names.next().unwrap_or_default();
    if first != "args" {
        let meant = match place.split_once('.') {
            Some((_, rest)) if super::cel::is_near(first, "args") => rest,
            _ if place.is_empty() => "name",
            _ => place,
        };
        return Err(format!(
            "has {{{{{place}}}}}, and only arguments can be filled in; did you mean {{{{args.{meant}}}}}?"
        ));
    }
    names
        .map(|name| {
            let of_letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if of_letters && !name.is_empty() {
                Ok(name.to_owned())
            } else {
                Err(format!(
                    "has {{{{{place}}}}}, where {name:?} is not a name; names have letters, digits, _ and - and are joined by single dots"
                ))
            }
        })
        .collect()
}
