//! The checks that the configuration asks for, and the one of the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
const DISK: &str = "disk";

/// Answers are read no further than this.
const MOST_ANSWER: usize = 1 << 20;
/// With less room than this on the disk the log is about to stop.
const LEAST_FREE: u64 = 64 << 20;

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
        let policy =
            Policy { period: health.interval().as_std(), timeout: std::time::Duration::from_secs(10) };
        let log = config.process.logging.file.as_ref().and_then(|file| file.path.as_deref());
        self.configure(DISK, log.map(|log| disk(Path::new(log), policy)).into_iter().collect());
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

/// Whether the directory of the log can be written to, and has room.
fn disk(log: &Path, policy: Policy) -> Check {
    let directory = log.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (directory, looking) = (directory.to_owned(), Arc::new(AtomicBool::new(false)));
    let subject = directory.display().to_string();
    Check::new(DISK, policy, subject, asking(move || ask_disk(directory.clone(), looking.clone())))
}

async fn ask_disk(directory: PathBuf, looking: Arc<AtomicBool>) -> Verdict {
    // A disk that hangs keeps a thread, and must not get a second one.
    if looking.swap(true, Ordering::AcqRel) {
        return Verdict::Error("the last look at the disk has not come back".to_owned());
    }
    let look = tokio::task::spawn_blocking(move || {
        let verdict = look(&directory);
        looking.store(false, Ordering::Release);
        verdict
    });
    look.await.unwrap_or_else(|_| Verdict::Error("the check itself broke".to_owned()))
}

fn look(directory: &Path) -> Verdict {
    let shown = directory.display();
    if let Err(error) = rustix::fs::access(directory, rustix::fs::Access::WRITE_OK) {
        return Verdict::Error(format!("{shown} cannot be written to: {error}"));
    }
    match rustix::fs::statvfs(directory) {
        Err(error) => Verdict::Error(format!("{shown} cannot be looked at: {error}")),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let told = format!("{} MiB free in {shown}", free >> 20);
            if free < LEAST_FREE { Verdict::Unhealthy(told) } else { Verdict::Healthy(told) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let Verdict::Healthy(told) = look(directory.path()) else { panic!("no room for tests") };
        assert!(told.contains("MiB free in"), "{told}");
        let gone = look(&directory.path().join("gone"));
        assert!(matches!(&gone, Verdict::Error(told) if told.contains("cannot be written to")), "{gone:?}");
    }
}
