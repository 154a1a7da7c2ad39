//! Waiting for conditions, with a deadline that says what did not come.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(100);

/// Asks until the answer is `Ok`; how long that took comes back with it.
///
/// # Panics
/// After `limit`, with the last `Err`.
#[expect(clippy::panic, reason = "the condition is the story")]
pub async fn eventually<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> F,
) -> (T, Duration) {
    let began = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return (answer, began.elapsed()),
            Err(why) if began.elapsed() > limit => {
                panic!("waited {limit:?} for {what}; the last answer was {why:?}")
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Asks until the answer has been the same for `quiet`.
///
/// # Panics
/// Where it still moves after `limit`.
pub async fn settle<T: PartialEq + Debug, F: Future<Output = T>>(
    what: &str,
    quiet: Duration,
    limit: Duration,
    mut ask: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    let (mut last, mut since) = (ask().await, Instant::now());
    while since.elapsed() < quiet {
        tokio::time::sleep(PAUSE).await;
        let now = ask().await;
        if now != last {
            assert!(began.elapsed() < limit, "{what} still moves after {limit:?}: {now:?}");
            (last, since) = (now, Instant::now());
        }
    }
    last
}
