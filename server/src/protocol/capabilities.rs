//! What this server says of itself: the results of `server/discover` and `initialize`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::protocol::era::{LegacyVersion, SUPPORTED_VERSIONS};
use crate::protocol::raw::Raw;

/// How a server presents itself.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub instructions: Option<&'a str>,
    pub offer: Offer,
}

/// What there is besides tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    pub prompts: bool,
    /// Resources, or templates of them.
    pub resources: bool,
    pub completions: bool,
    pub logs: bool,
}

/// Who may share a cached list or description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheScope {
    /// Everybody: nobody has to say who they are.
    Public,
    /// Callers with the same credential.
    Private,
}

impl CacheScope {
    /// As the protocol writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// For how many milliseconds clients may go on using a list or a description. Configuration reloads within a second, so
/// this is what a client may be behind by; one request in ten seconds costs next to nothing.
pub const CACHE_TTL_MS: u32 = 10_000;

/// The key of `_meta` that says whether an answer was kept.
pub const CACHE_META: &str = "mcp-operator.dev/cache";

impl Identity<'_> {
    fn server_info(&self) -> Value {
        json!({"name": self.name, "version": self.version})
    }

    /// What every modern result begins with, as members of an object without its braces: the kind of the result, and
    /// who answers.
    #[must_use]
    pub fn stamp(&self, kind: &str) -> Bytes {
        let meta = json!({"io.modelcontextprotocol/serverInfo": self.server_info()});
        format!(r#""resultType":"{kind}","_meta":{meta}"#).into()
    }

    /// What a modern result of a tool begins with where it may be kept: the same, and whether it was.
    #[must_use]
    pub fn stamp_of_cache(&self, told: &str) -> Bytes {
        let meta = json!({"io.modelcontextprotocol/serverInfo": self.server_info(), CACHE_META: told});
        format!(r#""resultType":"complete","_meta":{meta}"#).into()
    }

    /// The members of the result of `server/discover`, without those that every result has.
    #[must_use]
    pub fn discover(&self, scope: CacheScope) -> Map<String, Value> {
        let mut result = Map::new();
        result.insert("supportedVersions".into(), json!(SUPPORTED_VERSIONS));
        result.insert("capabilities".into(), self.offer.capabilities());
        if let Some(instructions) = self.instructions {
            result.insert("instructions".into(), instructions.into());
        }
        cache_hints(&mut result, scope);
        result
    }

    /// The result of `initialize`.
    #[must_use]
    pub fn initialize(&self, version: LegacyVersion) -> Raw {
        let mut result = json!({
            "protocolVersion": version.as_str(),
            "capabilities": self.offer.capabilities(),
            "serverInfo": self.server_info(),
        });
        if let Some(instructions) = self.instructions {
            result["instructions"] = instructions.into();
        }
        Raw::of(&result)
    }
}

/// Adds `ttlMs` and `cacheScope`, which modern lists and descriptions must have.
pub fn cache_hints(result: &mut Map<String, Value>, scope: CacheScope) {
    result.insert("ttlMs".into(), CACHE_TTL_MS.into());
    result.insert("cacheScope".into(), scope.as_str().into());
}

impl Offer {
    /// What is offered, and no notice of changes: `listChanged` without `subscriptions/listen` would be a promise not
    /// kept.
    fn capabilities(self) -> Value {
        let offered = [
            ("tools", true),
            ("prompts", self.prompts),
            ("resources", self.resources),
            ("completions", self.completions),
            ("logging", self.logs),
        ];
        let offered = offered.into_iter().filter(|(_, offered)| *offered);
        offered.map(|(name, _)| (name.to_owned(), json!({}))).collect::<Map<_, _>>().into()
    }
}
