//! What pods that serve say of themselves: something fails, and the server answers all the same.

use std::collections::BTreeMap;

use kube::Resource;
use mcp_crds::McpServer;

use super::in_resource::in_resource;
use crate::{Observed, reason::word};

/// Word and sentence of the condition `Degraded`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Degraded {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// What the pods that are still there say; none where nothing fails. What all of them say is said once.
pub(super) fn degraded(server: &McpServer, observed: &Observed) -> Option<Degraded> {
    let living = |name: &String| {
        observed
            .pods
            .iter()
            .any(|pod| pod.meta().name.as_ref() == Some(name) && pod.meta().deletion_timestamp.is_none())
    };
    let mut by_trouble: BTreeMap<(usize, &str, &str), Vec<&str>> = BTreeMap::new();
    for report in observed.reports.iter().filter(|report| living(&report.pod)) {
        for trouble in &report.troubles {
            let key = (rank(&trouble.part), trouble.part.as_str(), trouble.message.as_str());
            by_trouble.entry(key).or_default().push(&report.pod);
        }
    }
    let (rank, ..) = by_trouble.keys().next()?;
    let reason = RANKS.get(*rank).map_or(word::COMPONENT_FAILING, |(_, reason, _)| reason);
    let all = observed.pods.iter().filter(|pod| pod.meta().deletion_timestamp.is_none()).count();
    let clauses = by_trouble.iter().map(|((rank, part, message), pods)| {
        let whose = match pods.as_slice() {
            [pod] => format!("pod {pod}"),
            pods => format!("{} of {all} pods", pods.len()),
        };
        let rest = RANKS.get(*rank).map_or("", |(_, _, rest)| rest);
        format!("{part}: {}{rest} ({whose})", in_resource(message, server))
    });
    Some(Degraded { reason, message: clauses.collect::<Vec<_>>().join("; ") })
}

/// Parts of which there is more to say than their name: reason, and what happens meanwhile. The first one that fails gives the reason.
const RANKS: [(&str, &str, &str); 3] = [
    ("auth", word::KEYS_REFUSED, "; the last valid keys stay in use"),
    ("config", word::CONFIG_REFUSED, "; the last valid configuration stays in use"),
    ("tools", word::TOOLS_FAILING, ""),
];

fn rank(part: &str) -> usize {
    RANKS.iter().position(|(known, ..)| *known == part).unwrap_or(RANKS.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        PodReport, Trouble,
        events::EventKind,
        fixtures::{complete, deployment, pod, server},
    };

    fn report(pod: &str, troubles: &[(&str, &str)]) -> PodReport {
        let trouble = |(part, message): &(&str, &str)| Trouble {
            part: (*part).to_owned(),
            message: (*message).to_owned(),
        };
        PodReport { pod: pod.to_owned(), troubles: troubles.iter().map(trouble).collect() }
    }

    fn observed(reports: Vec<PodReport>) -> Observed {
        Observed {
            deployment: Some(deployment(json!({"replicas": 3}), complete(3))),
            pods: ["a", "b", "c"].map(|name| pod(name, json!({}))).into(),
            reports,
            ..Observed::default()
        }
    }

    #[test]
    fn what_pods_say_is_told_in_the_words_of_the_resource_and_once() {
        let keys = "the API keys in /app/secrets/api-keys/keys.json cannot be used: not JSON";
        let observed = observed(vec![
            report("a", &[("upstreams", "api.example.com: connection refused"), ("auth", keys)]),
            report("b", &[("auth", keys)]),
            report("gone", &[("config", "odd")]),
        ]);
        let found = degraded(&server(json!({})), &observed).unwrap();
        assert_eq!(found.reason, "KeysRefused");
        assert_eq!(
            found.message,
            "auth: the API keys in Secret shop/hello-api-key (key \"keys.json\") cannot be used: not JSON; the last valid \
             keys stay in use (2 of 3 pods); upstreams: api.example.com: connection refused (pod a)"
        );
    }

    #[test]
    fn a_degraded_server_stays_ready_and_says_so_in_the_summary() {
        let spec = json!({"replicas": 3});
        let mut server = server(spec.clone());
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let verdict = crate::fixtures::applied(spec);
        let before = crate::status(&server, &observed(vec![]), &verdict, now);
        assert!(!before.conditions.iter().any(|condition| condition.type_ == "Degraded"));
        let failing = observed(vec![report("a", &[("redis", "cannot connect")])]);
        let after = crate::status(&server, &failing, &verdict, now);
        let condition = |type_: &str| {
            let found = after.conditions.iter().find(|condition| condition.type_ == type_);
            found.map(|found| (found.status.clone(), found.reason.clone(), found.message.clone())).unwrap()
        };
        assert_eq!(condition("Ready").0, "True");
        let expected =
            ("True".to_owned(), "ComponentFailing".to_owned(), "redis: cannot connect (pod a)".to_owned());
        assert_eq!(condition("Degraded"), expected);
        assert_eq!(after.summary.as_deref(), Some("Degraded: redis: cannot connect (pod a)"));
        let told = |old, new| -> Vec<_> {
            crate::events(Some(old), new, &[]).into_iter().map(|event| (event.kind, event.note)).collect()
        };
        assert_eq!(
            told(&before, &after),
            [(EventKind::Degraded, "redis: cannot connect (pod a)".to_owned())]
        );
        assert_eq!(told(&after, &after), []);
        assert_eq!(
            told(&after, &before),
            [(EventKind::Recovered, "No pod reports a failure any more".to_owned())]
        );
        server.status = Some(after.clone());
        assert_eq!(crate::status(&server, &failing, &verdict, now), after);
    }
}
