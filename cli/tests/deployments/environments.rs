//! Which environments there are.

use crate::harness::Desk;

fn error(desk: &Desk, arguments: &[&str]) -> String {
    desk.run(&[arguments, &["-o", "json"]].concat()).error()
}

#[test]
fn an_unknown_environment_is_answered_with_the_known_ones() {
    let desk = Desk::new();
    for command in ["deploy", "undeploy", "status"] {
        assert_eq!(
            error(&desk, &[command, "prod"]),
            "the environment prod is unknown; without config/deployment.json there are production, k8s. Name one of these, or declare prod in config/deployment.json"
        );
    }
    desk.file("config/deployment.json", r#"{"environments": {"staging": {}, "live": {}}}"#);
    assert_eq!(
        error(&desk, &["deploy", "production"]),
        "the environment production is unknown; config/deployment.json declares live, staging"
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_the_place() {
    let desk = Desk::new();
    assert!(
        error(&desk, &["deploy", "production", "--file", "my.json"])
            .starts_with("my.json does not exist; create it, or name another file with --file"),
    );
    desk.file("config/deployment.json", "{\n  \"environments\": {\n    \"production\": oops\n");
    assert_eq!(
        error(&desk, &["deploy", "production"]),
        "config/deployment.json:3:19 is not JSON: expected value; correct that line"
    );
    desk.file("d.json", r#"{"environments": {"x": {"type": "swarm", "config_file": "x"}}}"#);
    assert_eq!(
        error(&desk, &["deploy", "x", "-f", "d.json"]),
        "d.json: environments.x.type \"swarm\" is unknown; write docker-compose or kubernetes"
    );
    desk.file("folder/x", "");
    let unreadable = error(&desk, &["deploy", "x", "-f", "folder"]);
    assert!(unreadable.starts_with("folder cannot be read: "), "{unreadable}");
}

#[test]
fn a_missing_configuration_file_is_named_with_where_it_was_looked_for() {
    let desk = Desk::new();
    let folder = desk.path("").canonicalize().unwrap().display().to_string();
    for (environment, tried) in [
        (
            "production",
            "deploy/compose/docker-compose.yaml, docker-compose.yml, docker-compose.yaml, compose.yaml",
        ),
        ("k8s", "k8s/deployment.yaml, k8s, examples/hello.yaml"),
    ] {
        assert_eq!(
            error(&desk, &["deploy", environment]),
            format!(
                "there is no configuration file for the environment {environment}: none of {tried} exists in {folder}; create one, or name yours as config_file in config/deployment.json"
            )
        );
    }
    desk.file(
        "config/deployment.json",
        r#"{"environments": {"x": {"type": "docker-compose", "config_file": "gone.yml"}}}"#,
    );
    assert_eq!(
        error(&desk, &["deploy", "x"]),
        format!(
            "the configuration file gone.yml of the environment x does not exist in {folder}; correct config_file in config/deployment.json, or change to the folder that holds it"
        )
    );
}

#[test]
fn a_field_without_effect_is_warned_of() {
    let desk = Desk::new();
    desk.file("c.yml", "").file(
        "config/deployment.json",
        r#"{"environments": {"x": {"type": "docker-compose", "config_file": "c.yml", "namespace": "a"}}, "version": 1}"#,
    );
    let answer = desk.run(&["status", "x"]);
    for warning in [
        "warning: config/deployment.json: version has no effect here; known are environments\n",
        "warning: config/deployment.json: environments.x.namespace has no effect here; known are type, config_file\n",
    ] {
        assert!(answer.stderr.contains(warning), "{}", answer.stderr);
    }
}
