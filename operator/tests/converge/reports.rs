//! What serving pods say of themselves reaches the status.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use mcp_operator::reports::{Answer, Ask, Said};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::fake::Fake;
use crate::world::{NAMESPACE, Run, condition, ready, requests, settled, until, writes};

/// Pods that all say the same, and hold a question until that changes.
struct Pods {
    says: watch::Sender<Answer>,
    asked: AtomicUsize,
}

impl Pods {
    fn new() -> Arc<Self> {
        let says = watch::Sender::new(Answer { version: "1".to_owned(), troubles: Vec::new() });
        Arc::new(Self { says, asked: AtomicUsize::new(0) })
    }

    fn say(&self, version: &str, troubles: &[(&str, &str)]) {
        let said = |(part, message): &(&str, &str)| Said {
            part: (*part).to_owned(),
            message: (*message).to_owned(),
        };
        let troubles = troubles.iter().map(said).collect();
        self.says.send_replace(Answer { version: version.to_owned(), troubles });
    }
}

impl Ask for Pods {
    fn ask(&self, _: SocketAddr, since: String) -> BoxFuture<'_, Result<Answer, String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut says = self.says.subscribe();
        async move {
            // No news within the wait is an answer, too.
            let news = says.wait_for(|says| says.version != since);
            drop(timeout(Duration::from_secs(300), news).await);
            Ok(says.borrow().clone())
        }
        .boxed()
    }
}

/// A settled resource whose one pod can be asked.
async fn asked(fake: &Fake, pods: &Arc<Pods>) -> Run {
    let ask: Arc<dyn Ask> = Arc::<Pods>::clone(pods);
    let run = Run::start_asking(fake, &[], &ask);
    settled(fake, "hello").await;
    fake.edit("pods", NAMESPACE, "hello-0", |pod| pod["status"]["podIP"] = json!("10.0.0.7"));
    until("a question", || pods.asked.load(Ordering::SeqCst) > 0).await;
    requests(fake).await;
    run
}

fn degraded(fake: &Fake) -> Option<(String, String)> {
    let found = condition(fake, "hello", "Degraded")?;
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    Some((text("reason"), text("message")))
}

#[tokio::test(start_paused = true)]
async fn a_bad_keys_file_of_a_serving_pod_is_in_the_status_within_seconds_and_so_is_its_end() {
    let (fake, pods) = (Fake::new(), Pods::new());
    let run = asked(&fake, &pods).await;
    let since = Instant::now();
    pods.say("2", &[("auth", "the API keys in /app/secrets/api-keys/keys.json cannot be used: not JSON")]);
    until("the condition", || degraded(&fake).is_some()).await;
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    let message = "auth: the API keys in Secret shop/hello-api-key (key \"keys.json\") cannot be used: not JSON; the \
                   last valid keys stay in use (pod hello-0)";
    assert_eq!(degraded(&fake), Some(("KeysRefused".to_owned(), message.to_owned())));
    assert_eq!(ready(&fake, "hello"), "True/Ready");
    assert_eq!(writes(&requests(&fake).await), ["apply-status mcpservers hello"]);
    let told =
        fake.state().objects.iter().any(|(id, event)| {
            id.0 == "events" && event["reason"] == "Degraded" && event["type"] == "Warning"
        });
    assert!(told, "no event");

    let since = Instant::now();
    pods.say("3", &[]);
    until("the end", || degraded(&fake).is_none()).await;
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn at_rest_a_pod_is_asked_once_in_minutes_and_the_api_server_never() {
    let (fake, pods) = (Fake::new(), Pods::new());
    let run = asked(&fake, &pods).await;
    let before = pods.asked.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let times = pods.asked.load(Ordering::SeqCst) - before;
    assert!((10..=13).contains(&times), "{times} questions in an hour");
    assert_eq!(fake.take_requests(), []);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_part_that_comes_and_goes_does_not_become_a_stream_of_writes() {
    let (fake, pods) = (Fake::new(), Pods::new());
    let run = asked(&fake, &pods).await;
    for round in 0..600 {
        let troubles: &[_] = if round % 2 == 0 { &[("upstreams", "refused")] } else { &[] };
        pods.say(&format!("v{round}"), troubles);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let written = writes(&requests(&fake).await);
    assert!(written.len() < 20, "{} writes in ten minutes", written.len());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_gone_or_not_ready_has_nothing_more_to_say() {
    let (fake, pods) = (Fake::new(), Pods::new());
    let run = asked(&fake, &pods).await;
    pods.say(
        "2",
        &[("tools", "tool ask, header authorization: cannot read /app/secrets/refs/git/token: gone")],
    );
    until("the condition", || degraded(&fake).is_some()).await;
    fake.edit("pods", NAMESPACE, "hello-0", |pod| pod["status"]["conditions"][0]["status"] = json!("False"));
    until("the end", || degraded(&fake).is_none()).await;
    let before = pods.asked.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(pods.asked.load(Ordering::SeqCst), before);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_reaches_no_pod_does_everything_else() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.edit("pods", NAMESPACE, "hello-0", |pod| pod["status"]["podIP"] = json!("10.0.0.7"));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(ready(&fake, "hello"), "True/Ready");
    assert_eq!(fake.take_requests(), []);
    run.stop().await;
}
