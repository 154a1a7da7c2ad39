//! What is logged, how and where: `logging.*`.

use std::fs;

use serde_json::json;

use super::{Case, Running, fresh};
use crate::harness::eventually;

const LOG: &str = "logs/production.log";

pub(super) async fn level(case: Case) {
    logging(case)
        .shows([(json!("INFO"), "all requests"), (json!("WARNING"), "failures")], async |running| {
            let text = format!("said-{}", fresh());
            running.call("say", json!({"text": text})).await;
            failure(running, LOG).await;
            let log = fs::read_to_string(running.path(LOG)).unwrap();
            if log.contains(&text) { "all requests" } else { "failures" }.to_owned()
        })
        .await;
}

pub(super) async fn format(case: Case) {
    let formats = ["%(levelname)-8s|%(message)s", "%(name)s: %(message)s"];
    logging(case)
        .with(json!({"logging": {"json_format": false}}))
        .shows(
            [
                (json!(formats[0]), "WARNING |error tools/call"),
                (json!(formats[1]), "mcp_server.requests: error tools/call"),
            ],
            async |running| {
                let line = failure(running, LOG).await;
                line.split(" request_id=").next().unwrap().to_owned()
            },
        )
        .await;
}

pub(super) async fn json_format(case: Case) {
    logging(case)
        .shows([(json!(true), "JSON"), (json!(false), "text")], async |running| {
            let line = failure(running, LOG).await;
            if line.starts_with('{') { "JSON" } else { "text" }.to_owned()
        })
        .await;
}

pub(super) async fn file_path(case: Case) {
    let paths = ["logs/one.log", "logs/two.log"];
    logging(case)
        .shows(paths.map(|path| (json!(path), path)), async |running| {
            let marker = fail(running).await;
            let mut found = "";
            eventually("it is logged", async || {
                found = paths.into_iter().find(|path| line(running, path, &marker).is_some()).unwrap_or("");
                !found.is_empty()
            })
            .await;
            found.to_owned()
        })
        .await;
}

pub(super) async fn max_file_size_mb(case: Case) {
    logging(case)
        .with(json!({"logging": {"backup_count": 1}}))
        .shows([(json!(1), "just below 1 MiB"), (json!(100), "none")], async |running| {
            let backups = backups(running, 3).await;
            match backups.first() {
                None => "none",
                Some(1_000_000..1_048_577) => "just below 1 MiB",
                Some(_) => "another size",
            }
            .to_owned()
        })
        .await;
}

pub(super) async fn backup_count(case: Case) {
    logging(case)
        .with(json!({"logging": {"max_file_size_mb": 1}}))
        .shows([(json!(1), "1"), (json!(2), "2")], async |running| {
            backups(running, 4).await.len().to_string()
        })
        .await;
}

fn logging(case: Case) -> Case {
    case.with(json!({"logging": {"requests": {"mode": "All", "arguments": "Full"}}}))
}

/// A call that fails, by the name that no other has.
async fn fail(running: &Running) -> String {
    let name = format!("gone-{}-", fresh());
    running.call(&name, json!({})).await;
    name
}

fn line(running: &Running, path: &str, marker: &str) -> Option<String> {
    let log = fs::read_to_string(running.path(path)).ok()?;
    log.lines().rfind(|line| line.contains(marker) && line.contains("error tools/call")).map(str::to_owned)
}

/// The line of a call that fails, which is the last of everything that was logged before.
async fn failure(running: &Running, path: &str) -> String {
    let marker = fail(running).await;
    let mut found = None;
    eventually("it is logged", async || {
        found = line(running, path, &marker);
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// The sizes of older files after so many MiB were logged.
async fn backups(running: &Running, mebibytes: usize) -> Vec<u64> {
    let path = |number: usize| running.path(&format!("{LOG}.{number}"));
    for number in 1..=mebibytes {
        // Those of an earlier look; there may be none.
        let _none = fs::remove_file(path(number));
    }
    // Of longer arguments, only the length is logged.
    let text = "x".repeat(15_000);
    for _ in 0..mebibytes * 70 {
        running.call("say", json!({"text": text})).await;
    }
    failure(running, LOG).await;
    (1..=mebibytes).map_while(|number| Some(fs::metadata(path(number)).ok()?.len())).collect()
}
