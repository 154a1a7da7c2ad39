//! The sentences that people read.

use mcp_server_config::Violation;

use super::rollout::Rollout;
use crate::Taken;

/// The most characters of a message: enough for every problem there is, and far from the schema's limit.
const MAX_CHARACTERS: usize = 4000;

pub(super) fn serving(tools: usize, rollout: &Rollout) -> String {
    format!("Serving {} on {}", counted(tools, "tool"), pods(rollout.wanted))
}

pub(super) fn progress(rollout: &Rollout, waiting_for: &str) -> String {
    let Rollout { wanted, updated, ready, .. } = rollout;
    let doing = if *wanted == 0 {
        format!("Scaling to zero: {} still there", pods(rollout.replicas))
    } else if rollout.is_first() {
        format!("Starting: {ready} of {} ready", pods(*wanted))
    } else if rollout.is_rolling() {
        format!("Rolling out: {updated} of {} run the current version, {ready} ready", pods(*wanted))
    } else {
        format!("Starting: {ready} of {} ready", pods(*wanted))
    };
    format!("{doing}{waiting_for}")
}

pub(super) fn violations(violations: &[Violation]) -> String {
    let all: Vec<String> = violations.iter().map(ToString::to_string).collect();
    all.join("; ")
}

pub(super) fn taken(taken: &[Taken]) -> String {
    let say = |taken: &Taken| {
        format!(
            "{} {} exists and is not of this McpServer ({}); delete or rename it, or give this McpServer another name",
            taken.kind, taken.name, taken.reason
        )
    };
    taken.iter().map(say).collect::<Vec<_>>().join("; ")
}

/// Adds who serves all the same. `unchanged`: nothing was rolled out, so whoever serves is of the version before.
pub(super) fn with_serving(message: String, rollout: &Rollout, unchanged: bool) -> String {
    let before = if unchanged { rollout.ready } else { rollout.serving_before() };
    match before {
        0 if rollout.ready > 0 => format!("{message}; {} of {} ready", rollout.ready, pods(rollout.wanted)),
        0 => message,
        1 => format!("{message}; 1 pod of the previous version keeps serving"),
        count => format!("{message}; {count} pods of the previous version keep serving"),
    }
}

/// A message within its bounds.
pub(super) fn cut(message: &str) -> String {
    let one_line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if one_line.chars().count() <= MAX_CHARACTERS {
        return one_line;
    }
    one_line.chars().take(MAX_CHARACTERS).chain(['…']).collect()
}

fn pods(count: i32) -> String {
    counted(usize::try_from(count).unwrap_or(0), "pod")
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
