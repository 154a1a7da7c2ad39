//! Environments of the type `docker-compose`, with a scripted docker.

use serde_json::{Value, json};

use crate::harness::Desk;

/// A container as Compose prints it.
pub(crate) fn container(id: &str, service: &str, state: &str, health: &str) -> Value {
    json!({"ID": id, "Name": format!("p-{service}-1"), "Service": service, "State": state, "Health": health,
        "ExitCode": 0, "Image": format!("p-{service}"), "Status": "Up 1 second"})
}

/// Docker with Compose 2. The containers are in `ps.json`: before `up` none or those that a test puts there, afterwards
/// those of `new.json`, and after a rollback those of `old.json`.
pub(crate) const DOCKER: &str = r#"
case "$*" in
  "compose version --short") echo 2.40.3 ;;
  "compose ls --quiet") ;;
  "compose -f docker-compose.yml config --format json") /bin/cat "$FAKE/config.json" ;;
  "compose -f docker-compose.yml ps --all --format json") /bin/cat "$FAKE/ps.json" ;;
  "compose -f docker-compose.yml images --format json") /bin/cat "$FAKE/images.json" ;;
  "compose -f docker-compose.yml up --detach --build")
    echo "built and started" >&2
    /bin/cp "$FAKE/new.json" "$FAKE/ps.json"
    if [ -e "$FAKE/up-fails" ]; then echo "failed to solve: no such file" >&2; exit 17; fi ;;
  "compose -f docker-compose.yml logs --no-color --no-log-prefix --tail 10 "*) /bin/cat "$FAKE/log" ;;
  "compose -f docker-compose.yml down"*) printf '' >"$FAKE/ps.json" ;;
  "tag "*) ;;
  "compose -f - --project-name p up --detach --no-build --remove-orphans")
    /bin/cat >"$FAKE/rolled-back.json"
    /bin/cp "$FAKE/old.json" "$FAKE/ps.json" ;;
  *) echo "unexpected: docker $*" >&2; exit 99 ;;
esac
"#;

/// A desk with a Compose project of one service that becomes healthy.
pub(crate) fn desk() -> Desk {
    let desk = Desk::new();
    let config = json!({"name": "p", "services": {"web": {"build": {"context": "/x"}}}});
    desk.file("docker-compose.yml", "services: {web: {build: .}}")
        .file("config.json", &config.to_string())
        .file("ps.json", "")
        .file("images.json", &json!([{"ID": "sha256:1mage", "ContainerName": "p-web-1"}]).to_string())
        .file("log", "")
        .file("new.json", &container("new1", "web", "running", "healthy").to_string())
        .program("docker", DOCKER);
    desk
}

#[test]
fn a_deployment_builds_replaces_and_waits_for_health() {
    let desk = desk();
    let answer = desk.run(&["deploy", "production", "-o", "json"]);
    assert_eq!(answer.message(), "production is deployed: 1 service is healthy (web)");
    assert_eq!(answer.json(), json!({"success": true, "message": answer.message()}));
    assert!(answer.stderr.contains("built and started"), "progress is shown: {}", answer.stderr);
    let calls = desk.calls();
    assert!(
        calls.contains(&"docker compose -f docker-compose.yml up --detach --build".to_owned()),
        "{calls:?}"
    );
    let text = desk.run(&["deploy", "production"]);
    assert_eq!(text.stdout, "production is deployed: 1 service is healthy (web)\n");
}

#[test]
fn health_is_asked_for_until_it_comes() {
    let desk = desk();
    // Healthy at the third look.
    desk.file("new.json", &container("new1", "web", "running", "starting").to_string()).program(
        "docker",
        &format!(
            r#"case "$*" in *" ps --all --format json")
              looks=$(/bin/cat "$FAKE/looks" 2>/dev/null)x; echo "$looks" >"$FAKE/looks"
              [ "$looks" != xxxx ] || printf '%s' '{}' >"$FAKE/ps.json" ;; esac
            {DOCKER}"#,
            container("new1", "web", "running", "healthy")
        ),
    );
    assert!(desk.run(&["deploy", "production", "-o", "json"]).message().contains("web"));
    assert_eq!(desk.read("looks"), "xxxx\n", "one look before, three after");
}

#[test]
fn without_compose_there_is_a_next_step() {
    let deploy = ["deploy", "production", "-o", "json"];
    let desk = Desk::new();
    desk.file("docker-compose.yml", "");
    let none = desk.run(&deploy).error();
    assert!(none.contains("neither docker nor docker-compose is on the PATH; install Docker"), "{none}");

    desk.program("docker", "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1");
    let no_plugin = desk.run(&deploy).error();
    assert!(
        no_plugin.starts_with("docker has no Compose plugin, and docker-compose is not on the PATH;"),
        "{no_plugin}"
    );

    desk.program("docker-compose", "echo 1.29.2");
    let old = desk.run(&deploy).error();
    assert!(old.starts_with("docker-compose is version 1.29.2, and Compose 2 or newer is needed;"), "{old}");
}

#[test]
fn docker_compose_on_its_own_will_do() {
    let desk = desk();
    desk.program("docker", "exit 1").program("docker-compose", &DOCKER.replace("\"compose ", "\""));
    assert!(desk.run(&["deploy", "production", "-o", "json"]).message().contains("is deployed"));
    assert!(desk.calls().contains(&"docker-compose -f docker-compose.yml up --detach --build".to_owned()));
}

#[test]
fn an_engine_that_does_not_answer_is_named_before_anything_is_done() {
    let desk = desk();
    desk.program(
        "docker",
        &DOCKER.replace(
            "\"compose ls --quiet\") ;;",
            "\"compose ls --quiet\") echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1 ;;",
        ),
    );
    for command in ["deploy", "undeploy", "status"] {
        desk.forget_calls();
        let error = desk.run(&[command, "production", "-o", "json"]).error();
        assert!(
            error.starts_with("the Docker engine does not answer: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.; start it"),
            "{error}"
        );
        assert_eq!(desk.calls().len(), 2, "{:?}", desk.calls());
    }
}

#[test]
fn a_file_that_compose_refuses_is_named_with_the_reason() {
    let desk = desk();
    desk.program(
        "docker",
        &DOCKER.replace(
            "/bin/cat \"$FAKE/config.json\" ;;",
            "echo 'services.web Additional property imagee is not allowed' >&2; exit 15 ;;",
        ),
    );
    assert_eq!(
        desk.run(&["deploy", "production", "-o", "json"]).error(),
        "Compose refuses docker-compose.yml: services.web Additional property imagee is not allowed; correct the file, and check it with `docker compose -f docker-compose.yml config --quiet`"
    );
}

#[test]
fn status_lists_the_services_and_fails_unless_all_are_healthy() {
    let desk = desk();
    let status = ["status", "production", "-o", "json"];
    assert_eq!(desk.run(&status).error(), "Nothing of production is deployed; `deploy production` does it");

    desk.file("ps.json", &container("c1", "web", "running", "healthy").to_string());
    let answer = desk.run(&status);
    assert_eq!(answer.message(), "production is healthy: 1 container up");
    assert_eq!(answer.json()["services"][0]["health"], "healthy");
    let text = desk.run(&["status", "production"]);
    assert!(
        text.stdout
            .contains("SERVICE  CONTAINER  STATE    HEALTH   STATUS\nweb      p-web-1    running  healthy"),
        "{}",
        text.stdout
    );

    desk.file("ps.json", &container("c1", "web", "running", "unhealthy").to_string());
    let answer = desk.run(&status);
    assert_eq!(
        answer.error(),
        "production is not healthy: web is unhealthy; `docker compose -f docker-compose.yml logs SERVICE` says why"
    );
    assert_eq!(answer.json()["services"][0]["service"], "web");
}

#[test]
fn undeploy_takes_everything_down_but_the_volumes() {
    let desk = desk();
    let undeploy = ["undeploy", "production", "-o", "json"];
    assert_eq!(desk.run(&undeploy).message(), "Nothing of production was deployed");
    desk.run(&["deploy", "production"]);
    let message = desk.run(&undeploy).message();
    assert!(message.starts_with("production is taken down; its volumes were kept"), "{message}");
    assert!(desk.calls().contains(&"docker compose -f docker-compose.yml down --remove-orphans".to_owned()));
    assert_eq!(desk.read("home/.local/state/mcp-operator/deployments/p.json"), "");
}
