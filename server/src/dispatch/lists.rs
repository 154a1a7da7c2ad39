//! The lists that clients read, written once for each era.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::backend::Catalogue;
use crate::protocol::capabilities::{CacheScope, cache_hints};
use crate::protocol::errors::{Code, Fault};
use crate::protocol::raw::Raw;

/// Entries on one page.
pub const PAGE: usize = 128;

/// All lists.
#[derive(Debug)]
pub struct Lists {
    pub tools: List,
    pub prompts: List,
    pub resources: List,
    pub templates: List,
}

/// One list, in pages.
#[derive(Debug)]
pub struct List {
    pages: Vec<Page>,
}

/// One page, written for each era.
#[derive(Debug)]
struct Page {
    modern: Bytes,
    legacy: Bytes,
}

impl Lists {
    #[must_use]
    pub fn new(catalogue: &Catalogue, stamp: &Bytes, scope: CacheScope) -> Self {
        let tools = catalogue.tools.iter().map(|entry| &entry.definition);
        let prompts = catalogue.prompts.iter().map(|entry| &entry.definition);
        let resources = catalogue.resources.iter().map(|entry| &entry.definition);
        let templates = catalogue.templates.iter().map(|entry| &entry.definition);
        Self {
            tools: List::new("tools", tools, stamp, scope),
            prompts: List::new("prompts", prompts, stamp, scope),
            resources: List::new("resources", resources, stamp, scope),
            templates: List::new("resourceTemplates", templates, stamp, scope),
        }
    }
}

impl List {
    /// Writes definitions under this member.
    #[must_use]
    pub fn new<'d>(
        member: &'static str,
        definitions: impl Iterator<Item = &'d Raw>,
        stamp: &Bytes,
        scope: CacheScope,
    ) -> Self {
        let mut hints = Map::new();
        cache_hints(&mut hints, scope);
        let definitions: Vec<&RawValue> =
            definitions.filter_map(|definition| serde_json::from_str(definition.as_str()).ok()).collect();
        // An empty list is a page, too.
        let count = definitions.len().div_ceil(PAGE).max(1);
        let pages = (0..count)
            .map(|index| {
                let entries = definitions.iter().skip(index * PAGE).take(PAGE);
                let entries: Vec<_> = entries.copied().collect();
                let mut members = Map::new();
                if index + 1 < count {
                    members.insert("nextCursor".into(), cursor(index + 1).into());
                }
                let legacy = Raw::of(&Written { member, entries: &entries, members: &members });
                members.extend(hints.clone());
                let modern = Raw::of(&Written { member, entries: &entries, members: &members });
                Page { modern: spliced(stamp, modern.bytes()), legacy: legacy.bytes().clone() }
            })
            .collect();
        Self { pages }
    }

    /// The page at a cursor of ours; the first one without a cursor. Clients exist that send an empty one for the first
    /// page.
    ///
    /// # Errors
    /// Where the cursor is none of ours.
    pub fn page(&self, cursor: Option<&str>, modern: bool) -> Result<&Bytes, Fault> {
        let index = match cursor {
            None | Some("") => Some(0),
            Some(cursor) => read_cursor(cursor).filter(|index| *index > 0),
        };
        let page = index.and_then(|index| self.pages.get(index));
        let page = page
            .ok_or_else(|| Fault::new(Code::InvalidParams, "params.cursor is not a cursor of this list"))?;
        Ok(if modern { &page.modern } else { &page.legacy })
    }
}

/// `{"tools": […], …}` with the definitions as they are.
struct Written<'a> {
    member: &'static str,
    entries: &'a [&'a RawValue],
    members: &'a Map<String, Value>,
}

impl serde::Serialize for Written<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.member, self.entries)?;
        for (key, value) in self.members {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// The object with the stamp in front of its members, of which there is at least one.
pub(super) fn spliced(stamp: &Bytes, object: &Bytes) -> Bytes {
    [b"{", &stamp[..], b",", &object[1..]].concat().into()
}

fn cursor(index: usize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("page:{index}"))
}

fn read_cursor(cursor: &str) -> Option<usize> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix("page:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list(tools: usize) -> List {
        let definitions: Vec<_> = (0..tools).map(|n| Raw::of(&json!({"name": format!("t{n}")}))).collect();
        let stamp = Bytes::from_static(br#""resultType":"complete""#);
        List::new("tools", definitions.iter(), &stamp, CacheScope::Public)
    }

    #[test]
    fn a_list_is_one_page_up_to_128_entries() {
        for (tools, pages) in [(0, 1), (1, 1), (128, 1), (129, 2), (300, 3)] {
            let list = list(tools);
            for modern in [true, false] {
                let (mut cursor, mut seen, mut read) = (None, Vec::new(), 0);
                loop {
                    let page = list.page(cursor.as_deref(), modern).unwrap();
                    let page: Value = serde_json::from_slice(page).unwrap();
                    assert_eq!(page.get("resultType").is_some(), modern);
                    assert_eq!(page.get("ttlMs").is_some(), modern);
                    seen.extend(page["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()));
                    read += 1;
                    match page.get("nextCursor") {
                        Some(next) => cursor = Some(next.as_str().unwrap().to_owned()),
                        None => break,
                    }
                }
                assert_eq!(read, pages);
                assert_eq!(seen, (0..tools).map(|n| json!(format!("t{n}"))).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_cursor_that_is_not_ours_is_refused() {
        let list = list(129);
        assert!(list.page(Some(""), true).is_ok());
        for bad in ["x", "1", &cursor(0), &cursor(2), &cursor(usize::MAX), "cGFnZTot"] {
            assert!(list.page(Some(bad), true).is_err(), "{bad}");
        }
    }
}
