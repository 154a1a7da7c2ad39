//! The methods that this server knows, each in its era.

use crate::protocol::era::Era;

/// A method with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Discover,
    Initialize,
    Ping,
    ToolsList,
    ToolsCall,
}

impl Method {
    /// The method of this name, if it exists in this era.
    #[must_use]
    pub fn find(name: &str, era: Era) -> Option<Self> {
        let modern = matches!(era, Era::Modern);
        Some(match name {
            "tools/call" => Self::ToolsCall,
            "tools/list" => Self::ToolsList,
            "server/discover" if modern => Self::Discover,
            "initialize" if !modern => Self::Initialize,
            "ping" if !modern => Self::Ping,
            _ => return None,
        })
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discover => "server/discover",
            Self::Initialize => "initialize",
            Self::Ping => "ping",
            Self::ToolsList => "tools/list",
            Self::ToolsCall => "tools/call",
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
