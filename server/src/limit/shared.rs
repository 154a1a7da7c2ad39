//! Buckets in Redis, shared by all replicas: the arithmetic of [`crate::limit::gcra`] in a script, with Redis' own clock.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};

use crate::limit::Part;
use crate::limit::gcra::{Answer, Rate};
use crate::limit::who::Who;
use crate::redis::script::{Invocation, Script};
use crate::redis::{Link, Lost, Redis, User};

/// Takes one request out of all buckets, or out of none. A bucket is kept as the microsecond at which it is full again
/// and the interval with which that was worked out; a full one is forgotten after ten seconds. Numbers stay below 2^53, where Lua counts
/// exactly.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
local function keep(key, full_at, interval)
  local left = math.max(math.ceil((full_at - now) / 1000), 10000)
  redis.call('SET', key, string.format('%.0f %.0f', full_at, interval), 'PX', string.format('%.0f', left))
end
local taken, remaining = {}, 0
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local capacity, full_at = interval * burst, now
  local at, of = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
  at, of = tonumber(at), tonumber(of)
  if at and at > now and of > 0 then
    local missing = at - now
    if of ~= interval then
      local part = missing % of
      missing = (missing - part) / of * interval + math.ceil(part * interval / of)
    end
    full_at = now + math.min(missing, capacity)
    if full_at ~= at or of ~= interval then
      keep(key, full_at, interval)
    end
  end
  local used = full_at + interval - now
  if used > capacity then
    return {i, used - capacity}
  end
  taken[i] = full_at + interval
  remaining = math.floor((capacity - used) / interval)
end
for i, key in ipairs(KEYS) do
  keep(key, taken[i], tonumber(ARGV[2 * i]))
end
return {0, remaining}",
    )
});

/// One of the buckets that a request is taken out of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared<'a> {
    pub(super) who: Who<'a>,
    pub(super) part: Part<'a>,
    pub(super) rate: Rate,
}

/// Takes one request out of all `buckets`; the answer comes with the index of the bucket that refused, or of the last.
/// `now` is absent but in tests.
pub(super) async fn take(
    redis: &Redis,
    link: &Arc<Link>,
    buckets: &[Shared<'_>],
    now: Option<i64>,
) -> Result<(usize, Answer), Lost> {
    let keys: Vec<_> = buckets.iter().map(|bucket| key(link.prefix(), bucket)).collect();
    let mut arguments = Vec::with_capacity(1 + 2 * buckets.len());
    arguments.push(now.map_or_else(|| "-".to_owned(), |now| now.to_string()));
    for bucket in buckets {
        arguments.extend([bucket.rate.interval().to_string(), bucket.rate.burst().to_string()]);
    }
    let call = Invocation { keys: &keys, arguments: &arguments };
    let (refused_by, number): (usize, i64) = TAKE.run(redis, link, User::Limit, &call).await?;
    Ok(match refused_by.checked_sub(1) {
        None => (buckets.len().saturating_sub(1), Answer::Allowed { remaining: number }),
        Some(index) => (index, Answer::Refused { wait: number }),
    })
}

/// The name of a bucket. Callers appear as a hash: ids may be long, or nobody else's business. All buckets of a caller
/// are in the same slot of a cluster.
fn key(prefix: &str, bucket: &Shared<'_>) -> String {
    let hash = digest(&SHA256, bucket.who.to_string().as_bytes());
    let kind = if bucket.part == Part::Completions { "completions:" } else { "" };
    let mut key = format!("{prefix}:limit:{kind}{{");
    for byte in &hash.as_ref()[..16] {
        // Writing to a string cannot fail.
        let _written = write!(key, "{byte:02x}");
    }
    key.push('}');
    if let Part::Tool(tool) = bucket.part {
        key.push(':');
        key.push_str(tool);
    }
    key
}
