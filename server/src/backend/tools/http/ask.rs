//! Sends a request, and sends it again where that does no harm and may help.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use mcp_server_config::compile::HttpProgram;
use tokio::time::{Instant, sleep};

use crate::outbound::{Client, OutboundError, Terms};

/// The first pause; each further one is twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// Asks the upstream, as often as the tool allows and as the deadline leaves time for.
pub(super) async fn ask(
    client: &Client,
    program: &HttpProgram,
    request: Request<Bytes>,
    terms: Terms,
) -> Result<Response<Bytes>, OutboundError> {
    for attempt in 0..program.retries {
        let outcome = client.send(request.clone(), terms).await;
        let pause = match &outcome {
            Ok(response) if is_passing(response.status()) => {
                retry_after(response.headers()).unwrap_or_else(|| backoff(attempt))
            }
            Err(error) if error.is_passing() => backoff(attempt),
            _ => return outcome,
        };
        if Instant::now() + pause >= terms.deadline {
            return outcome;
        }
        sleep(pause).await;
    }
    client.send(request, terms).await
}

/// What a server says that may answer soon.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502..=504)
}

/// Between half and the whole of a time that doubles: many that failed together must not come back together.
fn backoff(attempt: u32) -> Duration {
    let whole = FIRST.saturating_mul(1 << attempt.min(10)).min(LONGEST);
    // Each state is keyed at random, which is all the chance that is needed here.
    let random = RandomState::new().hash_one(attempt);
    let share = u32::try_from(random % 512).unwrap_or_default();
    whole / 2 + whole * share / 1024
}

/// What the answer says of when to come back: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ_and_are_bounded() {
        for attempt in 0..8 {
            let whole = (FIRST * (1 << attempt)).min(LONGEST);
            for _ in 0..50 {
                let pause = backoff(attempt);
                assert!(whole / 2 <= pause && pause <= whole, "{attempt}: {pause:?}");
            }
        }
        let distinct: std::collections::HashSet<_> = (0..50).map(|_| backoff(4)).collect();
        assert!(distinct.len() > 10);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let of =
            |text: &str| retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(of("3"), Some(Duration::from_secs(3)));
        assert_eq!(of("Tue, 15 Nov 1994 08:12:31 GMT"), Some(Duration::ZERO));
        assert_eq!(of("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
