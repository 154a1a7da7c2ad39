//! Keeps a connection: makes one, sees that it goes on answering, and makes another when it broke.
//!
//! What it asks is a heartbeat that writes: a Redis that only lets itself be read is as good as lost, and the set that is
//! written tells how many replicas there are.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_lc_rs::rand;
use redis::{AsyncConnectionConfig, Client, TlsCertificates};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use crate::backend::Health;
use crate::environment::Environment;
use crate::human::Human;
use crate::redis::script::{Invocation, Script};
use crate::redis::settings::Settings;
use crate::redis::{Link, Redis, User};
use crate::secret::{self, SecretError};

/// How often a connection that works is tried.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A replica that was not heard of for so long is gone.
const REPLICA_GONE: Duration = Duration::from_secs(10);

/// Waits between attempts: a Redis that is back is used again within two seconds.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(500);

/// Notes that a replica is there, forgets those that were not heard of, and says how many are left.
static BEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
return redis.call('ZCARD', KEYS[1])",
    )
});

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("the URL of Redis cannot be had")]
    Secret(#[from] SecretError),
    #[error("cannot connect to Redis")]
    Connect(#[source] redis::RedisError),
    #[error("connecting to Redis took longer than {}", Human(*.0))]
    Slow(Duration),
    #[error("Redis is there, but does not let itself be written, or not in time")]
    Useless,
    #[error("{0}")]
    Foreign(String),
}

pub(super) async fn run(redis: &Arc<Redis>, environment: &Environment, stop: &CancellationToken) {
    let id = replica_id(environment);
    let mut changes = redis.settings.subscribe();
    loop {
        let settings = changes.borrow_and_update().clone();
        let Some(settings) = settings else {
            redis.link.store(None);
            redis.foreign.clear();
            redis.metrics.up.set(0);
            redis.health.send_replace(Health::Healthy);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
            continue;
        };
        let kept = keep(redis, &settings, environment, &id);
        tokio::select! {
            () = kept => {}
            changed = changes.changed() => if changed.is_err() { return },
            () = stop.cancelled() => {
                leave(redis, &id).await;
                return;
            }
        }
    }
}

/// Connects again and again, with one server.
async fn keep(redis: &Arc<Redis>, settings: &Settings, environment: &Environment, id: &str) {
    // The one before served another configuration.
    redis.link.store(None);
    redis.foreign.clear();
    let mut wait = SHORTEST;
    let mut told = String::new();
    loop {
        match connect(redis, settings, environment, id).await {
            Ok(link) => {
                wait = SHORTEST;
                told.clear();
                redis.connected(link.clone());
                watch(redis, &link, id).await;
            }
            Err(error) => {
                let why = crate::reload::chain(&error);
                redis.health.send_replace(Health::Degraded(why.clone()));
                // Once for each reason, not for each attempt.
                if why != told {
                    tracing::warn!(why, "Redis is not there; going on without it until it is");
                    told = why;
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST);
            }
        }
    }
}

/// Looks after a link until it breaks.
async fn watch(redis: &Arc<Redis>, link: &Arc<Link>, id: &str) {
    loop {
        tokio::select! {
            () = redis.broke.notified() => {}
            () = tokio::time::sleep(HEARTBEAT) => beat(redis, link, id).await.unwrap_or_default(),
        }
        if !redis.link().is_some_and(|current| Arc::ptr_eq(&current, link)) {
            return;
        }
        redis.look_at_foreign_keys(link).await;
    }
}

async fn connect(
    redis: &Arc<Redis>,
    settings: &Settings,
    environment: &Environment,
    id: &str,
) -> Result<Arc<Link>, ConnectError> {
    let url = secret::read(&settings.url, environment)?;
    let url = url.expose_secret().trim();
    let client = match &settings.ca {
        None => Client::open(url),
        Some(ca) => {
            let ca = secret::read(ca, environment)?;
            let root_cert = Some(ca.expose_secret().as_bytes().to_vec());
            Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert })
        }
    };
    let client = client.map_err(ConnectError::Connect)?;
    let limit = settings.connect_timeout;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(1024);
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    let connection = tokio::time::timeout(limit, connection).await.map_err(|_| ConnectError::Slow(limit))?;
    let connection = connection.map_err(ConnectError::Connect)?;
    let link = Arc::new(Link { connection, settings: settings.clone(), late: AtomicU32::new(0) });
    if beat(redis, &link, id).await.is_none() {
        redis.look_at_foreign_keys(&link).await;
        let foreign = redis.foreign.trouble(Some(User::Heartbeat));
        return Err(foreign.map_or(ConnectError::Useless, ConnectError::Foreign));
    }
    Ok(link)
}

async fn beat(redis: &Arc<Redis>, link: &Arc<Link>, id: &str) -> Option<()> {
    let keys = [replicas_key(link)];
    let arguments = [id.to_owned(), REPLICA_GONE.as_millis().to_string()];
    let call = Invocation { keys: &keys, arguments: &arguments };
    let count: u32 = BEAT.run(redis, link, User::Heartbeat, &call).await.ok()?;
    redis.replicas.store(count, Ordering::Relaxed);
    redis.metrics.replicas.set(i64::from(count));
    Some(())
}

/// Tells the other replicas that this one goes. If it cannot be told, they notice.
async fn leave(redis: &Arc<Redis>, id: &str) {
    let Some(link) = redis.link() else { return };
    let mut command = redis::cmd("ZREM");
    command.arg(replicas_key(&link)).arg(id);
    let _told: Result<i64, _> = redis.ask(&link, User::Heartbeat, &command).await;
}

fn replicas_key(link: &Link) -> String {
    format!("{}:replicas", link.prefix())
}

/// The name of the pod, and what tells this process from one before it of the same name.
fn replica_id(environment: &Environment) -> String {
    let mut random = [0; 8];
    // Two replicas of the same id would only be counted as one.
    let _filled = rand::fill(&mut random);
    let host = environment.get("HOSTNAME").unwrap_or("replica");
    format!("{host}/{:016x}", u64::from_be_bytes(random))
}
