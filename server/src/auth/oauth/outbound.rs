//! Authorization servers are asked through the server's one HTTP client.

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Request;
use tokio::time::Instant;

use crate::auth::oauth::fetch::{Bounds, Fetch, FetchError, Fetched, Trust};
use crate::outbound::{Client, Doing, Guard, OutboundError, Terms};
use crate::reload::chain;

impl Fetch for Client {
    fn fetch(
        &self,
        request: Request<Bytes>,
        bounds: Bounds,
    ) -> BoxFuture<'static, Result<Fetched, FetchError>> {
        let client = self.clone();
        let guard = match bounds.trust {
            Trust::Configured => Guard::Configured,
            Trust::Learned => Guard::Learned,
        };
        async move {
            let terms = Terms::new(guard, bounds.body, Instant::now() + bounds.time);
            let response = client.send(request, terms).await.map_err(|error| unanswered(&error))?;
            Ok(Fetched { status: response.status(), body: response.into_body() })
        }
        .boxed()
    }
}

fn unanswered(error: &OutboundError) -> FetchError {
    use OutboundError::{Encoded, Exchange, Json, Status, Timeout, TooLarge};
    let reached = matches!(
        error,
        Timeout { doing: Doing::Answering, .. }
            | Exchange { .. }
            | TooLarge { .. }
            | Status { .. }
            | Json { .. }
            | Encoded { .. }
    );
    FetchError { message: chain(error), reached }
}
