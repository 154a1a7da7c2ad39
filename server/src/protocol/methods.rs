//! The methods that this server knows, each in its era.

use crate::protocol::capabilities::Offer;
use crate::protocol::era::Era;

/// A method with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Discover,
    Initialize,
    Ping,
    SetLogLevel,
    ToolsList,
    ToolsCall,
    PromptsList,
    PromptsGet,
    ResourcesList,
    ResourceTemplatesList,
    ResourcesRead,
    Complete,
}

impl Method {
    /// The method of this name, if it exists in this era and there is something to use it for: what was not offered is
    /// not found.
    #[must_use]
    pub fn find(name: &str, era: Era, offer: Offer) -> Option<Self> {
        let modern = matches!(era, Era::Modern);
        Some(match name {
            "tools/call" => Self::ToolsCall,
            "tools/list" => Self::ToolsList,
            "prompts/list" if offer.prompts => Self::PromptsList,
            "prompts/get" if offer.prompts => Self::PromptsGet,
            "resources/list" if offer.resources => Self::ResourcesList,
            "resources/templates/list" if offer.resources => Self::ResourceTemplatesList,
            "resources/read" if offer.resources => Self::ResourcesRead,
            "completion/complete" if offer.completions => Self::Complete,
            "server/discover" if modern => Self::Discover,
            "initialize" if !modern => Self::Initialize,
            "ping" if !modern => Self::Ping,
            "logging/setLevel" if !modern && offer.logs => Self::SetLogLevel,
            _ => return None,
        })
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discover => "server/discover",
            Self::Initialize => "initialize",
            Self::Ping => "ping",
            Self::SetLogLevel => "logging/setLevel",
            Self::ToolsList => "tools/list",
            Self::ToolsCall => "tools/call",
            Self::PromptsList => "prompts/list",
            Self::PromptsGet => "prompts/get",
            Self::ResourcesList => "resources/list",
            Self::ResourceTemplatesList => "resources/templates/list",
            Self::ResourcesRead => "resources/read",
            Self::Complete => "completion/complete",
        }
    }
}

/// The parameter that the header `Mcp-Name` mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirrored {
    Name,
    Uri,
}

/// Which parameter of this method the header `Mcp-Name` mirrors, if any.
#[must_use]
pub fn mirrored(method: &str) -> Option<Mirrored> {
    match method {
        "tools/call" | "prompts/get" => Some(Mirrored::Name),
        "resources/read" => Some(Mirrored::Uri),
        _ => None,
    }
}

/// A client notification that means something to this server. All others are accepted and ignored.
pub const CANCELLED: &str = "notifications/cancelled";
