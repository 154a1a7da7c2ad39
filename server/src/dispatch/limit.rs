//! The step after the rules: is the caller within the limits?
//!
//! What makes work counts: calls of tools, reads, prompts and completions. Lists, `ping` and greetings are answered from
//! memory and do not.

use std::time::{SystemTime, UNIX_EPOCH};

use mcp_server_config::{RateLimitMode, Refusal};
use serde_json::json;

use crate::auth::principal::Caller;
use crate::dispatch::refuse;
use crate::dispatch::snapshot::{Snapshot, Tool};
use crate::limit::{Limiter, Refused, Request, Scope};
use crate::protocol::errors::{Code, Fault};
use crate::protocol::methods::Method;
use crate::protocol::raw::Raw;

/// What is said to a caller over the limit.
#[derive(Debug)]
pub(super) enum Over {
    /// In the protocol's words.
    Fault(Fault),
    /// In a tool's words: the result of a call, which a model reads.
    Result(Raw),
}

/// Counts a request of `caller` for this method, and for a tool where it calls one.
///
/// # Errors
/// Where it is one too many.
pub(super) async fn check(
    limiter: &Limiter,
    snapshot: &Snapshot,
    caller: &Caller,
    method: Method,
    tool: Option<&Tool>,
) -> Result<(), Over> {
    let policy = &snapshot.limits;
    if policy.mode == RateLimitMode::Off {
        return Ok(());
    }
    let of_tool = tool.and_then(|tool| Some((&*tool.name, tool.limit?)));
    let completes = method == Method::Complete;
    let Err(refused) = limiter.check(policy, Request { caller, tool: of_tool, completes }).await else {
        return Ok(());
    };
    if policy.mode == RateLimitMode::Report {
        limiter.reported(refused);
        return Ok(());
    }
    limiter.refused(refused);
    let fault = fault(refused);
    Err(match (policy.refusal, tool) {
        (Refusal::ToolResult, Some(_)) => Over::Result(refuse::as_result(&fault)),
        _ => Over::Fault(fault),
    })
}

fn fault(refused: Refused) -> Fault {
    let (scope, rate, wait) = match refused {
        Refused::TooMany { scope, rate, wait } => (scope, rate, wait),
        Refused::StoreLost => {
            return Fault::new(
                Code::Overloaded,
                "rate limits cannot be checked at the moment; try again in 1 s",
            );
        }
    };
    let seconds = u32::try_from(wait.as_micros().div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1);
    let reset_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| (now + wait).as_secs() + 1);
    let requests = rate.requests_per_minute();
    let data = json!({
        "scope": scope.as_str(),
        "limit": requests,
        "burst": rate.burst(),
        "remaining": 0,
        "retryAfterMs": u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX),
        "resetAt": reset_at,
    });
    let what = match scope {
        Scope::Caller => "requests",
        Scope::Tool => "calls of this tool",
        Scope::Completion => "completions",
    };
    // A bucket knows no more than that it is empty: both numbers are needed to see why.
    let message = format!(
        "rate limit exceeded: {requests} {what} a minute are allowed, {} at once; try again in {seconds} s",
        rate.burst()
    );
    Fault {
        data: Some(Raw::of(&data)),
        retry_after: Some(seconds),
        ..Fault::new(Code::TooManyRequests, message)
    }
}
