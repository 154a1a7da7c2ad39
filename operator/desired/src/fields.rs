//! The API server's words about children in the words of the resource: it names fields of a Deployment, which nobody wrote.

use serde_json::Value;

use crate::pod::VOLUME_PREFIX;

/// Fields of children and the fields of the resource that they come from. Of two that fit, the earlier one counts.
const FIELDS: [(&str, &str, &str); 38] = [
    ("Deployment", "spec.template.spec.containers[0].image", "spec.runtime.image"),
    ("Deployment", "spec.template.spec.containers[0].imagePullPolicy", "spec.runtime.imagePullPolicy"),
    ("Deployment", "spec.template.spec.containers[0].resources", "spec.runtime.resources"),
    ("Deployment", "spec.template.spec.containers[0].envFrom", "spec.runtime.envFrom"),
    ("Deployment", "spec.template.spec.containers[0].env", "spec.runtime.env"),
    ("Deployment", "spec.template.spec.containers[0].volumeMounts", "spec.runtime.volumeMounts"),
    ("Deployment", "spec.template.spec.containers[0].startupProbe", "spec.probes.startup"),
    ("Deployment", "spec.template.spec.containers[0].readinessProbe", "spec.probes.readiness"),
    ("Deployment", "spec.template.spec.containers[0].livenessProbe", "spec.probes.liveness"),
    ("Deployment", "spec.template.spec.imagePullSecrets", "spec.runtime.imagePullSecrets"),
    ("Deployment", "spec.template.spec.volumes", "spec.volumes"),
    ("Deployment", "spec.template.spec.nodeSelector", "spec.pod.nodeSelector"),
    ("Deployment", "spec.template.spec.tolerations", "spec.pod.tolerations"),
    ("Deployment", "spec.template.spec.affinity", "spec.pod.affinity"),
    ("Deployment", "spec.template.spec.topologySpreadConstraints", "spec.pod.topologySpreadConstraints"),
    ("Deployment", "spec.template.spec.priorityClassName", "spec.pod.priorityClassName"),
    ("Deployment", "spec.template.spec.priority", "spec.pod.priorityClassName"),
    ("Deployment", "spec.template.spec.runtimeClassName", "spec.pod.runtimeClassName"),
    ("Deployment", "spec.template.spec.securityContext", "spec.pod.securityContext"),
    ("Deployment", "spec.template.spec.dnsPolicy", "spec.pod.dnsPolicy"),
    ("Deployment", "spec.template.spec.dnsConfig", "spec.pod.dnsConfig"),
    ("Deployment", "spec.template.spec.serviceAccountName", "spec.pod.serviceAccount.name"),
    ("Deployment", "spec.template.spec.terminationGracePeriodSeconds", "spec.rollout.drainTimeout"),
    ("Deployment", "spec.template.metadata.labels", "spec.pod.labels"),
    ("Deployment", "spec.template.labels", "spec.pod.labels"),
    ("Deployment", "spec.template.metadata.annotations", "spec.pod.annotations"),
    ("Deployment", "spec.template.annotations", "spec.pod.annotations"),
    ("Deployment", "spec.strategy.rollingUpdate.maxSurge", "spec.rollout.maxSurge"),
    ("Deployment", "spec.strategy.rollingUpdate.maxUnavailable", "spec.rollout.maxUnavailable"),
    ("Deployment", "spec.minReadySeconds", "spec.rollout.minReadySeconds"),
    ("Deployment", "spec.progressDeadlineSeconds", "spec.rollout.progressDeadline"),
    ("Service", "spec.ports[0]", "spec.service.port"),
    ("Service", "spec.loadBalancerClass", "spec.service.loadBalancerClass"),
    ("Service", "spec.sessionAffinity", "spec.service.sessionAffinity"),
    ("Service", "spec.type", "spec.service.type"),
    ("Service", "metadata.labels", "spec.service.labels"),
    ("Service", "metadata.annotations", "spec.service.annotations"),
    ("ServiceAccount", "metadata.annotations", "spec.pod.serviceAccount.annotations"),
];

/// A message of the API server about a child of this kind, with the fields of the resource in place of the child's. `desired`
/// is the child as it was sent: entries of the operator's own come first in some lists, and do not count.
#[must_use]
pub fn in_the_resource(kind: &str, desired: &Value, message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    'text: while !rest.is_empty() {
        let begins = text.chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '.');
        if begins {
            for (of, child, resource) in FIELDS {
                let Some(after) = rest.strip_prefix(child).filter(|_| of == kind) else { continue };
                if after.starts_with(|next: char| next.is_alphanumeric()) {
                    continue;
                }
                text.push_str(resource);
                rest = after;
                if let Some((entry, after)) = entry(rest, desired, child) {
                    text.push_str(&entry);
                    rest = after;
                }
                continue 'text;
            }
        }
        let next = rest.chars().next().map_or(0, char::len_utf8);
        text.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    text
}

/// The same for a message about a pod that could not be made of the Deployment: its fields are those of the template.
#[must_use]
pub fn of_a_pod(desired: &Value, message: &str) -> String {
    let template = message.replace("spec.", "spec.template.spec.");
    let said = in_the_resource("Deployment", desired, &template);
    // What has no counterpart is left as it was.
    said.replace("spec.template.spec.", "spec.")
}

/// The index of a list's entry, counted among those of the resource; none where the entry is the operator's own.
fn entry<'a>(rest: &'a str, desired: &Value, list: &str) -> Option<(String, &'a str)> {
    let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
    let index: usize = index.parse().ok()?;
    let pointer = format!("/{}", list.replace("[0]", ".0").replace('.', "/"));
    let entries = desired.pointer(&pointer)?.as_array()?;
    let is_own = |entry: &&Value| entry["name"].as_str().is_some_and(|name| name.starts_with(VOLUME_PREFIX));
    let counted = list.ends_with("volumes") || list.ends_with("volumeMounts");
    let own = if counted { entries.iter().take(index).filter(is_own).count() } else { 0 };
    Some((format!("[{}]", index - own), after))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::built;

    fn sent() -> Value {
        let spec = json!({
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": "more", "emptyDir": {}}],
            "runtime": {"volumeMounts": [{"name": "data", "mountPath": "/data"}], "env": [{"name": "A", "value": "1"}]},
        });
        serde_json::to_value(built(spec).deployment).unwrap()
    }

    #[test]
    fn a_refusal_names_the_field_that_the_user_wrote() {
        let volumes = sent()["spec"]["template"]["spec"]["volumes"].as_array().unwrap().len();
        for (kind, said, shown) in [
            (
                "Deployment",
                "Deployment.apps \"hello\" is invalid: spec.template.spec.containers[0].env[0].valueFrom: Invalid value: \"\": x".to_owned(),
                "Deployment.apps \"hello\" is invalid: spec.runtime.env[0].valueFrom: Invalid value: \"\": x",
            ),
            (
                "Deployment",
                "[spec.template.spec.containers[0].image: Required value, spec.template.spec.priorityClassName: Invalid]".to_owned(),
                "[spec.runtime.image: Required value, spec.pod.priorityClassName: Invalid]",
            ),
            (
                "Deployment",
                format!("spec.template.spec.volumes[{}].emptyDir: Invalid value", volumes - 1),
                "spec.volumes[1].emptyDir: Invalid value",
            ),
            (
                "Deployment",
                "spec.template.spec.containers[0].resources.requests: must be less than or equal to memory limit".to_owned(),
                "spec.runtime.resources.requests: must be less than or equal to memory limit",
            ),
            ("Service", "spec.ports[0].nodePort: Invalid value: 1".to_owned(), "spec.service.port.nodePort: Invalid value: 1"),
            ("Service", "spec.loadBalancerClass: Invalid".to_owned(), "spec.service.loadBalancerClass: Invalid"),
            ("ConfigMap", "spec.type: é".to_owned(), "spec.type: é"),
            ("Service", "myspec.type, spec.typex".to_owned(), "myspec.type, spec.typex"),
        ] {
            assert_eq!(in_the_resource(kind, &sent(), &said), shown);
        }
        assert_eq!(
            of_a_pod(&sent(), "spec.containers[0].resources: Invalid, spec.hostNetwork: x"),
            "spec.runtime.resources: Invalid, spec.hostNetwork: x"
        );
    }
}
