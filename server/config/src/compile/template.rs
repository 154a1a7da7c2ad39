//! Texts with places for arguments: `Hello, {{args.name}}!`.
//!
//! A place is `{{args}}` or `{{args.a.b}}`: names of letters, digits, `_`, `-`, `$` and `@`, joined by dots; a name of
//! digits also counts the items of a list, from 0. Any other name stands in brackets and quotes, as in
//! `{{args["filter[status]"]}}`. Spaces inside the braces do not matter. `\{{` is a literal `{{`.

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
            let Some(close) = end_of_place(place) else {
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

/// Where the braces close, quotes apart.
fn end_of_place(place: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = '.';
    for (at, c) in place.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            // Anywhere else a quote is a mistake, and no reason to run on to the end of the text.
            None if matches!(c, '"' | '\'') && before == '[' => quote = Some(c),
            None if place[at..].starts_with("}}") => return Some(at),
            None => {}
        }
        before = c;
    }
    place.find("}}")
}

/// Reads what stands between the braces.
fn argument(place: &str) -> Result<Vec<String>, String> {
    let place = place.trim();
    let first = place.split(['.', '[']).next().unwrap_or_default();
    if first != "args" {
        let meant =
            if super::cel::is_near(first, "args") { "did you mean args?" } else { "write {{args.name}}" };
        return Err(format!(
            "names something else than an argument, and only arguments can be filled in; {meant}"
        ));
    }
    let mut names = Vec::new();
    let mut rest = &place[first.len()..];
    while !rest.is_empty() {
        let (name, behind) = match rest.strip_prefix('[') {
            Some(index) => in_brackets(index)?,
            None => simple(rest.strip_prefix('.').unwrap_or(rest))?,
        };
        names.push(name.to_owned());
        rest = behind;
    }
    Ok(names)
}

/// A name without quotes, and what stands behind it.
fn simple(text: &str) -> Result<(&str, &str), String> {
    let (name, behind) = text.split_at(text.find(['.', '[']).unwrap_or(text.len()));
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@');
    if name.is_empty() || !name.chars().all(fits) {
        return Err(
            "has a name with other signs than letters, digits, _, -, $ and @; write such a name in brackets and quotes, as in {{args[\"a name\"]}}"
                .to_owned(),
        );
    }
    Ok((name, behind))
}

/// A name in quotes, or the number of an item, up to the bracket that closes; and what stands behind it.
fn in_brackets(text: &str) -> Result<(&str, &str), String> {
    let broken = || {
        "has a bracket without a name in it; write it as in {{args[\"a name\"]}} or {{args.list[0]}}"
            .to_owned()
    };
    match text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        Some(quote) => {
            let (name, behind) = text[1..].split_once(quote).ok_or_else(broken)?;
            Ok((name, behind.strip_prefix(']').ok_or_else(broken)?))
        }
        None => {
            let (index, behind) = text.split_once(']').ok_or_else(broken)?;
            let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { Ok((index, behind)) } else { Err(broken()) }
        }
    }
}
