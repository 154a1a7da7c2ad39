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

/// The most characters of a summary: `kubectl get` shows it in a column between others.
const MAX_SUMMARY: usize = 100;
/// Where the rest of it is.
const MORE: &str = " (see describe)";

/// A message for a column: all of it where it is short, else its first clause, or the beginning of that.
pub(super) fn summary(message: &str) -> String {
    let one_line = one_line(message);
    if one_line.chars().count() <= MAX_SUMMARY {
        return one_line;
    }
    let room = MAX_SUMMARY - MORE.len();
    let clause = one_line.split("; ").next().unwrap_or_default();
    if clause.chars().count() <= room {
        return format!("{clause}{MORE}");
    }
    let begun: String = clause.chars().take(room - 1).collect();
    // At a space, unless that would leave next to nothing.
    let end = begun.rfind(' ').filter(|end| *end > room / 2).unwrap_or(begun.len());
    format!("{}…{MORE}", begun[..end].trim_end_matches([' ', ':', ',', '(']))
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A message within its bounds.
pub(super) fn cut(message: &str) -> String {
    let one_line = one_line(message);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_shows_short_messages_whole_and_of_long_ones_the_first_clause() {
        assert_eq!(summary("Serving 1 tool\n on 1 pod"), "Serving 1 tool on 1 pod");
        assert_eq!(
            summary(
                "spec.config.tools[0].cel: is not a CEL expression: the expression ends too early; correct it there (line 1, column 4)"
            ),
            "spec.config.tools[0].cel: is not a CEL expression: the expression ends too early (see describe)"
        );
        assert_eq!(
            summary(&format!(
                "image registry.example.com/{}/server:1 cannot be pulled; correct it",
                "x".repeat(40)
            )),
            format!("image registry.example.com/{}/server:1 cannot… (see describe)", "x".repeat(40))
        );
        let long = summary(&"é".repeat(4000));
        assert_eq!(long.chars().count(), MAX_SUMMARY);
    }
}
