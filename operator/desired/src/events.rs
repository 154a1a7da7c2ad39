//! What to tell of a pass: one event for each real change, none for a pass that changed nothing.

use mcp_crds::{McpServerStatus, v1alpha1::Condition};

use crate::{
    Reason,
    objects::{Change, ChangeKind},
    reason::condition,
    status::{condition_of, ready},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// Children were made for the first time.
    Created,
    /// Children were changed, because the resource or the operator's settings changed.
    Updated,
    /// Children that somebody had changed or deleted were put right.
    DriftReverted,
    /// Every wanted pod runs the current version and answers.
    RolledOut,
    /// Something that was well is no more.
    Degraded,
    /// Something that was wrong is well again.
    Recovered,
    /// The resource breaks rules.
    Invalid,
    /// A child's name belongs to somebody else.
    NameConflict,
    /// Another writer keeps changing what the operator writes.
    Contended,
}

impl EventKind {
    /// The event's reason.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Updated => "Updated",
            Self::DriftReverted => "DriftReverted",
            Self::RolledOut => "RolledOut",
            Self::Degraded => "Degraded",
            Self::Recovered => "Recovered",
            Self::Invalid => "Invalid",
            Self::NameConflict => "NameConflict",
            Self::Contended => "Contended",
        }
    }

    /// Whether the event's type is Warning, not Normal.
    #[must_use]
    pub const fn is_warning(self) -> bool {
        match self {
            Self::Degraded | Self::Invalid | Self::NameConflict | Self::Contended => true,
            Self::Created | Self::Updated | Self::DriftReverted | Self::RolledOut | Self::Recovered => false,
        }
    }

    /// What the operator did or does about it: the event's action.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Created | Self::Updated | Self::DriftReverted | Self::Contended => "Apply",
            Self::RolledOut | Self::Degraded | Self::Recovered => "Observe",
            Self::Invalid | Self::NameConflict => "Validate",
        }
    }
}

/// An event to publish about an `McpServer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    /// One sentence, at most 1024 bytes, as the API allows.
    pub note: String,
}

/// What to tell, given the status before and after, and what was written in between.
#[must_use]
pub fn events(old: Option<&McpServerStatus>, new: &McpServerStatus, changes: &[Change]) -> Vec<Event> {
    let mut events = Vec::new();
    for (what, kind, verb) in [
        (ChangeKind::Created, EventKind::Created, "Created"),
        (ChangeKind::Updated, EventKind::Updated, "Updated"),
        (
            ChangeKind::Reverted,
            EventKind::DriftReverted,
            "Reverted what was not changed through the McpServer:",
        ),
    ] {
        let children: Vec<String> = changes.iter().filter(|change| change.what == what).map(shown).collect();
        if !children.is_empty() {
            events.push(Event { kind, note: note(&format!("{verb} {}", children.join(", "))) });
        }
    }
    events.extend(degradation(
        old.and_then(|old| condition_of(old, condition::DEGRADED)),
        condition_of(new, condition::DEGRADED),
    ));
    events.extend(contended(old, new));
    let now = ready(new);
    events.extend(now.and_then(|now| transition(old.and_then(ready), now, new)));
    events
}

/// What pods say fails, when they say it first, and when it has ended. More or fewer of them saying so is no event.
fn degradation(before: Option<&Condition>, now: Option<&Condition>) -> Option<Event> {
    match (before, now) {
        (Some(before), Some(now)) if before.reason == now.reason => None,
        (_, Some(now)) => Some(Event { kind: EventKind::Degraded, note: note(&now.message) }),
        (Some(_), None) => {
            Some(Event { kind: EventKind::Recovered, note: "No pod reports a failure any more".to_owned() })
        }
        (None, None) => None,
    }
}

/// The most fields of one child that an event names.
const MOST_FIELDS: usize = 3;

/// The child, with what of it was changed.
fn shown(change: &Change) -> String {
    let Change { kind, name, what, fields } = change;
    let named = fields.iter().take(MOST_FIELDS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (fields.len(), what) {
        (0, ChangeKind::Reverted) => format!("{kind} {name} (deleted)"),
        (0, _) => format!("{kind} {name}"),
        (count, _) if count > MOST_FIELDS => {
            format!("{kind} {name} ({named} and {} more)", count - MOST_FIELDS)
        }
        _ => format!("{kind} {name} ({named})"),
    }
}

/// A contention that was not there before, or is another one.
fn contended(old: Option<&McpServerStatus>, new: &McpServerStatus) -> Option<Event> {
    let of = |status: &'_ McpServerStatus| {
        let found = status.conditions.iter().find(|condition| condition.type_ == condition::CONTENDED);
        found.map(|condition| condition.message.clone())
    };
    let now = of(new)?;
    (old.and_then(of).as_ref() != Some(&now)).then(|| Event { kind: EventKind::Contended, note: note(&now) })
}

fn transition(before: Option<&Condition>, now: &Condition, new: &McpServerStatus) -> Option<Event> {
    let reason = Reason::parse(&now.reason)?;
    let was = before.and_then(|before| Reason::parse(&before.reason));
    let was_ready = before.is_some_and(|before| before.status == "True");
    let kind = match reason {
        Reason::Ready | Reason::ScaledToZero if was_ready && was == Some(reason) => return None,
        Reason::Ready | Reason::ScaledToZero if was.is_some_and(Reason::is_a_problem) => EventKind::Recovered,
        Reason::Ready | Reason::ScaledToZero => EventKind::RolledOut,
        // A contention has an event of its own.
        Reason::Pending | Reason::Progressing | Reason::Contended => return None,
        // Another text about the same generation is the same trouble in other words; after an edit it is new trouble.
        _ if was == Some(reason) && same_resource(before, now) => return None,
        Reason::Invalid => EventKind::Invalid,
        Reason::NameConflict => EventKind::NameConflict,
        Reason::ReferenceMissing
        | Reason::ImagePull
        | Reason::CrashLoop
        | Reason::OutOfMemory
        | Reason::NotReady
        | Reason::Unschedulable
        | Reason::Quota
        | Reason::Forbidden
        | Reason::Rejected
        | Reason::RolloutStuck
        | Reason::Internal => EventKind::Degraded,
    };
    let text = match kind {
        EventKind::RolledOut => rolled_out(new, &now.message),
        _ => now.message.clone(),
    };
    Some(Event { kind, note: note(&text) })
}

/// What was rolled out, and how it stands.
fn rolled_out(status: &McpServerStatus, message: &str) -> String {
    let generation =
        status.observed_generation.map_or_else(String::new, |number| format!(" generation {number}"));
    let image = status.image.as_deref().map_or_else(String::new, |image| format!(" with image {image}"));
    format!("Rolled out{generation}{image}: {message}")
}

fn same_resource(before: Option<&Condition>, now: &Condition) -> bool {
    before.is_some_and(|before| {
        before.observed_generation == now.observed_generation || before.message == now.message
    })
}

/// The API takes notes of at most 1024 bytes.
fn note(text: &str) -> String {
    const MAX_BYTES: usize = 1024;
    if text.len() <= MAX_BYTES {
        return text.to_owned();
    }
    let end = (0..=MAX_BYTES - '…'.len_utf8()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests;
