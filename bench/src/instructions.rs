//! Instructions of a call, counted by callgrind. They are the same on a busy machine, and so can be held to 2 %.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::wire::Era;

/// Instructions of one call by pipeline and era.
pub type Counts = BTreeMap<String, u64>;

/// Per cent of the recorded count: more is too much.
pub const AT_MOST: u64 = 102;

/// Start-up is the same in both, and is gone from their difference. Both are past the first calls, which fill caches.
const FEW: u64 = 500;
const MANY: u64 = 5_500;

/// Counts every pipeline.
///
/// # Errors
/// Where valgrind is missing, or a call fails.
pub fn count(dispatch: &Path) -> io::Result<Counts> {
    let mut counts = Counts::new();
    for pipeline in ["bare", "full"] {
        for era in Era::BOTH {
            let few = run(dispatch, pipeline, era, FEW)?;
            let many = run(dispatch, pipeline, era, MANY)?;
            counts.insert(format!("{pipeline}.{}", era.as_str()), many.saturating_sub(few) / (MANY - FEW));
        }
    }
    Ok(counts)
}

fn run(dispatch: &Path, pipeline: &str, era: Era, calls: u64) -> io::Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(dispatch);
    command.args([pipeline, era.as_str(), &calls.to_string()]);
    let output = command
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot run valgrind: {error}")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(io::Error::other(format!("{pipeline} failed under valgrind:\n{said}")));
    }
    collected(&said).ok_or_else(|| io::Error::other(format!("valgrind told no count:\n{said}")))
}

/// From the line `==7== Collected : 123`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected : "));
    line.and_then(|(_, count)| count.trim().parse().ok())
}

/// What has grown too much: a sentence each.
#[must_use]
pub fn grown(baseline: &Counts, now: &Counts) -> Vec<String> {
    let too_much = |(name, before): (&String, &u64)| {
        let now = *now.get(name)?;
        (now * 100 > before * AT_MOST).then(|| {
            let more = (ratio(now, *before) - 1.0) * 100.0;
            format!("{name}: {now} instructions a call, {more:.1} % more than the recorded {before}")
        })
    };
    baseline.iter().filter_map(too_much).collect()
}

/// How much more or less, as a factor.
#[expect(clippy::cast_precision_loss, reason = "instructions of a call are below 2^53")]
#[must_use]
pub fn ratio(now: u64, before: u64) -> f64 {
    now as f64 / before.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_callgrind_says() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 12345\n==1==\n"), Some(12_345));
        assert_eq!(collected("no such tool"), None);
    }

    #[test]
    fn two_percent_more_pass() {
        let counts = |bare: u64| Counts::from([("bare.modern".to_owned(), bare)]);
        assert!(grown(&counts(10_000), &counts(10_200)).is_empty());
        assert!(grown(&counts(10_000), &counts(9_000)).is_empty());
        assert_eq!(grown(&counts(10_000), &counts(10_300)).len(), 1);
        assert!(grown(&counts(10_000), &Counts::new()).is_empty());
    }
}
