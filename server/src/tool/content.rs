//! What results are made of.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

/// One block of a result.
///
/// ```
/// use mcp_server::tool::{Annotations, Audience, Content};
///
/// let chart = Content::image(b"...", "image/png").annotated(Annotations {
///     audience: vec![Audience::User],
///     priority: Some(0.8),
///     ..Annotations::default()
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Content {
    #[serde(flatten)]
    block: Block,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Block {
    Text {
        text: String,
    },
    Image {
        data: String,
        mime_type: String,
    },
    Audio {
        data: String,
        mime_type: String,
    },
    ResourceLink {
        uri: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    Resource {
        resource: Embedded,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Embedded {
    uri: String,
    mime_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<String>,
}

/// For whom a block is, and how much it matters.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<Audience>,
    /// From 0, the least, to 1, the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// ISO 8601. Example: 2026-07-28T12:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// For whom a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    User,
    Assistant,
}

impl Content {
    fn of(block: Block) -> Self {
        Self { block, annotations: None }
    }

    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Block::Text { text: text.into() })
    }

    /// An image, from its bytes.
    #[must_use]
    pub fn image(bytes: &[u8], mime_type: impl Into<String>) -> Self {
        Self::of(Block::Image { data: BASE64_STANDARD.encode(bytes), mime_type: mime_type.into() })
    }

    /// Sound, from its bytes.
    #[must_use]
    pub fn audio(bytes: &[u8], mime_type: impl Into<String>) -> Self {
        Self::of(Block::Audio { data: BASE64_STANDARD.encode(bytes), mime_type: mime_type.into() })
    }

    /// Points to a resource, which the client may read.
    #[must_use]
    pub fn link(uri: impl Into<String>, name: impl Into<String>) -> Self {
        Self::of(Block::ResourceLink {
            uri: uri.into(),
            name: name.into(),
            description: None,
            mime_type: None,
            size: None,
        })
    }

    /// A text resource, as part of the result.
    #[must_use]
    pub fn resource(uri: impl Into<String>, mime_type: impl Into<String>, text: impl Into<String>) -> Self {
        let resource =
            Embedded { uri: uri.into(), mime_type: mime_type.into(), text: Some(text.into()), blob: None };
        Self::of(Block::Resource { resource })
    }

    /// A resource of bytes, as part of the result.
    #[must_use]
    pub fn blob(uri: impl Into<String>, mime_type: impl Into<String>, bytes: &[u8]) -> Self {
        let blob = Some(BASE64_STANDARD.encode(bytes));
        let resource = Embedded { uri: uri.into(), mime_type: mime_type.into(), text: None, blob };
        Self::of(Block::Resource { resource })
    }

    /// Says what a link leads to. Does nothing to other blocks.
    #[must_use]
    pub fn described(
        mut self,
        text: impl Into<String>,
        media_type: Option<String>,
        bytes: Option<u64>,
    ) -> Self {
        if let Block::ResourceLink { description, mime_type, size, .. } = &mut self.block {
            (*description, *mime_type, *size) = (Some(text.into()), media_type, bytes);
        }
        self
    }

    #[must_use]
    pub fn annotated(mut self, annotations: Annotations) -> Self {
        self.annotations = Some(annotations);
        self
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_are_written_as_the_protocol_has_them() {
        let user = Annotations { audience: vec![Audience::User], priority: Some(0.5), last_modified: None };
        for (content, expected) in [
            (Content::text("a"), json!({"type": "text", "text": "a"})),
            (
                Content::image(b"ab", "image/png").annotated(user),
                json!({"type": "image", "data": "YWI=", "mimeType": "image/png",
                       "annotations": {"audience": ["user"], "priority": 0.5}}),
            ),
            (
                Content::audio(b"ab", "audio/wav"),
                json!({"type": "audio", "data": "YWI=", "mimeType": "audio/wav"}),
            ),
            (
                Content::link("a://b", "b").described("the b", Some("text/plain".into()), Some(3)),
                json!({"type": "resource_link", "uri": "a://b", "name": "b", "description": "the b",
                       "mimeType": "text/plain", "size": 3}),
            ),
            (
                Content::resource("a://b", "text/plain", "t"),
                json!({"type": "resource", "resource": {"uri": "a://b", "mimeType": "text/plain", "text": "t"}}),
            ),
            (
                Content::blob("a://b", "x/y", b"ab"),
                json!({"type": "resource", "resource": {"uri": "a://b", "mimeType": "x/y", "blob": "YWI="}}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&content).unwrap(), expected);
        }
    }
}
