//! Families of URIs: the part of RFC 6570 with which a URI can be taken apart again.
//!
//! `{name}` stands for anything without a slash, and `{+name}` for anything; both for at least one character. Each is
//! percent-decoded.

use std::collections::BTreeMap;

/// A URI with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriTemplate {
    /// What stands before the first place, and behind each place.
    first: String,
    places: Vec<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    name: String,
    /// Whether slashes are part of the value.
    whole: bool,
    behind: String,
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("opens a brace and does not close it")]
    Open,
    #[error(
        "has an expression that is not understood; only {{name}} and {{+name}} are, with names of letters, digits and underscores"
    )]
    Expression,
    #[error("has a variable twice")]
    Twice,
    #[error("has two variables with nothing in between: nobody could say where one ends")]
    Adjacent,
    #[error("has no variable; list it as a resource instead")]
    None,
}

impl UriTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// Where it is none, or a URI could not be taken apart again by it.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (first, mut rest) = text.split_once('{').ok_or(TemplateError::None)?;
        let mut places: Vec<Place> = Vec::new();
        loop {
            let (expression, behind) = rest.split_once('}').ok_or(TemplateError::Open)?;
            let name = expression.strip_prefix('+').unwrap_or(expression);
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if name.is_empty() || !plain {
                return Err(TemplateError::Expression);
            }
            if places.iter().any(|place| place.name == name) {
                return Err(TemplateError::Twice);
            }
            let (behind, next) = match behind.split_once('{') {
                Some(("", _)) => return Err(TemplateError::Adjacent),
                Some((behind, next)) => (behind, Some(next)),
                None => (behind, None),
            };
            places.push(Place {
                name: name.to_owned(),
                whole: expression.starts_with('+'),
                behind: behind.to_owned(),
            });
            match next {
                Some(next) => rest = next,
                None => return Ok(Self { first: first.to_owned(), places }),
            }
        }
    }

    /// Names of the variables, in their order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| place.name.as_str())
    }

    /// The variables of a URI of this family; none where it is not one.
    #[must_use]
    pub fn variables_of(&self, uri: &str) -> Option<BTreeMap<String, String>> {
        let mut rest = uri.strip_prefix(self.first.as_str())?;
        let mut found = BTreeMap::new();
        for (index, place) in self.places.iter().enumerate() {
            let last = index + 1 == self.places.len();
            let (value, behind) = if last {
                (rest.strip_suffix(place.behind.as_str())?, "")
            } else {
                rest.split_once(place.behind.as_str())?
            };
            if value.is_empty() || (!place.whole && value.contains('/')) {
                return None;
            }
            found.insert(place.name.clone(), percent_decoded(value)?);
            rest = behind;
        }
        Some(found)
    }
}

/// The text with `%20` and its like replaced; none where that is no text.
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(template: &str, uri: &str) -> Option<String> {
        let found = UriTemplate::parse(template).unwrap().variables_of(uri)?;
        Some(found.into_iter().map(|(name, value)| format!("{name}={value};")).collect())
    }

    #[test]
    fn a_uri_is_taken_apart() {
        for (template, uri, expected) in [
            ("test://template/{id}/data", "test://template/123/data", Some("id=123;")),
            ("test://template/{id}/data", "test://template//data", None),
            ("test://template/{id}/data", "test://template/1/2/data", None),
            ("test://template/{id}/data", "test://template/1/dat", None),
            ("a://{x}-{y}", "a://1-2-3", Some("x=1;y=2-3;")),
            ("file:///{+path}", "file:///a/b.txt", Some("path=a/b.txt;")),
            ("a://{x}", "a://gr%C3%BC%C3%9Fe%20", Some("x=grüße ;")),
            ("a://{x}", "a://%2e%2E%2f", Some("x=../;")),
            ("a://{x}", "a://%f", None),
            ("a://{x}", "a://%+f", None),
            ("a://{x}", "a://%ff", None),
            ("a://{x}", "b://1", None),
        ] {
            assert_eq!(of(template, uri).as_deref(), expected, "{template} {uri}");
        }
    }

    #[test]
    fn what_could_not_be_taken_apart_is_refused() {
        for (template, expected) in [
            ("a://x", TemplateError::None),
            ("a://{x", TemplateError::Open),
            ("a://{?x}", TemplateError::Expression),
            ("a://{}", TemplateError::Expression),
            ("a://{x,y}", TemplateError::Expression),
            ("a://{x}{y}", TemplateError::Adjacent),
            ("a://{x}/{x}", TemplateError::Twice),
        ] {
            assert_eq!(UriTemplate::parse(template), Err(expected), "{template}");
        }
        let names = UriTemplate::parse("a://{x}/{+y}").unwrap();
        assert_eq!(names.variables().collect::<Vec<_>>(), ["x", "y"]);
    }
}
