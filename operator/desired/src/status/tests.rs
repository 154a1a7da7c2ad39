//! What is said of what: a table of facts and sentences, and how conditions move.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use mcp_server_config::Path;
use serde_json::{Value, json};

use super::*;
use crate::{
    Warning,
    fixtures::{applied, complete, container, deployment, pod, server, time},
};

fn now() -> Timestamp {
    time("2026-01-01T00:10:00.75Z")
}

/// The status after a pass that applied everything.
fn after(spec: Value, deployment_status: Value, pods: Vec<Arc<Pod>>) -> McpServerStatus {
    let observed = Observed {
        deployment: Some(deployment(spec.clone(), deployment_status)),
        pods,
        ..Observed::default()
    };
    status(&server(spec.clone()), &observed, &applied(spec), now())
}

fn shown<'a>(status: &'a McpServerStatus, type_: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let condition = status.conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((&condition.status, &condition.reason, &condition.message))
}

fn types(status: &McpServerStatus) -> Vec<&str> {
    status.conditions.iter().map(|condition| condition.type_.as_str()).collect()
}

/// A Deployment with one new pod that does not answer, and `before` of the version before that do.
fn rolling(before: i32) -> Value {
    json!({"replicas": before + 1, "updatedReplicas": 1, "readyReplicas": before, "availableReplicas": before})
}

#[test]
fn a_server_that_answers() {
    let status = after(json!({"replicas": 2}), complete(2), vec![]);
    assert_eq!(shown(&status, "Ready"), Some(("True", "Ready", "Serving 1 tool on 2 pods")));
    assert_eq!(shown(&status, "Available"), Some(("True", "Serving", "At least one pod answers")));
    assert_eq!(types(&status), ["Ready", "Available"]);
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(
        (status.replicas, status.ready_replicas, status.updated_replicas),
        (Some(2), Some(2), Some(2))
    );
    assert_eq!(status.url.as_deref(), Some("http://hello.shop.svc/mcp"));
    assert_eq!(status.image.as_deref(), Some("localhost/mcp-server:0.1.0"));
    assert_eq!(status.api_key_secret.as_deref(), Some("hello-api-key"));
    assert_eq!(status.config_hash.as_ref().map(String::len), Some(64));
    assert_eq!(
        status.selector.as_deref(),
        Some(
            "app.kubernetes.io/instance=hello,app.kubernetes.io/managed-by=mcp-operator,app.kubernetes.io/name=mcp-server"
        )
    );
    let port = after(json!({"service": {"port": 8080}}), complete(1), vec![]);
    assert_eq!(port.url.as_deref(), Some("http://hello.shop.svc:8080/mcp"));
}

#[test]
fn a_server_that_is_on_its_way() {
    let starting = |status: Value| after(json!({}), status, vec![]);
    for (status, sentence, word) in [
        (starting(json!({"observedGeneration": null})), "Starting: 0 of 1 pod ready", "Creating"),
        (starting(json!({"observedGeneration": 6})), "Starting: 0 of 1 pod ready", "Creating"),
        (starting(json!({"replicas": 1, "updatedReplicas": 1})), "Starting: 0 of 1 pod ready", "Creating"),
        (
            after(
                json!({"replicas": 3}),
                json!({"replicas": 4, "updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 3}),
                vec![],
            ),
            "Rolling out: 2 of 3 pods run the current version, 3 ready",
            "RollingOut",
        ),
        (
            after(
                json!({"replicas": 3}),
                json!({"replicas": 3, "updatedReplicas": 3, "readyReplicas": 1, "availableReplicas": 1}),
                vec![],
            ),
            "Starting: 1 of 3 pods ready",
            "Updating",
        ),
        (
            after(
                json!({"replicas": 0}),
                json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}),
                vec![],
            ),
            "Scaling to zero: 1 pod still there",
            "Updating",
        ),
    ] {
        assert_eq!(shown(&status, "Ready"), Some(("False", "Progressing", sentence)));
        assert_eq!(shown(&status, "Reconciling"), Some(("True", word, sentence)));
        assert_eq!(shown(&status, "Stalled"), None);
    }
}

#[test]
fn a_ready_pod_that_is_too_young_does_not_make_a_server_ready() {
    let young = json!({"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 0});
    assert_eq!(shown(&after(json!({}), young, vec![]), "Ready").unwrap().0, "False");
}

#[test]
fn a_deployment_from_before_this_pass_does_not_make_a_server_ready() {
    let spec = json!({"runtime": {"image": "example.com/own:2"}});
    let observed = Observed { deployment: Some(deployment(json!({}), complete(1))), ..Observed::default() };
    let status = status(&server(spec.clone()), &observed, &applied(spec), now());
    assert_eq!(shown(&status, "Ready").unwrap().1, "Progressing");
    assert_eq!(shown(&status, "Available").unwrap().0, "True");
}

#[test]
fn scaled_to_zero_is_ready() {
    let status = after(json!({"replicas": 0}), json!({}), vec![]);
    assert_eq!(
        shown(&status, "Ready"),
        Some(("True", "ScaledToZero", "Scaled to zero: spec.replicas is 0, so no pod runs"))
    );
    assert_eq!(
        shown(&status, "Available"),
        Some(("False", "NoEndpoints", "No pod answers, and none is wanted"))
    );
    assert_eq!(types(&status), ["Ready", "Available"]);
}

fn waiting(reason: &str, message: &str) -> Value {
    container(json!({"state": {"waiting": {"reason": reason, "message": message}}}))
}

fn ended(code: i32, reason: &str, message: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "message": message}})
}

#[test]
fn what_keeps_pods_from_answering() {
    let own_keys =
        json!({"config": {"auth": {"apiKeys": {"secretKeyRef": {"name": "clients", "key": "keys.json"}}}}});
    let limit = json!({"runtime": {"resources": {"limits": {"memory": "128Mi"}}}});
    let none = json!({});
    let table: Vec<(&Value, Value, &str, &str)> = vec![
        (
            &none,
            waiting(
                "ErrImagePull",
                "rpc error: code = NotFound desc = failed to pull and unpack image: not found",
            ),
            "ImagePull",
            "image localhost/mcp-server:0.1.0 cannot be pulled: the registry has no such image; correct spec.runtime.image",
        ),
        (
            &none,
            waiting(
                "ImagePullBackOff",
                "Back-off pulling image \"x\": ErrImagePull: pull access denied, repository does not exist or may require authorization",
            ),
            "ImagePull",
            "image localhost/mcp-server:0.1.0 cannot be pulled: the registry refuses access; correct spec.runtime.image, or give a Secret in spec.runtime.imagePullSecrets",
        ),
        (
            &none,
            waiting("ErrImagePull", "dial tcp: lookup registry.example.com: no such host"),
            "ImagePull",
            "image localhost/mcp-server:0.1.0 cannot be pulled: the registry cannot be reached from the node; check its name in spec.runtime.image and the network",
        ),
        (
            &none,
            waiting("ErrImageNeverPull", "Container image \"x\" is not present with pull policy of Never"),
            "ImagePull",
            "image localhost/mcp-server:0.1.0 cannot be pulled: it is not on the node, and imagePullPolicy is Never; load it there, or change spec.runtime.imagePullPolicy",
        ),
        (
            &none,
            waiting(
                "InvalidImageName",
                "Failed to apply default image tag \"A\": couldn't parse image name \"A\": invalid reference format",
            ),
            "ImagePull",
            "image localhost/mcp-server:0.1.0 cannot be pulled: it is not the reference of an image; correct spec.runtime.image",
        ),
        (
            &none,
            waiting("ImagePullBackOff", "Back-off pulling image \"x\""),
            "ImagePull",
            "image localhost/mcp-server:0.1.0 cannot be pulled; correct spec.runtime.image, or see kubectl describe pod for the cause",
        ),
        (
            &none,
            container(
                json!({"restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}, "lastState": ended(1, "Error", "starting\nconfig: no such tool\n")}),
            ),
            "CrashLoop",
            "container mcp-server of pod hello-1 ends with exit code 1: config: no such tool; see kubectl logs -n shop hello-1 -c mcp-server --previous",
        ),
        (
            &none,
            container(
                json!({"restartCount": 3, "state": {"running": {}}, "lastState": ended(1, "Error", "starting\nconfig: no such tool\n")}),
            ),
            "CrashLoop",
            "container mcp-server of pod hello-1 ends with exit code 1: config: no such tool; see kubectl logs -n shop hello-1 -c mcp-server --previous",
        ),
        (
            &none,
            container(json!({"state": ended(127, "Error", "")})),
            "CrashLoop",
            "container mcp-server of pod hello-1 ends with exit code 127; see kubectl logs -n shop hello-1 -c mcp-server --previous",
        ),
        (
            &none,
            waiting("RunContainerError", "exec: \"/x\": no such file"),
            "CrashLoop",
            "container mcp-server of pod hello-1 cannot be started (exec: \"/x\": no such file); change spec.runtime.image or what it names",
        ),
        (
            &limit,
            container(
                json!({"restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended(137, "OOMKilled", "")}),
            ),
            "OutOfMemory",
            "container mcp-server of pod hello-1 used more memory than its limit of 128Mi; raise spec.runtime.resources.limits.memory, or lower the load",
        ),
        (
            &none,
            waiting("CreateContainerConfigError", "secret \"github\" not found"),
            "ReferenceMissing",
            "Secret shop/github does not exist; create it, or change spec.runtime.env or envFrom",
        ),
        (
            &none,
            waiting("CreateContainerConfigError", "couldn't find key token in Secret shop/github"),
            "ReferenceMissing",
            "Secret shop/github has no key \"token\"; add it, or change spec.runtime.env or envFrom",
        ),
        (
            &own_keys,
            waiting("CreateContainerConfigError", "secret \"clients\" not found"),
            "ReferenceMissing",
            "Secret shop/clients does not exist; create it, or change spec.config.auth.apiKeys.secretKeyRef",
        ),
        (
            &none,
            waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
            "Rejected",
            "pod hello-1 cannot be set up (container has runAsNonRoot and image will run as root); change what it names in spec.runtime or spec.pod",
        ),
        (
            &none,
            json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient memory."}]}),
            "Unschedulable",
            "no node takes pod hello-1 (0/1 nodes are available: 1 Insufficient memory.); change spec.pod or spec.runtime.resources, or add nodes",
        ),
    ];
    for (spec, state, reason, sentence) in table {
        let status = after(spec.clone(), rolling(0), vec![pod("hello-1", state.clone())]);
        assert_eq!(shown(&status, "Ready"), Some(("False", reason, sentence)), "{state}");
        assert_eq!(shown(&status, "Stalled"), Some(("True", reason, sentence)));
        assert_eq!(shown(&status, "Available"), Some(("False", "NoEndpoints", "No pod answers")));
        assert_eq!(shown(&status, "Reconciling"), None);
        let status = after(spec.clone(), rolling(2), vec![pod("hello-1", state)]);
        let kept = format!("{sentence}; 2 pods of the previous version keep serving");
        assert_eq!(shown(&status, "Ready"), Some(("False", reason, kept.as_str())));
        assert_eq!(shown(&status, "Available").unwrap().0, "True");
    }
}

#[test]
fn why_no_pod_can_be_made() {
    let failing = |message: &str| {
        let condition =
            json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message});
        after(json!({}), json!({"replicas": 0, "conditions": [condition]}), vec![])
    };
    for (message, reason, sentence) in [
        (
            "pods \"hello-6d5f-x2b\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2",
            "Quota",
            "no more pods fit into namespace shop (exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2); raise the quota, or lower spec.replicas or spec.runtime.resources",
        ),
        (
            "pods \"hello-6d5f-x2b\" is forbidden: violates PodSecurity \"restricted:latest\": seccompProfile",
            "Forbidden",
            "namespace shop does not allow the pods (violates PodSecurity \"restricted:latest\": seccompProfile); change spec.pod, spec.volumes or the namespace's policy",
        ),
        (
            "admission webhook \"x\" denied the request: no",
            "Rejected",
            "the API server refuses the pods (admission webhook \"x\" denied the request: no); change the field it names",
        ),
    ] {
        assert_eq!(shown(&failing(message), "Ready"), Some(("False", reason, sentence)));
    }
}

#[test]
fn a_service_account_of_the_operators_own_is_on_its_way_and_one_of_the_users_is_missing() {
    let text = "pods \"hello-6d5f-\" is forbidden: error looking up service account shop/x: serviceaccount \"x\" not found";
    let condition = json!({"type": "ReplicaFailure", "status": "True", "message": text});
    let of = |spec: Value| after(spec, json!({"replicas": 0, "conditions": [condition]}), vec![]);
    assert_eq!(shown(&of(json!({})), "Ready").unwrap().1, "Progressing");
    assert_eq!(
        shown(&of(json!({"pod": {"serviceAccount": {"name": "x"}}})), "Ready").unwrap().2,
        "ServiceAccount shop/x does not exist; create it, or change spec.pod.serviceAccount.name"
    );
}

#[test]
fn what_a_volume_names_is_looked_for_among_the_volumes() {
    let spec = json!({"volumes": [
        {"name": "documents", "persistentVolumeClaim": {"claimName": "documents"}},
        {"name": "certs", "secret": {"secretName": "certs"}},
    ]});
    let unschedulable = json!({"conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: persistentvolumeclaim \"documents\" not found. not found",
    }]});
    let status = after(spec, rolling(0), vec![pod("hello-1", unschedulable)]);
    assert_eq!(
        shown(&status, "Ready"),
        Some((
            "False",
            "ReferenceMissing",
            "PersistentVolumeClaim shop/documents does not exist; create it, or change spec.volumes"
        ))
    );
}

#[test]
fn every_problem_is_said_and_each_once() {
    let state = waiting("ErrImagePull", "not found");
    let crash = container(
        json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended(1, "Error", "")}),
    );
    let numbers = json!({"replicas": 3, "updatedReplicas": 3});
    let pods = vec![pod("hello-3", crash), pod("hello-2", state.clone()), pod("hello-1", state)];
    let status = after(json!({"replicas": 3}), numbers, pods);
    assert_eq!(
        shown(&status, "Ready"),
        Some((
            "False",
            "ImagePull",
            "image localhost/mcp-server:0.1.0 cannot be pulled: the registry has no such image; correct spec.runtime.image; \
             container mcp-server of pod hello-3 ends with exit code 1; see kubectl logs -n shop hello-3 -c mcp-server --previous"
        ))
    );
}

#[test]
fn the_cause_of_a_failed_pull_is_kept_while_the_kubelet_only_waits() {
    let first = after(json!({}), rolling(0), vec![pod("hello-1", waiting("ErrImagePull", "not found"))]);
    let mut again = server(json!({}));
    again.status = Some(first.clone());
    let observed = Observed {
        deployment: Some(deployment(json!({}), rolling(0))),
        pods: vec![pod("hello-1", waiting("ImagePullBackOff", "Back-off pulling image \"x\""))],
        ..Observed::default()
    };
    assert_eq!(status(&again, &observed, &applied(json!({})), time("2026-01-02T00:00:00Z")), first);
}

#[test]
fn a_volume_that_cannot_be_mounted_shows_in_events_only() {
    let own_keys =
        json!({"config": {"auth": {"apiKeys": {"secretKeyRef": {"name": "clients", "key": "keys.json"}}}}});
    let creating = || pod("hello-1", waiting("ContainerCreating", ""));
    let unseen = after(own_keys.clone(), rolling(0), vec![creating()]);
    let sentence = "Starting: 0 of 1 pod ready; it takes Secret clients with key \"keys.json\" to start";
    assert_eq!(shown(&unseen, "Ready"), Some(("False", "Progressing", sentence)));
    for (message, sentence) in [
        (
            "MountVolume.SetUp failed for volume \"mcp-api-keys\" : secret \"clients\" not found",
            "Secret shop/clients does not exist; create it, or change spec.config.auth.apiKeys.secretKeyRef",
        ),
        (
            "MountVolume.SetUp failed for volume \"mcp-api-keys\" : references non-existent secret key: keys.json",
            "the Secret has no key \"keys.json\"; add it, or change spec.config.auth.apiKeys.secretKeyRef",
        ),
    ] {
        let observed = Observed {
            deployment: Some(deployment(own_keys.clone(), rolling(0))),
            pods: vec![creating()],
            warnings: vec![Warning {
                pod: "hello-1".into(),
                reason: "FailedMount".into(),
                message: message.into(),
            }],
            ..Observed::default()
        };
        let status = status(&server(own_keys.clone()), &observed, &applied(own_keys.clone()), now());
        assert_eq!(shown(&status, "Ready"), Some(("False", "ReferenceMissing", sentence)));
    }
}

#[test]
fn a_rollout_that_is_stuck_says_where_to_look() {
    let condition = json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"});
    let mut numbers = rolling(1);
    numbers["conditions"] = json!([condition]);
    let running = container(json!({"state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}}));
    let status = after(json!({}), numbers, vec![pod("hello-1", running)]);
    assert_eq!(
        shown(&status, "Ready"),
        Some((
            "False",
            "RolloutStuck",
            "the rollout has made no progress for longer than spec.rollout.progressDeadline; see kubectl describe pod -n shop hello-1; 1 pod of the previous version keeps serving"
        ))
    );
}

#[test]
fn a_pod_that_was_ready_once_is_told_from_one_that_is_starting() {
    let state = |changed: &str| {
        let mut state = container(json!({"state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}}));
        state["conditions"] = json!([{"type": "Ready", "status": "False", "lastTransitionTime": changed}]);
        state
    };
    let numbers = json!({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1});
    let of =
        |changed: &str| after(json!({"replicas": 2}), numbers.clone(), vec![pod("hello-1", state(changed))]);
    assert_eq!(shown(&of("2026-01-01T00:00:04Z"), "Ready").unwrap().1, "Progressing");
    let lost = of("2026-01-01T00:01:00Z");
    assert_eq!(
        shown(&lost, "Ready"),
        Some((
            "False",
            "NotReady",
            "pod hello-1 was ready and answers no more; see kubectl logs -n shop hello-1 -c mcp-server; 1 of 2 pods ready"
        ))
    );
    assert_eq!(shown(&lost, "Stalled"), None);
}

#[test]
fn pods_of_an_earlier_version_and_pods_that_go_do_not_count() {
    let broken = waiting("ErrImagePull", "not found");
    let with = |place: &[&str], value: Value| {
        let mut old = serde_json::to_value(pod("hello-0", broken.clone()).as_ref()).unwrap();
        let mut field = &mut old;
        for step in place {
            field = &mut field[*step];
        }
        *field = value;
        Arc::new(serde_json::from_value::<Pod>(old).unwrap())
    };
    let mut older =
        serde_json::to_value(with(&["metadata", "labels", "pod-template-hash"], json!("old")).as_ref())
            .unwrap();
    older["metadata"]["creationTimestamp"] = json!("2025-12-31T00:00:00Z");
    let older = Arc::new(serde_json::from_value::<Pod>(older).unwrap());
    let evicted = with(&["status", "phase"], json!("Failed"));
    let going = with(&["metadata", "deletionTimestamp"], json!("2026-01-01T00:00:00Z"));
    let starting =
        pod("hello-1", container(json!({"state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}})));
    let status = after(json!({}), rolling(1), vec![older, going, evicted, starting]);
    assert_eq!(shown(&status, "Ready").unwrap().1, "Progressing");
}

fn said(verdict: &Verdict, deployment_status: Value, before: Option<McpServerStatus>) -> McpServerStatus {
    let mut server = server(json!({}));
    server.status = before;
    let observed =
        Observed { deployment: Some(deployment(json!({}), deployment_status)), ..Observed::default() };
    status(&server, &observed, verdict, now())
}

#[test]
fn an_invalid_resource_keeps_what_serves() {
    let before = after(json!({}), complete(1), vec![]);
    let verdict = Verdict::Invalid(vec![
        Violation {
            path: Path::of("spec.config.tools").index(0).key("cel"),
            message: "does not parse".into(),
        },
        Violation { path: Path::of("spec.service.port"), message: "must be from 1 to 65535".into() },
    ]);
    let status = said(&verdict, complete(1), Some(before.clone()));
    let sentence = "spec.config.tools[0].cel: does not parse; spec.service.port: must be from 1 to 65535; 1 pod of the previous version keeps serving";
    assert_eq!(shown(&status, "Ready"), Some(("False", "Invalid", sentence)));
    assert_eq!(shown(&status, "Stalled"), Some(("True", "Invalid", sentence)));
    assert_eq!(shown(&status, "Available").unwrap().0, "True");
    assert_eq!((status.config_hash, status.image), (before.config_hash, before.image));
}

#[test]
fn a_name_that_is_taken_is_named() {
    let taken = Taken {
        kind: "ConfigMap".into(),
        name: "hello-config".into(),
        reason: "owned by Deployment shop".into(),
    };
    let status = said(&Verdict::Conflict(vec![taken]), json!({}), None);
    assert_eq!(
        shown(&status, "Ready"),
        Some((
            "False",
            "NameConflict",
            "ConfigMap hello-config exists and is not of this McpServer (owned by Deployment shop); delete or rename it, or give this McpServer another name"
        ))
    );
}

#[test]
fn a_hiccup_of_the_api_server_does_not_make_a_ready_server_unready() {
    let verdict = Verdict::Failed {
        reason: Reason::Internal,
        message: "the API server did not answer; it is tried again".into(),
    };
    let before = after(json!({}), complete(1), vec![]);
    let status = said(&verdict, complete(1), Some(before));
    assert_eq!(shown(&status, "Ready"), Some(("True", "Ready", "Serving 1 tool on 1 pod")));
    assert_eq!(
        shown(&status, "Reconciling"),
        Some(("True", "Retrying", "the API server did not answer; it is tried again"))
    );
    let status = said(&verdict, json!({}), None);
    assert_eq!(shown(&status, "Ready").unwrap().1, "Internal");
    assert_eq!(shown(&status, "Stalled"), None);
}

#[test]
fn what_the_operator_may_not_do_needs_a_person() {
    let message = "Deployment hello: the operator may not patch deployments in namespace shop; grant it";
    let status =
        said(&Verdict::Failed { reason: Reason::Forbidden, message: message.into() }, json!({}), None);
    assert_eq!(shown(&status, "Stalled"), Some(("True", "Forbidden", message)));
}

#[test]
fn paused() {
    let mut server = server(json!({"paused": true}));
    let observed = Observed { deployment: Some(deployment(json!({}), complete(1))), ..Observed::default() };
    let settled = status(&server, &observed, &Verdict::Paused { waiting: false }, now());
    assert_eq!(types(&settled), ["Ready", "Available", "Paused"]);
    assert_eq!(shown(&settled, "Ready").unwrap().0, "True");
    server.status = Some(settled);
    let waiting = status(&server, &observed, &Verdict::Paused { waiting: true }, now());
    assert_eq!(
        shown(&waiting, "Ready"),
        Some((
            "False",
            "Pending",
            "Paused: changes wait until spec.paused is false again; 1 pod of the previous version keeps serving"
        ))
    );
    assert_eq!(shown(&waiting, "Reconciling"), None);
}

#[test]
fn the_time_of_a_condition_moves_with_its_status_only() {
    let first = after(json!({}), rolling(1), vec![]);
    assert!(
        first
            .conditions
            .iter()
            .all(|condition| condition.last_transition_time.0 == time("2026-01-01T00:10:00Z"))
    );
    let mut server = server(json!({}));
    server.status = Some(first.clone());
    let observe =
        |numbers: Value| Observed { deployment: Some(deployment(json!({}), numbers)), ..Observed::default() };
    let later = time("2026-01-01T01:00:00Z");
    assert_eq!(status(&server, &observe(rolling(1)), &applied(json!({})), later), first);
    let ready = status(&server, &observe(complete(1)), &applied(json!({})), later);
    let times: Vec<_> = ready
        .conditions
        .iter()
        .map(|condition| (condition.type_.as_str(), condition.last_transition_time.0))
        .collect();
    assert_eq!(times, [("Ready", later), ("Available", time("2026-01-01T00:10:00Z"))]);
}

/// kstatus, in short: what `kubectl wait`, Argo CD and `helm --wait` make of a status.
fn kstatus(status: &McpServerStatus) -> &'static str {
    let is = |type_: &str| shown(status, type_).map(|(status, _, _)| status);
    if is("Stalled") == Some("True") {
        "Failed"
    } else if is("Reconciling") == Some("True") || is("Ready") != Some("True") {
        "InProgress"
    } else {
        "Current"
    }
}

#[test]
fn tools_that_wait_are_told_the_truth() {
    let broken = vec![pod("hello-1", waiting("ErrImagePull", "not found"))];
    assert_eq!(kstatus(&after(json!({}), json!({"observedGeneration": null}), vec![])), "InProgress");
    assert_eq!(kstatus(&after(json!({}), rolling(1), vec![])), "InProgress");
    assert_eq!(kstatus(&after(json!({}), rolling(1), broken)), "Failed");
    assert_eq!(kstatus(&after(json!({}), complete(1), vec![])), "Current");
}

#[test]
fn a_status_reads_back_as_it_was_written() {
    let status = after(json!({}), rolling(1), vec![]);
    let written = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<McpServerStatus>(&written).unwrap(), status);
}

#[test]
fn reasons_are_words_that_read_back() {
    for reason in Reason::ALL {
        assert_eq!(Reason::parse(reason.as_str()), Some(reason));
    }
    assert_eq!(Reason::parse("Else"), None);
}
