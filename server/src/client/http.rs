//! HTTP, as far as a small client needs it.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::human::Human;

/// The largest answer that is read.
const MAX_ANSWER: usize = 64 << 20;

/// Where to send requests.
#[derive(Clone, Debug)]
pub struct Url {
    uri: Uri,
}

/// Why a URL cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    #[error("what was given is not a URL; write one like http://127.0.0.1:8080/mcp")]
    Malformed,
    #[error(
        "the URL begins with https, which this client does not speak yet; call the server directly over http, or through a proxy that ends TLS"
    )]
    Tls,
}

impl Url {
    /// # Errors
    /// Where the text is no URL of http.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed;
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(host)) if !host.is_empty() => Ok(Self { uri }),
            (Some("https"), _) => Err(UrlError::Tls),
            _ => Err(malformed()),
        }
    }

    #[must_use]
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(80)
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.uri.fmt(f)
    }
}

/// Sends requests.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error(
        "nothing listens at {0}; start a server there with `mcp-server serve`, or name another with --url"
    )]
    Nobody(String),
    #[error("no answer from {url} within {}", Human(*timeout))]
    Timeout { url: String, timeout: Duration },
    #[error("cannot reach {url}")]
    Unreachable { url: String, source: hyper_util::client::legacy::Error },
    #[error("the answer of {url} broke off")]
    Broken { url: String, source: Box<dyn std::error::Error + Send + Sync> },
}

impl Client {
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { pool: Pool::builder(TokioExecutor::new()).build(connector), timeout }
    }

    /// # Errors
    /// Where there is no answer.
    pub async fn get(&self, url: &Url) -> Result<Answer, HttpError> {
        self.send(Method::GET, url, HeaderMap::new(), Bytes::new()).await
    }

    /// # Errors
    /// Where there is no answer.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Answer, HttpError> {
        self.send(Method::POST, url, headers, body).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, HttpError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = url.uri.clone();
        *request.headers_mut() = headers;
        let exchange = async {
            let response = self.pool.request(request).await.map_err(|error| failure(url, error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|source| HttpError::Broken { url: url.to_string(), source })?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        let timeout = self.timeout;
        tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or_else(|_elapsed| Err(HttpError::Timeout { url: url.to_string(), timeout }))
    }
}

fn failure(url: &Url, error: hyper_util::client::legacy::Error) -> HttpError {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        {
            return HttpError::Nobody(url.to_string());
        }
        cause = inner.source();
    }
    HttpError::Unreachable { url: url.to_string(), source: error }
}

impl Answer {
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the body is of this media type.
    #[must_use]
    pub fn is(&self, media_type: &str) -> bool {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_is_spoken() {
        let url = Url::parse("http://[::1]/mcp").unwrap();
        assert_eq!((url.host(), url.port()), ("[::1]", 80));
        assert!(matches!(Url::parse("https://x/mcp"), Err(UrlError::Tls)));
        for bad in ["", "localhost:8080", "/mcp", "ftp://x/", "http:///mcp"] {
            assert!(matches!(Url::parse(bad), Err(UrlError::Malformed)), "{bad}");
        }
    }
}
