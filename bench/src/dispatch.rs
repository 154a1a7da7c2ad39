//! The way of a call through the server without its sockets: what instruction counts are taken of.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use mcp_server::auth::keyring::{Key, Keyring};
use mcp_server::auth::principal::Caller;
use mcp_server::backend::Backend as _;
use mcp_server::backend::tools::DeclaredTools;
use mcp_server::dispatch::record::Record;
use mcp_server::dispatch::snapshot::Snapshot;
use mcp_server::dispatch::{Arrival, Dispatcher};
use mcp_server::http::negotiate;
use mcp_server::observe::metrics::Metrics;
use mcp_server::settings::Sources;

use crate::servers::{Who, settings};
use crate::wire::{Era, FIRST, Template};

const KEY: &str = "key-00000000-0123456789abcdef0123456789";

/// A server without sockets, and a request for it.
#[derive(Debug)]
pub struct Bench {
    dispatcher: Arc<Dispatcher>,
    uri: Uri,
    headers: HeaderMap,
    template: Template,
    who: Who,
}

impl Bench {
    /// The server as it is measured over sockets.
    ///
    /// # Errors
    /// Where it does not take its configuration.
    pub fn new(who: Who, era: Era) -> io::Result<Self> {
        let place = tempfile::tempdir()?;
        let loaded = Sources::default()
            .load(&settings(who, place.path()).to_string())
            .map_err(|refused| io::Error::other(refused.to_string()))?;
        let tools = DeclaredTools::new(loaded.tools);
        let keys = Arc::new(Keyring::new(&[Key::new("caller", KEY)]));
        let catalogue = tools.catalogue();
        let catalogue = catalogue.borrow().clone();
        let snapshot = Snapshot::new(loaded.config, keys, &catalogue);
        let mut template = Template::call(era, "127.0.0.1:8080", Some(KEY.len()));
        let headers = headers(template.numbered(FIRST, Some(KEY)))?;
        let dispatcher = Arc::new(Dispatcher::new(tools, snapshot, Arc::new(Metrics::new())));
        Ok(Self { dispatcher, uri: Uri::from_static("/mcp"), headers, template, who })
    }

    /// Answers one call, from its head to the last byte of its answer.
    ///
    /// # Errors
    /// Where the answer is not the one that it should be.
    pub async fn call(&mut self, number: u64) -> io::Result<usize> {
        self.template.numbered(number, None);
        let body = Bytes::copy_from_slice(self.template.body());
        let mut record = Record::begin(self.dispatcher.metrics.clone());
        let snapshot = self.dispatcher.snapshot();
        let refused = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
        snapshot.gate.check(&self.uri, &self.headers).map_err(|fault| refused(&fault.message))?;
        let address = [127, 0, 0, 1].into();
        let (failures, counted) = (&self.dispatcher.failures, &self.dispatcher.metrics.auth);
        let identified = snapshot.auth.identify(&self.uri, &self.headers, address, failures, counted).await;
        let principal = identified.map_err(|refusal| refused(&refusal.reason()))?;
        if self.who == Who::Full && principal.is_none() {
            return Err(io::Error::other("nobody had to show a key"));
        }
        negotiate::check(&self.headers).map_err(|fault| refused(&fault.message))?;
        let caller = Caller { principal, address: Some(address) };
        let share = self.dispatcher.body_budget.take(body.len());
        let arrival =
            Arrival { body, share, headers: Some(&self.headers), caller, in_flight: None, notices: None };
        let reply = self.dispatcher.handle(&snapshot, arrival, &mut record).await;
        let message = reply.message.filter(|_| reply.status == http::StatusCode::OK);
        let message = message.ok_or_else(|| io::Error::other("a call was refused"))?;
        Ok(message.len())
    }
}

/// The headers of a request as hyper reads them.
fn headers(request: &[u8]) -> io::Result<HeaderMap> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut fields);
    head.parse(request).map_err(io::Error::other)?;
    let pair = |field: &httparse::Header<'_>| {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(io::Error::other)?;
        Ok((name, HeaderValue::from_bytes(field.value).map_err(io::Error::other)?))
    };
    head.headers.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_call_is_answered() {
        for who in [Who::Bare, Who::Full] {
            for era in Era::BOTH {
                let mut bench = Bench::new(who, era).unwrap();
                assert!(bench.call(FIRST).await.unwrap() > 50);
                assert!(bench.call(FIRST + 1).await.is_ok());
            }
        }
    }
}
