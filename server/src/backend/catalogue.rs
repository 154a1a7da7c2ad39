//! What a backend offers, in the order in which it is listed.

use std::fmt;
use std::sync::Arc;

use crate::protocol::raw::Raw;

/// Everything that a backend offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    pub tools: Vec<Entry>,
    pub prompts: Vec<Entry>,
    pub resources: Vec<ResourceEntry>,
    pub templates: Vec<TemplateEntry>,
    /// True where `completion/complete` has something to say.
    pub completions: bool,
    /// True where a call may send log messages.
    pub logs: bool,
}

impl Catalogue {
    /// A catalogue of tools alone.
    #[must_use]
    pub fn of_tools(tools: Vec<Entry>) -> Self {
        Self { tools, ..Self::default() }
    }

    /// Everything of both, this one's first.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.tools.extend_from_slice(&other.tools);
        self.prompts.extend_from_slice(&other.prompts);
        self.resources.extend_from_slice(&other.resources);
        self.templates.extend_from_slice(&other.templates);
        self.completions |= other.completions;
        self.logs |= other.logs;
        self
    }
}

/// A tool or a prompt in a list.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: Arc<str>,
    /// The definition as the list shows it.
    pub definition: Raw,
}

/// A resource in a list.
#[derive(Clone, PartialEq, Eq)]
pub struct ResourceEntry {
    pub uri: Arc<str>,
    pub definition: Raw,
}

/// A family of resources.
#[derive(Clone, PartialEq, Eq)]
pub struct TemplateEntry {
    /// Of RFC 6570, as far as [`mcp_server_config::uri_template`] reads it.
    pub uri_template: Arc<str>,
    pub definition: Raw,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for ResourceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceEntry").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl fmt::Debug for TemplateEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateEntry").field("uri_template", &self.uri_template).finish_non_exhaustive()
    }
}
