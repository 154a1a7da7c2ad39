//! Tools that ask somebody else over HTTP.
//!
//! A call is filled in ([`fill`]), asked ([`ask`]) by itself or together with others ([`batch`]), and its answer mapped
//! ([`map`]). Nothing of the caller's own request goes along: what an upstream learns stands in the declaration.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use mcp_server_config::Performance;
use mcp_server_config::compile::http::HeaderSource;
use mcp_server_config::compile::{Body, CompiledTool, CompiledTools, HttpProgram};
use prometheus::Registry;
use secrecy::SecretString;
use tokio::time::Instant;

use super::run::Checked;
use super::{Work, answer};
use crate::auth::principal::Caller;
use crate::backend::{Answer, CallError, Cx};
use crate::outbound::{Client, OutboundError, Terms};
use crate::reload::chain;

mod ask;
mod batch;
pub(super) mod fill;
mod lacking;
mod map;
mod secrets;

use batch::{Batcher, Item, Shared as SharedRequest};
use fill::{Filled, Filler, Unfit};
use lacking::Lacking;
use map::Given;
pub(super) use secrets::Secrets;

/// Asks upstreams for the tools.
#[derive(Debug)]
pub(super) struct Asker {
    client: Client,
    secrets: Secrets,
    lacking: Lacking,
    batcher: Arc<Batcher>,
}

/// How far a call got.
pub(super) enum Asked {
    Done(Answer),
    /// The upstream has answered; what to make of it may take long.
    Later(Work),
}

impl Asker {
    pub(super) fn new(
        client: Client,
        secrets: Secrets,
        performance: &Performance,
        registry: &Registry,
    ) -> Self {
        let batcher = Batcher::new(client.clone(), &performance.batching, registry);
        Self { client, secrets, lacking: Lacking::default(), batcher: Arc::new(batcher) }
    }

    /// Has the upstreams of these tools shown, asked or not, and looks whether there is what it takes to ask them.
    pub(super) fn declare(&self, tools: &CompiledTools) {
        let origins = tools.iter().filter_map(|tool| match tool.body() {
            Body::Http(program) => program.url.literal_origin(),
            _ => None,
        });
        let origins: Vec<_> = origins.collect();
        self.client.declare(origins.iter().map(String::as_str));
        self.lacking.look(tools, self.secrets.environment());
    }

    /// A sentence of each secret that the tools need and that is not there.
    pub(super) fn lacking(&self) -> Vec<String> {
        self.lacking.told(self.secrets.environment())
    }

    pub(super) fn reconfigure(&self, performance: &Performance) {
        self.batcher.reconfigure(&performance.batching);
    }

    /// Answers a call of `tool`, which is `program`. Dropping the future takes the request back.
    pub(super) async fn call(
        &self,
        tool: &Arc<CompiledTool>,
        program: &HttpProgram,
        arguments: &Checked,
        cx: &Cx,
    ) -> Result<Asked, CallError> {
        let secrets = match self.secrets(program).await {
            Ok(secrets) => secrets,
            Err(error) => {
                tracing::error!(tool = &**tool.name(), error, "a secret of a tool cannot be had");
                return Ok(Asked::Done(answer::error(
                    "The tool lacks a secret that it needs; whoever runs this server must mend it.",
                )));
            }
        };
        let (filled, body) = match filled(program, arguments.json(), &secrets) {
            Ok(filled) => filled,
            Err(unfit) => return Ok(Asked::Done(answer::error(&unfit.sentence()))),
        };
        let now = Instant::now();
        let deadline = program.timeout.map_or(cx.deadline, |timeout| cx.deadline.min(now + timeout));
        let terms = Terms::new(filled.guard, program.max_response, deadline);
        let outcome = match (&program.batch, body) {
            (Some(_), Some(body)) => {
                let shared = SharedRequest { tool: tool.clone(), request: filled.request, terms };
                let item = Item { body, deadline, room: cx.room.clone() };
                self.batcher.ask(shared, &cx.caller, item).await?
            }
            (_, body) => {
                let _room = batch::room(cx.room.as_ref(), deadline).await?;
                let mut request = filled.request;
                *request.body_mut() = body.map_or_else(Bytes::new, Bytes::from);
                self.one(program, request, terms).await
            }
        };
        match outcome {
            Ok(response) => Ok(mapped(tool, Given::new(response, program, arguments.json(), &secrets))),
            // Then it is the call that takes too long.
            Err(_) if Instant::now() >= cx.deadline => Err(CallError::Timeout),
            Err(sentence) => Ok(Asked::Done(answer::error(&sentence))),
        }
    }

    async fn one(
        &self,
        program: &HttpProgram,
        request: Request<Bytes>,
        terms: Terms,
    ) -> Result<Response<Bytes>, String> {
        ask::ask(&self.client, program, request, terms).await.map_err(|error| sentence(&error))
    }

    async fn secrets(&self, program: &HttpProgram) -> Result<Vec<Arc<SecretString>>, String> {
        let mut secrets = Vec::new();
        for (_, source) in &program.headers {
            if let HeaderSource::Secret { secret, .. } = source {
                secrets.push(self.secrets.get(secret).await?);
            }
        }
        Ok(secrets)
    }
}

fn filled(
    program: &HttpProgram,
    arguments: &str,
    secrets: &[Arc<SecretString>],
) -> Result<(Filled, Option<String>), Unfit> {
    let mut filler = Filler::new(arguments);
    let body = fill::body(program, &mut filler);
    let filled = fill::head(program, &mut filler, secrets)?;
    Ok((filled, body))
}

fn mapped(tool: &Arc<CompiledTool>, given: Given) -> Asked {
    let Body::Http(program) = tool.body() else {
        return Asked::Done(answer::error("The tool has changed."));
    };
    if let Some(error) = batch::failed(program, &given) {
        return Asked::Done(error);
    }
    if given.is_cheap(&program.result) {
        return Asked::Done(given.answer(tool, &program.result));
    }
    let tool = tool.clone();
    Asked::Later(Box::new(move || match tool.body() {
        Body::Http(program) => given.answer(&tool, &program.result),
        _ => answer::error("The tool has changed."),
    }))
}

/// What a model reads where there is no answer. The log has the causes.
fn sentence(error: &OutboundError) -> String {
    tracing::warn!(error = chain(error), "an upstream of a tool did not answer as it should");
    format!("The tool could not ask its upstream: {error}.")
}

/// Who asks, for telling callers apart.
fn identity(caller: &Caller) -> (u8, &str) {
    use crate::auth::principal::PrincipalKind;
    match caller.principal.as_deref() {
        None => (0, ""),
        Some(principal) => match principal.kind {
            PrincipalKind::ApiKey => (1, &principal.id),
            PrincipalKind::Token => (2, &principal.id),
        },
    }
}
