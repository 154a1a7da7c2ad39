use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const SOON: Policy = Policy { period: Duration::from_secs(60), timeout: Duration::from_secs(5) };

fn healthy(name: &str, subject: &str, asked: &Arc<AtomicUsize>) -> Check {
    let asked = asked.clone();
    Check::new(
        name,
        SOON,
        subject,
        asking(move || {
            asked.fetch_add(1, Ordering::Relaxed);
            async { Verdict::Healthy("fine".into()) }
        }),
    )
}

fn saying(name: &str, verdict: &Verdict) -> Check {
    let verdict = verdict.clone();
    Check::new(name, SOON, "x", asking(move || std::future::ready(verdict.clone())))
}

const FAST: Policy = Policy { period: Duration::from_millis(1), timeout: Duration::from_secs(5) };

/// Waits until a report is as it should be.
async fn until(registry: &Registry, name: &str, check: impl Fn(&Report) -> bool) -> Report {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let report = registry.report(name).unwrap();
        if check(&report) {
            return report;
        }
        assert!(std::time::Instant::now() < deadline, "{report:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn until_known(registry: &Registry, name: &str) -> Report {
    until(registry, name, |report| report.state != State::Unknown).await
}

#[tokio::test]
async fn a_check_runs_at_once_and_then_each_period() {
    let (registry, asked) = (Registry::default(), Arc::new(AtomicUsize::new(0)));
    registry.check(healthy("a", "x", &asked));
    assert_eq!(registry.report("a").unwrap().state, State::Unknown);
    let report = until_known(&registry, "a").await;
    assert_eq!((report.state, report.details.as_str()), (State::Healthy, "fine"));
    assert!(report.last_check.is_some() && report.took.is_some());
    let shown = report.to_json();
    assert_eq!((&shown["interval"], &shown["timeout"]), (&"1m".into(), &"5s".into()));
    assert_eq!(asked.load(Ordering::Relaxed), 1, "the next one is a minute away");
    registry.check(Check { policy: FAST, ..healthy("a", "x", &asked) });
    while asked.load(Ordering::Relaxed) < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn failures_in_a_row_are_counted_and_forgotten() {
    let registry = Registry::default();
    let (say, said) = watch::channel(Verdict::Error("no route".into()));
    registry.check(Check::new("a", FAST, "x", asking(move || std::future::ready(said.borrow().clone()))));
    let report = until(&registry, "a", |report| report.consecutive_failures >= 3).await;
    assert_eq!(report.state, State::Error);
    assert_eq!(report.to_component()["message"], "no route");
    say.send_replace(Verdict::Unhealthy("answers 500".into()));
    until(&registry, "a", |report| report.state == State::Unhealthy).await;
    say.send_replace(Verdict::Healthy(String::new()));
    let report = until(&registry, "a", |report| report.state == State::Healthy).await;
    assert_eq!(report.consecutive_failures, 0);
    assert!(report.to_json().get("details").is_none());
}

#[tokio::test]
async fn a_hung_or_broken_check_fails_and_never_overlaps_itself() {
    let (registry, at_once, most) =
        (Registry::default(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    struct Inside(Arc<AtomicUsize>);
    impl Drop for Inside {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let (inside, seen) = (at_once.clone(), most.clone());
    let hangs = Policy { period: Duration::from_millis(1), timeout: Duration::from_millis(20) };
    registry.check(Check::new(
        "hangs",
        hangs,
        "x",
        asking(move || {
            seen.fetch_max(inside.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            let inside = Inside(inside.clone());
            async move {
                let _inside = inside;
                std::future::pending().await
            }
        }),
    ));
    registry.check(Check::new("breaks", SOON, "x", || panic!("as asked")));
    let report = until(&registry, "hangs", |report| report.consecutive_failures >= 5).await;
    assert_eq!((report.state, report.details.as_str()), (State::Error, "no answer within 20 ms"));
    assert_eq!(most.load(Ordering::Relaxed), 1);
    assert_eq!(until_known(&registry, "breaks").await.state, State::Error);
    drop(registry);
    // The checks end with the registry.
    while at_once.load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_reload_keeps_what_is_known_of_unchanged_checks() {
    let (registry, asked) = (Registry::default(), Arc::new(AtomicUsize::new(0)));
    registry.watch("component", watch::channel(Health::Healthy).1);
    registry.configure("configured", vec![healthy("a", "one", &asked), healthy("b", "one", &asked)]);
    until_known(&registry, "b").await;
    let before = until_known(&registry, "a").await;
    registry.configure("configured", vec![healthy("a", "one", &asked), healthy("b", "two", &asked)]);
    assert_eq!(registry.report("a").unwrap(), before);
    assert_eq!(registry.report("b").unwrap().state, State::Unknown);
    until_known(&registry, "b").await;
    assert_eq!(asked.load(Ordering::Relaxed), 3, "only the changed one is asked at once");
    registry.configure("configured", Vec::new());
    let names: Vec<_> = registry.reports().into_iter().map(|report| report.name).collect();
    assert_eq!(names, [Arc::<str>::from("component")], "other groups stay");
}

#[tokio::test]
async fn the_gauges_follow_and_leave_nothing_behind() {
    let registry = Arc::new(Registry::default());
    let metrics = prometheus::Registry::new();
    super::shown::Gauges::register(&registry, &metrics);
    registry.check(saying("good", &Verdict::Healthy(String::new())));
    registry.check(saying("bad", &Verdict::Unhealthy("x".into())));
    let (say, told) = watch::channel(Health::Healthy);
    registry.watch("tells", told);
    until_known(&registry, "good").await;
    until_known(&registry, "bad").await;
    registry.tells("idle", || Told::not_used("nobody asked for it"));
    assert_eq!(registry.report("idle").unwrap().to_component()["health"], "Not used");
    let text = || prometheus::TextEncoder::new().encode_to_string(&metrics.gather()).unwrap();
    let shown = text();
    for line in [
        "mcp_server_health{check=\"good\"} 1",
        "mcp_server_health{check=\"bad\"} 0",
        "mcp_server_health{check=\"tells\"} 1",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains("idle"), "what is not used is neither well nor ill: {shown}");
    say.send_replace(Health::Degraded("slow".into()));
    registry.remove("bad");
    let shown = text();
    assert!(shown.contains("mcp_server_health{check=\"tells\"} 0") && !shown.contains("bad"), "{shown}");
}
