//! The Secret with the generated API key.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use mcp_server_config::{constants::API_KEYS_FILE, sha256};
use serde_json::json;

use crate::{ValidatedServer, objects::metadata, validate::Keys};

/// Key of the Secret that holds the bare API key, for people and scripts.
pub const BARE_KEY: &str = "key";
/// Id of the generated key in logs and metrics.
pub const KEY_ID: &str = "default";
/// What a generated key starts with, so that leak scanners know one when they see it.
const KEY_PREFIX: &str = "mcp_";

/// A Secret that is created once, by POST, and never read, listed or rewritten: whoever deletes it gets a new key.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKeySecret {
    metadata: ObjectMeta,
}

impl ApiKeySecret {
    /// The Secret that a server needs: one where callers must authenticate and no keys were given.
    #[must_use]
    pub fn of(server: &ValidatedServer) -> Option<Self> {
        match &server.keys {
            Keys::Generated { secret } => Some(Self { metadata: metadata(server, secret) }),
            Keys::Given { .. } | Keys::None => None,
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The Secret with a key made of 32 bytes from a cryptographic source of randomness.
    ///
    /// The server needs only the digest, and so its file holds only that; the key itself stands beside it for whoever may
    /// read the Secret.
    #[must_use]
    pub fn with_key(&self, random: &[u8; 32]) -> Secret {
        let key = KEY_PREFIX.chars().chain(random.iter().flat_map(|byte| hex(*byte))).collect::<String>();
        let file = json!({"keys": [{"id": KEY_ID, "sha256": sha256(&key)}]}).to_string();
        Secret {
            metadata: self.metadata.clone(),
            type_: Some("Opaque".to_owned()),
            data: Some(BTreeMap::from([
                (API_KEYS_FILE.to_owned(), ByteString(file.into_bytes())),
                (BARE_KEY.to_owned(), ByteString(key.into_bytes())),
            ])),
            ..Secret::default()
        }
    }
}

fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15]
        .map(|digit| char::from_digit(u32::from(digit), 16).expect("four bits are one digit"))
}
