//! The checks that the configuration asks for.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use mcp_server_config::health::{HttpCheck, TcpCheck, ToolCheck};
use mcp_server_config::{HealthCheck, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::principal::Caller;
use crate::backend::{Backend, Call, Cx, Outcome};
use crate::observe::health::{Check, Policy, Registry, Verdict, asking};
use crate::outbound::{Client, Guard, Terms};
use crate::protocol::raw::Raw;
use crate::reload::chain;

/// The group of what the configuration asks for.
pub(super) const CONFIGURED: &str = "configured";

/// Answers are read no further than this.
const MOST_ANSWER: usize = 1 << 20;

impl Registry {
    /// Goes by the checks of this configuration from now on. Those that did not change go on undisturbed.
    pub fn follow(&self, config: &ServerConfig, client: &Client, backend: &Arc<dyn Backend>) {
        let health = &config.service.health;
        let checks = health.checks.iter().filter_map(|check| {
            let interval = check.interval.unwrap_or_else(|| health.interval());
            let policy = Policy { period: interval.as_std(), timeout: check.timeout().as_std() };
            configured(check, policy, client, backend)
        });
        self.configure(CONFIGURED, checks.collect());
        self.follow_disk(config);
    }
}

fn configured(
    check: &HealthCheck,
    policy: Policy,
    client: &Client,
    backend: &Arc<dyn Backend>,
) -> Option<Check> {
    // The name may stay while what is meant by it changes.
    let subject = serde_json::to_string(check).unwrap_or_default();
    let name = check.name.as_str();
    Some(if let Some(http) = check.http.clone() {
        let client = client.clone();
        Check::new(name, policy, subject, asking(move || ask_http(client.clone(), http.clone(), policy)))
    } else if let Some(tcp) = check.tcp.clone() {
        Check::new(name, policy, subject, asking(move || ask_tcp(tcp.clone())))
    } else {
        let tool = check.tool.clone()?;
        let backend = backend.clone();
        Check::new(name, policy, subject, asking(move || ask_tool(backend.clone(), tool.clone(), policy)))
    })
}

async fn ask_http(client: Client, check: HttpCheck, policy: Policy) -> Verdict {
    let mut request = Request::new(Bytes::new());
    match check.url.parse() {
        Ok(url) => *request.uri_mut() = url,
        Err(_) => return Verdict::Error("the URL cannot be read".to_owned()),
    }
    let terms = Terms::new(Guard::Configured, MOST_ANSWER, Instant::now() + policy.timeout);
    match client.send(request, terms).await {
        Err(error) => Verdict::Error(chain(&error)),
        Ok(response) => {
            let status = response.status();
            let fine = check.expect_status.map_or(status.is_success(), |expected| status == expected);
            let told = format!("the answer was {status}");
            if fine { Verdict::Healthy(told) } else { Verdict::Unhealthy(told) }
        }
    }
}

async fn ask_tcp(check: TcpCheck) -> Verdict {
    match TcpStream::connect(&check.address).await {
        Ok(_) => Verdict::Healthy(String::new()),
        Err(error) => Verdict::Error(format!("cannot connect to {}: {error}", check.address)),
    }
}

async fn ask_tool(backend: Arc<dyn Backend>, check: ToolCheck, policy: Policy) -> Verdict {
    let cancel = CancellationToken::new();
    // A call that takes too long is told that nobody waits.
    let _gone = cancel.clone().drop_guard();
    let cx = Cx::new(Caller::default(), Instant::now() + policy.timeout, cancel);
    let call = Call::tool(check.name, check.arguments.as_ref().map(Raw::of));
    match backend.call(call, cx).await {
        Ok(Outcome::Complete(answer)) if answer.is_error => {
            Verdict::Unhealthy("the tool answered with an error".to_owned())
        }
        Ok(Outcome::Complete(_)) => Verdict::Healthy(String::new()),
        Ok(_) => Verdict::Error("the tool asked a question, and nobody is here to answer".to_owned()),
        Err(error) => Verdict::Error(error.to_string()),
    }
}
