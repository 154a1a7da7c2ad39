//! A Compose deployment that does not become healthy: why, and what becomes of what ran before.

use serde_json::{Value, json};

use crate::compose::{container, desk};
use crate::harness::Desk;

const DEPLOY: [&str; 4] = ["deploy", "production", "-o", "json"];

/// A desk on which a healthy deployment of this program runs, and the next one is going to be unhealthy.
fn about_to_break() -> Desk {
    let desk = desk();
    desk.run(&DEPLOY).message();
    let config = json!({"name": "p", "services": {
        "web": {"build": {"context": "/x"}, "environment": {"BROKEN": "1"}, "depends_on": {"extra": {}}},
        "extra": {"image": "extra"}}});
    let old = container("new1", "web", "running", "healthy").to_string();
    let broken = [container("broken", "web", "running", "unhealthy"), container("e", "extra", "running", "")];
    desk.file("config.json", &config.to_string())
        .file("images.json", &json!([{"ID": "sha256:0ld", "ContainerName": "p-web-1"}]).to_string())
        .file("new.json", &Value::from(broken.to_vec()).to_string())
        .file("old.json", &old)
        .file("log", "listening\ncannot read production.json:3\n");
    desk.forget_calls();
    desk
}

#[test]
fn an_unhealthy_service_is_named_with_the_end_of_its_log_and_what_ran_before_comes_back() {
    let desk = about_to_break();
    let error = desk.run(&DEPLOY).error();
    assert_eq!(
        error,
        "production was not deployed: the service web is unhealthy; the end of its log (`docker compose -f docker-compose.yml logs web` shows more):\n    listening\n    cannot read production.json:3\nRolled back: what ran before is healthy again. Next: correct the cause, and deploy again"
    );
    // The file and the image of before, and nothing that was new.
    let rolled_back: Value = serde_json::from_str(&desk.read("rolled-back.json")).unwrap();
    assert_eq!(
        rolled_back,
        json!({"name": "p", "services": {"web": {"image": "p-web", "pull_policy": "never"}}})
    );
    assert!(
        desk.calls().contains(&"docker tag sha256:0ld p-web".to_owned()),
        "the name goes back to the old image"
    );
}

#[test]
fn what_another_program_started_comes_back_by_its_images() {
    let desk = about_to_break();
    std::fs::remove_dir_all(desk.path("home/.local")).unwrap();
    let error = desk.run(&DEPLOY).error();
    assert!(
        error.contains("Rolled back to the images that ran before (their Compose file is not known, so its changes stay): what ran before is healthy again"),
        "{error}"
    );
    let rolled_back: Value = serde_json::from_str(&desk.read("rolled-back.json")).unwrap();
    let web =
        json!({"image": "p-web", "pull_policy": "never", "environment": {"BROKEN": "1"}, "depends_on": {}});
    assert_eq!(rolled_back["services"], json!({"web": web}));
}

#[test]
fn where_the_name_cannot_be_given_back_the_image_is_gone_back_to_by_id() {
    let desk = about_to_break();
    let script = desk.read("docker.sh").replace("\"tag \"*) ;;", "\"tag \"*) echo refused >&2; exit 1 ;;");
    desk.program("docker", &script);
    let answer = desk.run(&DEPLOY);
    assert!(answer.error().contains("Rolled back"));
    assert!(answer.stderr.contains("warning: p-web still names the new image: refused"), "{}", answer.stderr);
    assert!(desk.read("rolled-back.json").contains("\"image\":\"sha256:0ld\""));
}

#[test]
fn a_container_whose_image_is_not_known_stops_the_deployment_before_anything_changes() {
    let desk = about_to_break();
    desk.file("images.json", "[]");
    assert_eq!(
        desk.run(&DEPLOY).error(),
        "the answer of `docker compose -f docker-compose.yml images --format json` cannot be read: it has no image of the container p-web-1; run it to see what it prints"
    );
    assert!(!desk.calls().iter().any(|call| call.contains(" up ")), "{:?}", desk.calls());
}

#[test]
fn after_a_rollback_the_next_failure_goes_back_to_the_same() {
    let desk = about_to_break();
    desk.file("old.json", &container("again", "web", "running", "healthy").to_string());
    desk.run(&DEPLOY).error();
    desk.file("rolled-back.json", "");
    assert!(desk.run(&DEPLOY).error().contains("Rolled back: what ran before is healthy again"));
    assert!(!desk.read("rolled-back.json").contains("BROKEN"));
}

#[test]
fn a_deployment_that_stays_silent_times_out_and_says_what_it_waited_for() {
    let desk = about_to_break();
    desk.file("new.json", &container("broken", "web", "running", "starting").to_string());
    let error = desk.run(&[&DEPLOY[..], &["--timeout", "1s"]].concat()).error();
    assert!(
        error.starts_with("production was not deployed: timed out after 1 s: web is starting, extra has no container (--timeout sets a longer time); the end of its log"),
        "{error}"
    );
    assert!(error.contains("Rolled back: what ran before is healthy again"), "{error}");
}

#[test]
fn a_build_that_fails_leaves_what_runs_alone() {
    let desk = about_to_break();
    // Nothing was replaced.
    desk.file("up-fails", "").file("new.json", &desk.read("old.json"));
    let error = desk.run(&DEPLOY).error();
    assert_eq!(
        error,
        "production was not deployed: `docker compose -f docker-compose.yml up --detach --build` failed:\n    built and started\n    failed to solve: no such file\nWhat ran before was not touched and runs on. Next: correct the cause, and deploy again"
    );
    assert!(!desk.calls().iter().any(|call| call.contains("--no-build")), "{:?}", desk.calls());
}

#[test]
fn a_first_deployment_that_fails_is_removed_again() {
    let desk = desk();
    desk.file(
        "new.json",
        &container("broken", "web", "exited", "").to_string().replace("\"ExitCode\":0", "\"ExitCode\":2"),
    );
    let error = desk.run(&DEPLOY).error();
    assert!(
        error.starts_with(
            "production was not deployed: the service web ended with exit code 2; its log is empty ("
        ),
        "{error}"
    );
    assert!(
        error
            .contains("\nNothing ran before, so what was started has been removed; volumes were kept. Next:"),
        "{error}"
    );
    assert!(desk.calls().contains(&"docker compose -f docker-compose.yml down".to_owned()));
}

#[test]
fn what_ran_before_may_be_broken_too_and_that_is_said() {
    let desk = about_to_break();
    desk.file("old.json", &container("old", "web", "running", "unhealthy").to_string());
    let error = desk.run(&DEPLOY).error();
    assert!(
        error.contains("\nRolled back, but it is not healthy either: the service web is unhealthy. Next:"),
        "{error}"
    );
}

#[test]
fn a_rollback_that_fails_is_said_with_the_reason() {
    let desk = about_to_break();
    let script = desk
        .read("docker.sh")
        .replace("/bin/cp \"$FAKE/old.json\" \"$FAKE/ps.json\" ;;", "echo 'no space left' >&2; exit 1 ;;");
    desk.program("docker", &script);
    let error = desk.run(&DEPLOY).error();
    assert!(
        error.contains("\nRolling back failed: `docker compose -f - --project-name p up --detach --no-build --remove-orphans` failed: no space left; run it to see all that it prints. Look with `docker compose -f docker-compose.yml ps --all`, and start what is missing"),
        "{error}"
    );
}
