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
    let say = |Taken { kind, name, reason }: &Taken| {
        let step = if kind == "Secret" {
            "delete it to have a key generated, or refer to it in spec.config.auth.apiKeys.secretKeyRef"
        } else {
            "delete or rename it, or give this McpServer another name"
        };
        format!("{kind} {name} exists and is not of this McpServer ({reason}); {step}")
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

/// Adds what runs in place of an invalid resource.
pub(super) fn keeping(message: &str, rollout: &Rollout) -> String {
    let Rollout { wanted, ready, .. } = rollout;
    match wanted {
        0 => format!("{message}; the last valid configuration stays in place, and no pod is wanted"),
        1 if rollout.is_complete() => format!("{message}; 1 pod keeps serving the last valid configuration"),
        _ if rollout.is_complete() => {
            format!("{message}; {wanted} pods keep serving the last valid configuration")
        }
        _ => format!(
            "{message}; the last valid configuration stays in place: {ready} of {} ready",
            pods(*wanted)
        ),
    }
}

/// The most characters of a summary: with it, the row of `kubectl get` for a name of some letters has 120.
const MAX_SUMMARY: usize = 56;

/// A message for a column: all of it where it is short, else its first clause, or the beginning of that.
pub(super) fn summary(message: &str) -> String {
    let one_line = one_line(message);
    if one_line.chars().count() <= MAX_SUMMARY {
        return one_line;
    }
    let clause = one_line.split("; ").next().unwrap_or_default();
    let begun: String = clause.chars().take(MAX_SUMMARY - 1).collect();
    if begun.len() == clause.len() {
        return format!("{clause}…");
    }
    // At a space, unless that would leave next to nothing.
    let end = begun.rfind(' ').filter(|end| *end > begun.len() / 2).unwrap_or(begun.len());
    format!("{}…", begun[..end].trim_end_matches([' ', ':', ',', '(']))
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
    fn a_column_shows_short_messages_whole_and_of_long_ones_the_beginning() {
        assert_eq!(summary("Serving 1 tool\n on 1 pod"), "Serving 1 tool on 1 pod");
        assert_eq!(
            summary(
                "Invalid: spec.config.tools[0].cel: is not a CEL expression: the expression ends too early; correct it there"
            ),
            "Invalid: spec.config.tools[0].cel: is not a CEL…"
        );
        assert_eq!(
            summary("Quota: no more pods fit into namespace shop; raise the quota"),
            "Quota: no more pods fit into namespace shop…"
        );
        assert_eq!(
            summary(&format!("image registry.example.com/{}/server:1 cannot be pulled", "x".repeat(40))),
            format!("image registry.example.com/{}…", "x".repeat(28))
        );
        assert_eq!(summary(&"é".repeat(4000)).chars().count(), MAX_SUMMARY);
    }

    #[test]
    fn a_row_of_kubectl_get_fits_on_a_screen() {
        let long = summary(&format!("Invalid: {}", "field ".repeat(100)));
        let row = format!("hello   False   0          {long}   http://hello.default.svc/mcp   7s");
        assert!(row.chars().count() <= 120, "{row}");
    }
}
