//! What keeps pods from answering: a table of facts and sentences.

use serde_json::{Value, json};

use super::*;
use crate::fixtures::{applied, container, deployment, pod, server, time};

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
            "pods \"hello-6d5f-x2b\" is forbidden: failed quota: small: must specify limits.cpu for: mcp-server",
            "Quota",
            "a quota of namespace shop asks every pod for limits.cpu; set it in spec.runtime.resources",
        ),
        (
            "pods \"hello-6d5f-x2b\" is forbidden: maximum memory usage per Container is 128Mi, but limit is 256Mi",
            "Quota",
            "a limit range of namespace shop does not allow the pods (maximum memory usage per Container is 128Mi, but limit is 256Mi); change spec.runtime.resources",
        ),
        (
            "Pod \"hello-6d5f-x2b\" is invalid: spec.containers[0].resources.limits[x]: Invalid value",
            "Rejected",
            "the API server refuses the pods (Pod \"hello-6d5f-x2b\" is invalid: spec.runtime.resources.limits[x]: Invalid value); change the field it names",
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
