//! Speaking MCP as a client, in either era.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use crate::args::CallEra;
use crate::client::http::{Answer, Client, HttpError, Url};
use crate::client::sse;
use crate::protocol::era::{LegacyVersion, MODERN};
use crate::protocol::errors::Code;
use crate::protocol::headers::{self, encode, mirrored_properties};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum CallFailure {
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server answered with an error.
    #[error("{message} (error {code})")]
    Refused { code: i64, message: String },
    /// The answer is not MCP.
    #[error("{url} does not speak MCP: it answered {status} with {beginning:?}")]
    NotMcp { url: String, status: http::StatusCode, beginning: String },
    #[error("the API key cannot be sent: it holds characters that no header may have")]
    Key,
}

/// A conversation with a server.
#[derive(Debug)]
pub struct Conversation {
    client: Client,
    url: Url,
    key: Option<SecretString>,
    era: CallEra,
    version: String,
    session: Option<HeaderValue>,
    next_id: u64,
}

impl Conversation {
    #[must_use]
    pub fn new(client: Client, url: Url, key: Option<SecretString>, era: CallEra) -> Self {
        let version = match era {
            CallEra::Modern => MODERN,
            CallEra::Legacy => LegacyVersion::V2025_11_25.as_str(),
        };
        Self { client, url, key, era, version: version.to_owned(), session: None, next_id: 1 }
    }

    /// The handshake of the legacy era.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub async fn shake_hands(&mut self) -> Result<(), CallFailure> {
        let params =
            json!({"protocolVersion": self.version, "capabilities": {}, "clientInfo": client_info()});
        let (result, answer) = self.request("initialize", params, HeaderMap::new()).await?;
        if let Some(version) = result["protocolVersion"].as_str() {
            version.clone_into(&mut self.version);
        }
        self.session = answer.headers.get("mcp-session-id").cloned();
        let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let headers = self.headers("notifications/initialized", None)?;
        self.client.post(&self.url, headers, note.to_string().into()).await?;
        Ok(())
    }

    /// Every tool, from all pages.
    ///
    /// # Errors
    /// Where the server refuses.
    pub async fn list(&mut self) -> Result<Value, CallFailure> {
        let mut tools = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
            let (mut page, _) = self.request("tools/list", params, HeaderMap::new()).await?;
            tools.extend(page["tools"].as_array_mut().map(std::mem::take).unwrap_or_default());
            cursor = page["nextCursor"].take();
            if cursor.is_null() {
                return Ok(json!({"tools": tools}));
            }
        }
    }

    /// The result of a tool.
    ///
    /// # Errors
    /// Where the server refuses the call.
    pub async fn call(&mut self, tool: &str, arguments: &Map<String, Value>) -> Result<Value, CallFailure> {
        let params = json!({"name": tool, "arguments": arguments});
        match self.request("tools/call", params.clone(), HeaderMap::new()).await {
            Ok((result, _)) => Ok(result),
            // Some arguments have to be mirrored in headers; the tool's schema says which.
            Err(CallFailure::Refused { code, message })
                if code == i64::from(Code::HeaderMismatch.number()) =>
            {
                let mirrors = self.mirrors(tool, arguments).await?;
                if mirrors.is_empty() {
                    return Err(CallFailure::Refused { code, message });
                }
                self.request("tools/call", params, mirrors).await.map(|(result, _)| result)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn mirrors(
        &mut self,
        tool: &str,
        arguments: &Map<String, Value>,
    ) -> Result<HeaderMap, CallFailure> {
        let list = self.list().await?;
        let tools = list["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        let schema = tools
            .iter()
            .find(|entry| entry["name"] == tool)
            .and_then(|entry| entry["inputSchema"].as_object());
        let mut headers = HeaderMap::new();
        for property in schema.map(mirrored_properties).unwrap_or_default() {
            let mut path = property.path.iter();
            let first = path.next().and_then(|key| arguments.get(key));
            let value = path.try_fold(first, |value, key| Some(value?.get(key))).flatten();
            let text = match value {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => encode(text),
                Some(other) => other.to_string(),
            };
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(property.header, value);
            }
        }
        Ok(headers)
    }

    async fn request(
        &mut self,
        method: &str,
        mut params: Value,
        more: HeaderMap,
    ) -> Result<(Value, Answer), CallFailure> {
        let id = self.next_id;
        self.next_id += 1;
        if self.era == CallEra::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": client_info(),
            });
        }
        let mut headers = self.headers(method, params["name"].as_str())?;
        headers.extend(more);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        let answer = self.client.post(&self.url, headers, Bytes::from(body)).await?;
        let mut message = self.read(&answer, id)?;
        if message["error"].is_object() {
            let error = &message["error"];
            return Err(CallFailure::Refused {
                code: error["code"].as_i64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or("the server gave no reason").to_owned(),
            });
        }
        Ok((message["result"].take(), answer))
    }

    /// The message with this id: the body itself, or one of its events.
    fn read(&self, answer: &Answer, id: u64) -> Result<Value, CallFailure> {
        let text = answer.text();
        let is_ours = |message: &Value| {
            let refused = message["error"].is_object() && message["id"].is_null();
            message["jsonrpc"] == "2.0" && (message["id"] == id || refused)
        };
        let message = if answer.is("text/event-stream") {
            sse::data(&text).filter_map(|data| serde_json::from_str(&data).ok()).find(is_ours)
        } else {
            serde_json::from_str(&text).ok().filter(is_ours)
        };
        message.ok_or_else(|| CallFailure::NotMcp {
            url: self.url.to_string(),
            status: answer.status,
            beginning: text.chars().take(80).collect(),
        })
    }

    fn headers(&self, method: &str, name: Option<&str>) -> Result<HeaderMap, CallFailure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(key) = &self.key {
            let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
                .map_err(|_| CallFailure::Key)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut set = |name: HeaderName, value: &str| {
            // Methods, versions and encoded names are visible ASCII.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if self.era == CallEra::Modern {
            set(headers::METHOD, method);
            if let Some(name) = name {
                set(headers::NAME, &encode(name));
            }
        }
        if method != "initialize" {
            set(headers::PROTOCOL_VERSION, &self.version);
        }
        if let Some(session) = &self.session {
            headers.insert("mcp-session-id", session.clone());
        }
        Ok(headers)
    }
}

fn client_info() -> Value {
    json!({"name": "mcp-server call", "version": env!("CARGO_PKG_VERSION")})
}
