//! Environments of the type `kubernetes`, with a scripted kubectl.

use serde_json::{Value, json};

use crate::harness::Desk;

/// An `McpServer` of a generation with a condition.
pub(crate) fn server(text: &str, generation: i64, condition: Value) -> Value {
    json!({"apiVersion": "mcp-operator.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "hello", "namespace": "mcp-production", "generation": generation, "resourceVersion": "1"},
        "spec": {"text": text},
        "status": {"observedGeneration": generation, "url": "http://hello.mcp-production.svc/mcp", "conditions": [condition]}})
}

pub(crate) fn ready() -> Value {
    json!({"type": "Ready", "status": "True", "reason": "Ready", "message": "Serving 1 tool on 1 pod"})
}

pub(crate) fn list(objects: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

/// kubectl. What the cluster holds is in `present.json`: after `apply` that of `new.json`, after `replace` that of
/// `old.json`.
pub(crate) const KUBECTL: &str = r#"
case "$*" in
  "version "*) echo '{}' ;;
  "create --dry-run=client --validate=false --output json "*) /bin/cat "$FAKE/declared.json" ;;
  "get --filename - --ignore-not-found --output json --namespace mcp-production") /bin/cat >/dev/null; /bin/cat "$FAKE/present.json" ;;
  "get namespace mcp-production "*) [ ! -e "$FAKE/namespace" ] || /bin/cat "$FAKE/namespace" ;;
  "create namespace mcp-production "*) echo '{"metadata": {"name": "mcp-production"}}' >"$FAKE/namespace" ;;
  "apply -f "*)
    if [ -e "$FAKE/apply-fails" ]; then /bin/cat "$FAKE/apply-fails" >&2; exit 1; fi
    /bin/cp "$FAKE/new.json" "$FAKE/present.json"; echo "hello configured" ;;
  "replace --filename - --namespace mcp-production") /bin/cat >"$FAKE/replaced.json"; /bin/cp "$FAKE/old.json" "$FAKE/present.json" ;;
  "delete --filename - --ignore-not-found --timeout="*) /bin/cat >"$FAKE/deleted.json"; printf '' >"$FAKE/present.json" ;;
  "delete namespace mcp-production "*) /bin/rm "$FAKE/namespace" ;;
  "get pods "*) echo '{"kind": "List", "items": []}' ;;
  "logs "*) /bin/cat "$FAKE/log" ;;
  *) echo "unexpected: kubectl $*" >&2; exit 99 ;;
esac
"#;

/// A desk with a cluster that has an operator and nothing else.
pub(crate) fn desk() -> Desk {
    let desk = Desk::new();
    let declared = json!({"apiVersion": "mcp-operator.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "hello", "namespace": "mcp-production"}, "spec": {"text": "new"}});
    desk.file("examples/hello.yaml", "")
        .file("declared.json", &declared.to_string())
        .file("present.json", "")
        .file("new.json", &server("new", 1, ready()).to_string())
        .program("kubectl", KUBECTL);
    desk
}

#[test]
fn a_deployment_makes_the_namespace_applies_and_waits() {
    let desk = desk();
    let answer = desk.run(&["deploy", "k8s", "-o", "json"]);
    assert_eq!(
        answer.message(),
        "k8s is deployed to mcp-production: McpServer hello (Serving 1 tool on 1 pod, http://hello.mcp-production.svc/mcp)"
    );
    assert!(answer.stderr.contains("hello configured"), "progress is shown: {}", answer.stderr);
    let calls = desk.calls();
    assert!(
        calls.contains(&"kubectl create namespace mcp-production --namespace mcp-production".to_owned()),
        "{calls:?}"
    );
    assert!(
        calls.contains(&"kubectl apply -f examples/hello.yaml --namespace mcp-production".to_owned()),
        "{calls:?}"
    );
}

#[test]
fn the_context_of_the_environment_goes_with_every_call() {
    let desk = desk();
    desk.file(
        "config/deployment.json",
        r#"{"environments": {"x": {"type": "kubernetes", "config_file": "examples/hello.yaml", "context": "kind-x"}}}"#,
    );
    let answer = desk.run(&["status", "x"]);
    assert_eq!(answer.code, 1, "the scripted kubectl knows no context");
    let calls = desk.calls();
    assert!(
        calls.len() >= 2 && calls.iter().all(|call| call.ends_with(" --namespace default --context kind-x")),
        "{calls:?}"
    );
}

#[test]
fn an_object_too_large_for_an_annotation_is_applied_by_the_server() {
    let desk = desk();
    let large = desk.read("declared.json").replace("\"new\"", &format!("\"{}\"", "x".repeat(250_000)));
    desk.file("declared.json", &large);
    desk.run(&["deploy", "k8s", "-o", "json"]).message();
    let calls = desk.calls();
    assert!(
        calls.contains(
            &"kubectl apply -f examples/hello.yaml --server-side --namespace mcp-production".to_owned()
        ),
        "{calls:?}"
    );
}

#[test]
fn a_folder_with_a_kustomization_is_built() {
    let desk = desk();
    desk.file("k8s/kustomization.yaml", "");
    desk.program("kubectl", &KUBECTL.replace("\"apply -f \"*", "\"apply -k \"*"));
    desk.run(&["deploy", "k8s", "-o", "json"]).message();
    assert!(desk.calls().contains(&"kubectl apply -k k8s --namespace mcp-production".to_owned()));
}

#[test]
fn without_kubectl_or_a_cluster_there_is_a_next_step() {
    let desk = desk();
    desk.program("kubectl", "echo 'The connection to the server localhost:8080 was refused - did you specify the right host or port?' >&2; exit 1");
    for command in ["deploy", "undeploy", "status"] {
        assert_eq!(
            desk.run(&[command, "k8s", "-o", "json"]).error(),
            "the cluster does not answer: The connection to the server localhost:8080 was refused - did you specify the right host or port?; check KUBECONFIG and `kubectl config current-context`, and that the cluster runs"
        );
    }
    std::fs::remove_file(desk.path("bin/kubectl")).unwrap();
    let error = desk.run(&["deploy", "k8s", "-o", "json"]).error();
    assert!(error.starts_with("kubectl is not on the PATH; install it"), "{error}");
}

#[test]
fn a_cluster_without_the_operator_is_recognised() {
    let desk = desk();
    let said = r#"echo 'error: unable to recognize "examples/hello.yaml": no matches for kind "McpServer" in version "mcp-operator.dev/v1alpha1"' >&2; exit 1"#;
    desk.program("kubectl", &KUBECTL.replace("/bin/cat \"$FAKE/declared.json\"", said));
    let error = desk.run(&["deploy", "k8s", "-o", "json"]).error();
    assert!(
        error.starts_with(
            "the cluster does not know the kind McpServer; install the operator first: helm install"
        ),
        "{error}"
    );
}

#[test]
fn a_manifest_that_cannot_be_deployed_is_refused_before_anything_is_done() {
    let desk = desk();
    let deploy = ["deploy", "k8s", "-o", "json"];
    desk.file(
        "declared.json",
        r#"{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "x-"}}"#,
    );
    let error = desk.run(&deploy).error();
    assert!(error.starts_with("examples/hello.yaml: a Job has no name; give it metadata.name"), "{error}");
    desk.file("declared.json", "");
    assert_eq!(desk.run(&deploy).error(), "examples/hello.yaml declares nothing to deploy; add a manifest");
    let said = "echo 'error: error parsing examples/hello.yaml: yaml: line 3: did not find expected key' >&2; exit 1";
    desk.program("kubectl", &KUBECTL.replace("/bin/cat \"$FAKE/declared.json\"", said));
    assert_eq!(
        desk.run(&deploy).error(),
        "kubectl cannot read examples/hello.yaml: error: error parsing examples/hello.yaml: yaml: line 3: did not find expected key; correct the file"
    );
    assert!(
        !desk
            .calls()
            .iter()
            .any(|call| call.contains("namespace mcp-production --") || call.contains(" apply "))
    );
}

#[test]
fn a_namespace_that_is_being_deleted_is_not_deployed_to() {
    let desk = desk();
    desk.file("namespace", r#"{"kind": "Namespace", "status": {"phase": "Terminating"}}"#);
    let error = desk.run(&["deploy", "k8s", "-o", "json"]).error();
    assert!(
        error.starts_with("the namespace mcp-production is being deleted; wait until it is gone"),
        "{error}"
    );
}

#[test]
fn who_may_not_look_at_namespaces_may_still_deploy_into_one() {
    let desk = desk();
    let said =
        "echo 'Error from server (Forbidden): namespaces \"mcp-production\" is forbidden' >&2; exit 1 ;;";
    desk.program(
        "kubectl",
        &KUBECTL.replace("[ ! -e \"$FAKE/namespace\" ] || /bin/cat \"$FAKE/namespace\" ;;", said),
    );
    desk.run(&["deploy", "k8s", "-o", "json"]).message();
}

#[test]
fn status_shows_readiness_replicas_url_and_message() {
    let desk = desk();
    let status = ["status", "k8s", "-o", "json"];
    assert_eq!(
        desk.run(&status).error(),
        "Nothing of k8s is deployed to mcp-production; `deploy k8s` does it"
    );
    desk.run(&["deploy", "k8s"]);
    let answer = desk.run(&status);
    assert_eq!(answer.message(), "k8s is healthy in mcp-production: 1 workload is ready");
    let object = answer.json()["objects"][0].clone();
    assert_eq!(
        (object["ready"].clone(), object["url"].clone()),
        (json!(true), json!("http://hello.mcp-production.svc/mcp"))
    );
    let not_ready =
        json!({"type": "Ready", "status": "False", "reason": "NotReady", "message": "0 of 1 pods answer"});
    desk.file("present.json", &server("new", 1, not_ready).to_string());
    let text = desk.run(&["status", "k8s"]);
    assert_eq!(text.code, 1);
    assert!(
        text.stdout
            .starts_with("k8s is not healthy in mcp-production: McpServer hello: 0 of 1 pods answer; "),
        "{}",
        text.stdout
    );
    assert!(text.stdout.contains("McpServer.mcp-operator.dev/hello  False"), "{}", text.stdout);
}

#[test]
fn undeploy_deletes_what_the_file_declares_and_keeps_the_namespace() {
    let desk = desk();
    let undeploy = ["undeploy", "k8s", "-o", "json"];
    assert_eq!(desk.run(&undeploy).message(), "Nothing of k8s was deployed to mcp-production");
    desk.run(&["deploy", "k8s"]);
    assert_eq!(
        desk.run(&undeploy).message(),
        "k8s is taken down: 1 object deleted; the namespace mcp-production was kept"
    );
    assert!(desk.read("deleted.json").contains("hello"));
    assert!(desk.path("namespace").exists());
}
