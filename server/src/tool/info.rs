//! How a tool presents itself.

use mcp_server_config::ToolAnnotations;
use serde_json::{Map, Value};

/// Name and description of a tool, for the model that chooses among tools.
///
/// ```
/// # use mcp_server::tool::ToolInfo;
/// let info = ToolInfo::new("delete_file").title("Delete a file").description("Deletes a file.").idempotent();
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ToolInfo {
    pub(super) name: String,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) annotations: ToolAnnotations,
    pub(super) input_schema: Option<Map<String, Value>>,
}

impl ToolInfo {
    /// A tool of this name: from 1 to 128 letters, digits, dots, dashes and underscores.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            title: None,
            description: None,
            annotations: ToolAnnotations::default(),
            input_schema: None,
        }
    }

    /// Name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// What the tool does and when to use it.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The tool changes nothing.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.annotations.read_only_hint = Some(true);
        self
    }

    /// The tool changes things, and destroys nothing.
    #[must_use]
    pub fn not_destructive(mut self) -> Self {
        self.annotations.destructive_hint = Some(false);
        self
    }

    /// Calling again with the same arguments changes nothing more.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.annotations.idempotent_hint = Some(true);
        self
    }

    /// The tool deals with nothing outside the server.
    #[must_use]
    pub fn closed_world(mut self) -> Self {
        self.annotations.open_world_hint = Some(false);
        self
    }

    /// A schema in place of the one that comes from the type of the arguments: JSON Schema 2020-12, and an object.
    /// Clients see it as it is.
    #[must_use]
    pub fn input_schema(mut self, schema: Map<String, Value>) -> Self {
        self.input_schema = Some(schema);
        self
    }
}
