//! Everything a request looks at that a reload can change, in one immutable piece: a request never sees half of a change.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use mcp_server_config::{AuthMode, ServerConfig, ServiceConfig, Shedding};
use serde_json::Value;

use crate::auth::Policy as AuthPolicy;
use crate::auth::access::Access;
use crate::auth::keyring::Keyring;
use crate::backend::{Catalogue, Entry};
use crate::cache::policy::Policy as CachePolicy;
use crate::dispatch::admit::Patience;
use crate::dispatch::cached::From;
use crate::dispatch::gate;
use crate::dispatch::lists::{Lists, spliced};
use crate::dispatch::views::Views;
use crate::http::forwarded::Trusted;
use crate::http::origin::Gate;
use crate::limit::gcra::Rate;
use crate::limit::policy::{self, Policy};
use crate::protocol::capabilities::{CacheScope, Identity, Offer};
use crate::protocol::era::LegacyVersion;
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
    /// The longest silence before an answer becomes a stream.
    pub stream_after: Duration,
    /// How often a caller may ask.
    pub limits: Policy,
    /// Whose word on the addresses of clients is taken.
    pub proxies: Trusted,
    /// How long calls may wait for a permit.
    pub patience: Patience,
    /// Headers that a web page may send, those included that mirror arguments of the tools.
    pub cors_headers: HeaderValue,
    /// What every modern result begins with.
    pub stamp: Bytes,
    /// The same where the result says whether it was kept.
    pub(super) cache_stamps: [Bytes; 2],
    /// What every modern result begins with that asks for input.
    pub asking: Bytes,
    /// The result of `server/discover`.
    pub discover: Bytes,
    /// The results of `initialize`, by version.
    initialize: [Bytes; LegacyVersion::ALL.len()],
    /// What lists show.
    pub lists: Lists,
    /// The tools that each caller may see; absent where all see all.
    pub views: Option<Views>,
    /// What there is besides tools.
    pub offer: Offer,
    /// Who may share what is told.
    pub scope: CacheScope,
    tools: HashMap<Arc<str>, Tool>,
    prompts: HashSet<Arc<str>>,
}

/// A tool, as far as the pipeline knows it.
#[derive(Debug)]
pub struct Tool {
    pub name: Arc<str>,
    /// Arguments that headers mirror.
    pub mirrored: Vec<MirroredProperty>,
    /// How often one caller may call it, besides the general limit.
    pub limit: Option<Rate>,
    /// How many calls of it are worked on at once, where that is less than the server can do.
    pub concurrency: Option<usize>,
    /// Where calls of it wait, if it has a limit of its own. Set when the snapshot is put in force.
    pub gate: Option<Arc<gate::Gate>>,
    /// Several calls of it may be one request to an upstream, and only that counts as work.
    pub gathers: bool,
    /// How its answers are kept, where they may be.
    pub cache: Option<CachePolicy>,
}

impl Snapshot {
    /// A snapshot in which callers have keys and no tokens.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, keys: Arc<Keyring>, catalogue: &Catalogue) -> Self {
        Self::with_access(config, Access { keys, ..Access::default() }, catalogue)
    }

    #[must_use]
    pub fn with_access(config: Arc<ServerConfig>, access: Access, catalogue: &Catalogue) -> Self {
        let service = &config.service;
        let offer = Offer {
            prompts: !catalogue.prompts.is_empty(),
            resources: !catalogue.resources.is_empty() || !catalogue.templates.is_empty(),
            completions: catalogue.completions,
            logs: catalogue.logs,
        };
        let identity = Identity {
            name: service.server_name(),
            version: service.server_version(),
            instructions: service.instructions.as_deref(),
            offer,
        };
        // Where callers have keys, what one is told is not for the caches of others.
        let scope = match service.auth.mode() {
            AuthMode::Disabled => CacheScope::Public,
            AuthMode::Required | AuthMode::Optional => CacheScope::Private,
        };
        let stamp = identity.stamp("complete");
        let initialize = |version| identity.initialize(version).bytes().clone();
        let tools: HashMap<_, _> =
            catalogue.tools.iter().map(|entry| (entry.name.clone(), tool(entry, service))).collect();
        Self {
            cors_headers: cors_headers(tools.values()),
            gate: Gate::new(&service.http, config.process.http.address_hosts()),
            max_body: service.http.max_body().as_usize(),
            limits: Policy::new(&config),
            proxies: Trusted::new(&service.rate_limit.trusted_proxies),
            stream_after: service.http.stream_after().as_std(),
            request_timeout: service.performance.request_timeout().as_std(),
            patience: Patience {
                queue_timeout: service.performance.queue_timeout().as_std(),
                adaptive: service.performance.shedding() == Shedding::Adaptive,
            },
            discover: spliced(&stamp, Raw::of(&identity.discover(scope)).bytes()),
            initialize: LegacyVersion::ALL.map(initialize),
            lists: Lists::new(catalogue, &stamp, scope),
            views: access.rules.clone().map(|rules| Views::new(rules, catalogue, &stamp)),
            offer,
            scope,
            tools,
            prompts: catalogue.prompts.iter().map(|entry| entry.name.clone()).collect(),
            auth: AuthPolicy::new(&config, access),
            asking: identity.stamp("input_required"),
            cache_stamps: From::ALL.map(|from| identity.stamp_of_cache(from.as_str())),
            stamp,
            config,
        }
    }

    /// The result of `initialize` for the version that was negotiated.
    #[must_use]
    pub fn initialize(&self, version: LegacyVersion) -> &Bytes {
        &self.initialize[version as usize]
    }

    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// All tools, to be completed before the snapshot is put in force.
    pub(super) fn tools_mut(&mut self) -> impl Iterator<Item = &mut Tool> {
        self.tools.values_mut()
    }

    /// The name of a prompt that is listed.
    #[must_use]
    pub fn prompt(&self, name: &str) -> Option<&Arc<str>> {
        self.prompts.get(name)
    }

    #[must_use]
    pub fn tools(&self) -> usize {
        self.tools.len()
    }

    /// The names of all tools, in no order.
    pub fn tool_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tools.keys()
    }
}

fn tool(entry: &Entry, service: &ServiceConfig) -> Tool {
    let definition: Value = serde_json::from_str(entry.definition.as_str()).unwrap_or_default();
    let schema = definition.get("inputSchema").and_then(Value::as_object);
    Tool {
        name: entry.name.clone(),
        mirrored: schema.map(mirrored_properties).unwrap_or_default(),
        limit: policy::of_tool(&service.rate_limit, &entry.name),
        concurrency: service
            .rate_limit
            .tool(&entry.name)
            .and_then(|entry| entry.concurrency)
            .map(|most| most as usize),
        gate: None,
        gathers: service.performance.batching.is_on() && may_gather(service, &entry.name),
        cache: CachePolicy::of(service, &entry.name, entry.definition.bytes()),
    }
}

/// Whether several calls of the tool fit into one request.
fn may_gather(service: &ServiceConfig, name: &str) -> bool {
    let tool = service.tools.iter().find(|tool| tool.name == name);
    tool.and_then(|tool| tool.http.as_ref()).is_some_and(|http| http.batch.is_some())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ResourceEntry;
    use crate::protocol::era::Era;
    use crate::protocol::methods::Method;
    use serde_json::json;

    #[test]
    fn what_is_not_there_is_not_offered() {
        let names = |bytes: &Bytes| {
            let value: Value = serde_json::from_slice(bytes).unwrap();
            value["capabilities"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        let empty = Snapshot::new(Arc::default(), Arc::default(), &Catalogue::default());
        assert_eq!(names(&empty.discover), ["tools"]);
        for method in ["prompts/list", "resources/read", "resources/templates/list", "completion/complete"] {
            assert_eq!(Method::find(method, Era::Modern, empty.offer), None, "{method}");
        }
        let catalogue = Catalogue {
            resources: vec![ResourceEntry { uri: "a://b".into(), definition: Raw::of(&json!({})) }],
            logs: true,
            ..Catalogue::default()
        };
        let full = Snapshot::new(Arc::default(), Arc::default(), &catalogue);
        for bytes in [&full.discover, full.initialize(LegacyVersion::V2025_11_25)] {
            assert_eq!(names(bytes), ["logging", "resources", "tools"]);
        }
        assert!(Method::find("resources/templates/list", Era::Modern, full.offer).is_some());
        assert!(Method::find("logging/setLevel", Era::Modern, full.offer).is_none());
    }
}
