//! The charts, through helm itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::{read, root};

const OPERATOR: &str = "charts/mcp-operator";
const CRDS: &str = "charts/mcp-operator-crds";

fn helm(arguments: &[&str]) -> Output {
    let output = Command::new("helm").args(arguments).current_dir(root()).output();
    output.unwrap_or_else(|error| panic!("helm: {error}; `make unit` puts it on the PATH"))
}

fn template(chart: &str, settings: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["template", "release", chart, "--namespace", "mcp-system"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let output = helm(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

/// (group/resource, verb) pairs of the operator's own rules.
fn rights(documents: &[Value], kind: &str) -> BTreeSet<(String, String)> {
    let words = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let own = of_kind(documents, kind).into_iter().filter(|role| {
        let labels = role["metadata"]["labels"].as_object();
        !labels.is_some_and(|labels| labels.keys().any(|key| key.contains("aggregate-to")))
    });
    let mut rights = BTreeSet::new();
    for rule in own.flat_map(|role| role["rules"].as_array().unwrap()) {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                rights.extend(
                    words(&rule["verbs"]).into_iter().map(|verb| (format!("{group}/{resource}"), verb)),
                );
            }
        }
    }
    rights
}

#[test]
fn helm_finds_nothing_to_say() {
    for chart in [OPERATOR, CRDS] {
        let output = helm(&["lint", "--strict", chart]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_misspelt_value_is_refused() {
    for setting in
        ["concurency=3", "image.tga=x", "logging.level=loud", "concurrency=0", "metrics.service.on=true"]
    {
        let output = helm(&["template", "release", OPERATOR, "--set", setting]);
        assert!(!output.status.success(), "{setting} is accepted");
    }
}

#[test]
fn the_operator_has_exactly_the_rights_that_it_uses() {
    let expected: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("mcp-operator.dev/mcpservers", ["list", "watch"].as_slice()),
        ("mcp-operator.dev/mcpservers/status", &["patch"]),
        ("mcp-operator.dev/mcpservers/finalizers", &["update"]),
        ("/serviceaccounts", &["create", "get", "list", "patch", "watch"]),
        ("/configmaps", &["create", "get", "list", "patch", "watch"]),
        ("/services", &["create", "get", "list", "patch", "watch"]),
        ("apps/deployments", &["create", "get", "list", "patch", "watch"]),
        ("/secrets", &["create"]),
        ("/pods", &["list", "patch", "watch"]),
        ("events.k8s.io/events", &["create", "list", "patch"]),
    ]);
    let expected: BTreeSet<_> = expected
        .into_iter()
        .flat_map(|(resource, verbs)| verbs.iter().map(move |verb| (resource.to_owned(), (*verb).to_owned())))
        .collect();
    assert_eq!(rights(&template(OPERATOR, &[]), "ClusterRole"), expected);

    let narrow = template(OPERATOR, &["watchNamespaces={a,b}"]);
    let (own, watched): (Vec<Value>, Vec<Value>) =
        narrow.iter().cloned().partition(|document| document["metadata"]["namespace"] == "mcp-system");
    assert_eq!(rights(&watched, "Role"), expected);
    assert_eq!(rights(&narrow, "ClusterRole"), BTreeSet::new(), "rights outside of the namespaces");
    let namespaces: BTreeSet<_> = of_kind(&watched, "Role")
        .iter()
        .map(|role| role["metadata"]["namespace"].as_str().unwrap())
        .collect();
    assert_eq!(namespaces, BTreeSet::from(["a", "b"]));
    let lease = |verb: &str| ("coordination.k8s.io/leases".to_owned(), verb.to_owned());
    assert_eq!(rights(&own, "Role"), BTreeSet::from([lease("get"), lease("patch")]));
}

#[test]
fn a_release_has_one_lease_that_it_alone_writes_and_every_release_may_read() {
    let documents = template(OPERATOR, &[]);
    let [lease] = &of_kind(&documents, "Lease")[..] else { panic!("one Lease") };
    let name = lease["metadata"]["name"].as_str().unwrap();
    let roles: Vec<_> = of_kind(&documents, "Role");
    assert!(roles.iter().all(|role| role["rules"][0]["resourceNames"][0] == name), "{roles:?}");
    for (suffix, verbs, kind, subject) in [
        ("lease", json!(["patch"]), "ServiceAccount", "release-mcp-operator"),
        ("lease-reader", json!(["get"]), "Group", "system:serviceaccounts"),
    ] {
        let name = format!("{name}-{suffix}");
        let role = roles.iter().find(|role| role["metadata"]["name"] == *name).unwrap();
        assert_eq!(role["rules"][0]["verbs"], verbs);
        let bindings = of_kind(&documents, "RoleBinding");
        let binding = bindings.iter().find(|binding| binding["roleRef"]["name"] == *name).unwrap();
        assert_eq!(binding["subjects"][0]["kind"], kind);
        assert_eq!(binding["subjects"][0]["name"], subject);
    }
    let deployment = of_kind(&documents, "Deployment")[0];
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let identity = env.iter().find(|variable| variable["name"] == "MCP_OPERATOR_IDENTITY").unwrap();
    assert_eq!(identity["value"], format!("mcp-system/{name}"));
}

#[test]
fn the_operator_s_pod_is_restricted() {
    let documents = template(OPERATOR, &[]);
    let deployments = of_kind(&documents, "Deployment");
    let [deployment] = deployments[..] else { panic!("one Deployment") };
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");
    assert_eq!(deployment["spec"]["replicas"], 1);
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let security = |field: &str| {
        let own = &container["securityContext"][field];
        if own.is_null() { pod["securityContext"][field].clone() } else { own.clone() }
    };
    assert_eq!(security("runAsNonRoot"), true);
    assert_eq!(security("readOnlyRootFilesystem"), true);
    assert_eq!(security("allowPrivilegeEscalation"), false);
    assert_eq!(security("seccompProfile")["type"], "RuntimeDefault");
    assert_eq!(security("capabilities")["drop"][0], "ALL");
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
}

#[test]
fn the_crd_is_the_generated_one_and_is_kept() {
    let documents = template(CRDS, &[]);
    let [crd] = &of_kind(&documents, "CustomResourceDefinition")[..] else { panic!("one definition") };
    assert_eq!(crd["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    let generated: Value = serde_saphyr::from_str(&read("crds/generated/mcpservers.yaml")).unwrap();
    assert_eq!(crd["spec"], generated["spec"]);
}
