//! Everything a request looks at that a reload can change, in one immutable piece: a request never sees half of a change.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderValue;
use mcp_server_config::{AuthMode, ServerConfig, ServiceConfig};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::auth::Policy as AuthPolicy;
use crate::auth::keyring::Keyring;
use crate::backend::Catalogue;
use crate::http::forwarded::Trusted;
use crate::http::origin::Gate;
use crate::limit::gcra::Rate;
use crate::limit::policy::{self, Policy};
use crate::protocol::capabilities::{CacheScope, Identity, cache_hints};
use crate::protocol::era::LegacyVersion;
use crate::protocol::errors::{Code, Fault};
use crate::protocol::headers::{MirroredProperty, mirrored_properties};
use crate::protocol::raw::Raw;

/// The settings, keys and lists in force.
#[derive(Debug)]
pub struct Snapshot {
    pub config: Arc<ServerConfig>,
    pub gate: Gate,
    pub auth: AuthPolicy,
    pub max_body: usize,
    pub request_timeout: Duration,
    /// How often a caller may ask.
    pub limits: Policy,
    /// Whose word on the addresses of clients is taken.
    pub proxies: Trusted,
    /// Headers that a web page may send, those included that mirror arguments of the tools.
    pub cors_headers: HeaderValue,
    /// What every modern result begins with.
    pub stamp: Bytes,
    /// The result of `server/discover`.
    pub discover: Bytes,
    initialize: [Bytes; 2],
    pages: Vec<Page>,
    tools: HashMap<Arc<str>, Tool>,
}

/// A tool, as far as the pipeline knows it.
#[derive(Debug)]
pub struct Tool {
    pub name: Arc<str>,
    /// Arguments that headers mirror.
    pub mirrored: Vec<MirroredProperty>,
    /// How often one caller may call it, besides the general limit.
    pub limit: Option<Rate>,
}

/// One page of `tools/list`, written for each era.
#[derive(Debug)]
struct Page {
    modern: Bytes,
    legacy: Bytes,
}

/// Tools on one page of `tools/list`.
pub const PAGE: usize = 128;

impl Snapshot {
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, keys: Arc<Keyring>, catalogue: &Catalogue) -> Self {
        let service = &config.service;
        let identity = Identity {
            name: service.server_name(),
            version: service.server_version(),
            instructions: service.instructions.as_deref(),
        };
        // Where callers have keys, what one is told is not for the caches of others.
        let scope = match service.auth.mode() {
            AuthMode::Disabled => CacheScope::Public,
            AuthMode::Required | AuthMode::Optional => CacheScope::Private,
        };
        let stamp = identity.stamp();
        let initialize = |version| identity.initialize(version).bytes().clone();
        let tools: HashMap<_, _> =
            catalogue.tools.iter().map(|entry| (entry.name.clone(), tool(entry, service))).collect();
        Self {
            cors_headers: cors_headers(tools.values()),
            gate: Gate::new(&service.http),
            auth: AuthPolicy { mode: service.auth.mode(), keys },
            max_body: service.http.max_body().as_usize(),
            limits: Policy::new(&config),
            proxies: Trusted::new(&service.rate_limit.trusted_proxies),
            request_timeout: service.performance.request_timeout().as_std(),
            discover: object(&stamp, &Value::Object(identity.discover(scope))),
            initialize: [initialize(LegacyVersion::V2025_06_18), initialize(LegacyVersion::V2025_11_25)],
            pages: pages(catalogue, &stamp, scope),
            tools,
            stamp,
            config,
        }
    }

    /// The result of `initialize` for the version that was negotiated.
    #[must_use]
    pub fn initialize(&self, version: LegacyVersion) -> &Bytes {
        match version {
            LegacyVersion::V2025_06_18 => &self.initialize[0],
            LegacyVersion::V2025_03_26 | LegacyVersion::V2025_11_25 => &self.initialize[1],
        }
    }

    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    #[must_use]
    pub fn tools(&self) -> usize {
        self.tools.len()
    }

    /// The names of all tools, in no order.
    pub fn tool_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tools.keys()
    }

    /// The page of `tools/list` at a cursor of ours; the first one without a cursor. Clients exist that send an empty
    /// one for the first page.
    ///
    /// # Errors
    /// Where the cursor is none of ours.
    pub fn tools_list(&self, cursor: Option<&str>, modern: bool) -> Result<&Bytes, Fault> {
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

fn tool(entry: &crate::backend::ToolEntry, service: &ServiceConfig) -> Tool {
    let definition: Value = serde_json::from_str(entry.definition.as_str()).unwrap_or_default();
    let schema = definition.get("inputSchema").and_then(Value::as_object);
    Tool {
        name: entry.name.clone(),
        mirrored: schema.map(mirrored_properties).unwrap_or_default(),
        limit: policy::of_tool(&service.rate_limit, &entry.name),
    }
}

/// Headers that every web page may send.
const CORS_HEADERS: &str = "Content-Type, Accept, Authorization, X-API-Key, MCP-Protocol-Version, Mcp-Method, Mcp-Name, \
                            Mcp-Session-Id, Last-Event-ID";

fn cors_headers<'a>(tools: impl Iterator<Item = &'a Tool>) -> HeaderValue {
    let mirrored: BTreeSet<_> =
        tools.flat_map(|tool| &tool.mirrored).map(|property| property.header.as_str()).collect();
    let names = mirrored.into_iter().fold(CORS_HEADERS.to_owned(), |names, name| names + ", " + name);
    HeaderValue::try_from(names).expect("names of headers are visible ASCII")
}

fn pages(catalogue: &Catalogue, stamp: &Bytes, scope: CacheScope) -> Vec<Page> {
    let mut hints = serde_json::Map::new();
    cache_hints(&mut hints, scope);
    // An empty list is a page, too.
    let chunks = catalogue.tools.chunks(PAGE).count().max(1);
    (0..chunks)
        .map(|index| {
            let tools = catalogue.tools.iter().skip(index * PAGE).take(PAGE);
            let tools: Vec<&RawValue> = tools.filter_map(|tool| raw(&tool.definition)).collect();
            let mut list = serde_json::Map::new();
            if index + 1 < chunks {
                list.insert("nextCursor".into(), cursor(index + 1).into());
            }
            let rest =
                |members: serde_json::Map<String, Value>| Raw::of(&WithTools { tools: &tools, members });
            let legacy = rest(list.clone());
            list.extend(hints.clone());
            Page { modern: spliced(stamp, rest(list).bytes()), legacy: legacy.bytes().clone() }
        })
        .collect()
}

fn raw(definition: &Raw) -> Option<&RawValue> {
    serde_json::from_str(definition.as_str()).ok()
}

/// `{"tools": […], …}` with the definitions as they are.
struct WithTools<'a> {
    tools: &'a [&'a RawValue],
    members: serde_json::Map<String, Value>,
}

impl serde::Serialize for WithTools<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("tools", self.tools)?;
        for (key, value) in &self.members {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

fn object(stamp: &Bytes, members: &Value) -> Bytes {
    spliced(stamp, Raw::of(members).bytes())
}

/// The object with the stamp in front of its members, of which there is at least one.
fn spliced(stamp: &Bytes, object: &Bytes) -> Bytes {
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
    use crate::backend::ToolEntry;
    use serde_json::json;

    fn snapshot(tools: usize) -> Snapshot {
        let entry = |n| {
            let definition = json!({"name": format!("t{n}"), "inputSchema": {"type": "object"}});
            ToolEntry { name: format!("t{n}").into(), definition: Raw::of(&definition) }
        };
        let catalogue = Catalogue { tools: (0..tools).map(entry).collect() };
        Snapshot::new(Arc::default(), Arc::default(), &catalogue)
    }

    #[test]
    fn a_list_is_one_page_up_to_128_tools() {
        for (tools, pages) in [(0, 1), (1, 1), (128, 1), (129, 2), (300, 3)] {
            let snapshot = snapshot(tools);
            for modern in [true, false] {
                let (mut cursor, mut seen, mut read) = (None, Vec::new(), 0);
                loop {
                    let page = snapshot.tools_list(cursor.as_deref(), modern).unwrap();
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
        let snapshot = snapshot(129);
        assert!(snapshot.tools_list(Some(""), true).is_ok());
        for bad in ["x", "1", &cursor(0), &cursor(2), &cursor(usize::MAX), "cGFnZTot"] {
            assert!(snapshot.tools_list(Some(bad), true).is_err(), "{bad}");
        }
    }
}
