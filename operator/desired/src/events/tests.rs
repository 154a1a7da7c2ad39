//! One event for each real change, and none without one.

use serde_json::json;

use super::*;

fn status(ready: &str, reason: Reason, message: &str, generation: i64) -> McpServerStatus {
    serde_json::from_value(json!({"conditions": [{
        "type": "Ready", "status": ready, "reason": reason.as_str(), "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation,
    }]}))
    .unwrap()
}

fn told(old: Option<&McpServerStatus>, new: &McpServerStatus) -> Vec<(EventKind, String)> {
    events(old, new, &[]).into_iter().map(|event| (event.kind, event.note)).collect()
}

#[test]
fn transitions() {
    let ready = || status("True", Reason::Ready, "Serving 1 tool on 1 pod", 1);
    let progressing = || status("False", Reason::Progressing, "Starting", 1);
    let crashing = |generation| status("False", Reason::CrashLoop, "it ends", generation);
    let pending = || status("Unknown", Reason::Pending, "not seen", 0);
    let invalid = |message: &str, generation| status("False", Reason::Invalid, message, generation);
    for (old, new, kinds) in [
        (None, progressing(), vec![]),
        (Some(pending()), progressing(), vec![]),
        (Some(progressing()), ready(), vec![EventKind::RolledOut]),
        (Some(ready()), ready(), vec![]),
        (Some(ready()), progressing(), vec![]),
        (Some(ready()), crashing(1), vec![EventKind::Degraded]),
        (Some(crashing(1)), crashing(1), vec![]),
        (Some(crashing(1)), status("False", Reason::CrashLoop, "other words", 1), vec![]),
        (Some(crashing(1)), status("False", Reason::OutOfMemory, "memory", 1), vec![EventKind::Degraded]),
        (Some(crashing(1)), ready(), vec![EventKind::Recovered]),
        (Some(ready()), status("True", Reason::ScaledToZero, "zero", 2), vec![EventKind::RolledOut]),
        (Some(ready()), invalid("a", 2), vec![EventKind::Invalid]),
        (Some(invalid("a", 2)), invalid("a", 2), vec![]),
        (Some(invalid("a", 2)), invalid("b", 3), vec![EventKind::Invalid]),
        (Some(invalid("a", 2)), ready(), vec![EventKind::Recovered]),
        (None, status("False", Reason::NameConflict, "taken", 1), vec![EventKind::NameConflict]),
    ] {
        let told: Vec<_> = told(old.as_ref(), &new).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(told, kinds, "{old:?} -> {new:?}");
    }
}

#[test]
fn the_note_is_what_the_status_says() {
    let invalid = status("False", Reason::Invalid, "spec.replicas: must be from 0 to 1000", 1);
    assert_eq!(
        told(None, &invalid),
        [(EventKind::Invalid, "spec.replicas: must be from 0 to 1000".to_owned())]
    );
    let long = status("False", Reason::Invalid, &"é".repeat(2000), 1);
    let note = &told(None, &long)[0].1;
    assert!(note.len() <= 1024 && note.ends_with('…'), "{}", note.len());
}

#[test]
fn what_was_written_is_told_once_a_kind_with_the_fields() {
    let change = |kind: &str, what, fields: &[&str]| Change {
        kind: kind.into(),
        name: "hello".into(),
        what,
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    };
    let same = status("False", Reason::Progressing, "Starting", 1);
    let events = events(
        Some(&same),
        &same,
        &[
            change("ConfigMap", ChangeKind::Created, &[]),
            change("Deployment", ChangeKind::Created, &[]),
            change("ConfigMap", ChangeKind::Updated, &["data.production.json"]),
            change("Deployment", ChangeKind::Updated, &["a", "b", "c", "d", "e"]),
            change("Service", ChangeKind::Reverted, &[]),
            change("Deployment", ChangeKind::Reverted, &["spec.replicas"]),
        ],
    );
    let told: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.note.as_str())).collect();
    assert_eq!(
        told,
        [
            ("Created", "Created ConfigMap hello, Deployment hello"),
            (
                "Updated",
                "Updated ConfigMap hello (data.production.json), Deployment hello (a, b, c and 2 more)"
            ),
            (
                "DriftReverted",
                "Reverted what was not changed through the McpServer: Service hello (deleted), Deployment hello (spec.replicas)"
            ),
        ]
    );
    assert!(super::events(Some(&same), &same, &[]).is_empty());
}

#[test]
fn a_rollout_says_what_was_rolled_out() {
    let mut ready = status("True", Reason::Ready, "Serving 1 tool on 1 pod", 4);
    ready.observed_generation = Some(4);
    ready.image = Some("localhost/mcp-server:0.1.0".into());
    let before = status("False", Reason::Progressing, "Starting", 4);
    let sentence = "Rolled out generation 4 with image localhost/mcp-server:0.1.0: Serving 1 tool on 1 pod";
    assert_eq!(told(Some(&before), &ready), [(EventKind::RolledOut, sentence.to_owned())]);
}

#[test]
fn a_contention_is_told_once_and_its_end_not() {
    let contended = |message: Option<&str>| {
        let mut status = status("False", Reason::Contended, message.unwrap_or_default(), 1);
        let mut extra = status.conditions[0].clone();
        extra.type_ = "Contended".into();
        status.conditions.extend(message.map(|_| extra));
        status
    };
    let one = contended(Some("spec.replicas is changed"));
    let event = (EventKind::Contended, "spec.replicas is changed".to_owned());
    let ready = status("True", Reason::Ready, "Serving", 1);
    assert_eq!(told(Some(&ready), &one), [event]);
    assert_eq!(told(Some(&one), &one), []);
    assert_eq!(told(Some(&one), &contended(Some("something else"))).len(), 1);
    assert_eq!(told(Some(&one), &ready), [(EventKind::Recovered, "Serving".to_owned())]);
}
