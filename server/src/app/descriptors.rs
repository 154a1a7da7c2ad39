//! File descriptors: how many connections fit into what the operating system allows this process.
//!
//! A server that runs out of descriptors cannot accept anything, probes included, and its tools cannot connect. So what
//! strangers can take is bounded at the start, and the rest is kept for the process itself.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::app::StartError;

/// Descriptors of the process itself: standard streams, the runtime, listeners, logs, files that are watched, Redis.
const OWN: u64 = 32;

/// The fewest with which anything can be served.
const LEAST: u64 = 48;

/// Connections to the admin port: probes, Prometheus and people.
const ADMIN: std::ops::RangeInclusive<u64> = 4..=64;

/// How many connections each port may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connections {
    pub(super) mcp: usize,
    pub(super) admin: usize,
}

impl Connections {
    /// Behind standard input and output there is the admin port at most.
    pub(super) const WITHOUT_MCP: Self = Self { mcp: 0, admin: 64 };

    /// Raises the limit of the process, as far as it may, to what `asked` connections to the MCP port take, and says how
    /// many there may be. Where that is less, a warning says so.
    ///
    /// # Errors
    /// Where next to nothing could be served.
    pub(super) fn plan(asked: usize) -> Result<Self, StartError> {
        let limit = raised(needed(asked));
        let planned = Self::within(limit, asked).ok_or(StartError::Descriptors { limit, least: LEAST })?;
        if planned.mcp < asked {
            tracing::warn!(
                limit,
                max_connections = asked,
                connections = planned.mcp,
                "the limit of open files (RLIMIT_NOFILE) is too low for http.maxConnections, so fewer connections are \
                 held; raise the limit (ulimit -n, LimitNOFILE= of systemd, nofile of the container engine) or lower \
                 http.maxConnections"
            );
        }
        Ok(planned)
    }

    /// What fits into `limit` descriptors: an eighth of what the process does not need itself is for the admin port, and
    /// a quarter for what tools open.
    fn within(limit: u64, asked: usize) -> Option<Self> {
        let spare = limit.checked_sub(OWN).filter(|_| limit >= LEAST)?;
        let admin = (spare / 8).clamp(*ADMIN.start(), *ADMIN.end());
        let mcp = (spare - admin - spare / 4).min(count(asked));
        Some(Self { mcp: usize::try_from(mcp).unwrap_or(asked), admin: usize::try_from(admin).unwrap_or(64) })
    }
}

/// A limit within which so many connections fit.
fn needed(asked: usize) -> u64 {
    let with_tools = (count(asked) + ADMIN.end()).saturating_mul(4) / 3 + 1;
    with_tools.saturating_add(OWN)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX / 8)
}

/// The limit of open files, after it was raised to `needed`, or as near to that as this process may.
fn raised(needed: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // None is no limit at all.
    let Some(now) = current else { return u64::MAX };
    let wanted = maximum.map_or(needed, |maximum| needed.min(maximum));
    if wanted <= now {
        return now;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::debug!(%error, limit = now, wanted, "cannot raise the limit of open files");
            now
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_share_what_the_process_does_not_need_itself() {
        let within = |limit, asked| Connections::within(limit, asked).map(|plan| (plan.mcp, plan.admin));
        assert_eq!(within(47, 10_000), None);
        assert_eq!(within(48, 10_000), Some((8, 4)));
        assert_eq!(within(64, 10_000), Some((20, 4)));
        assert_eq!(within(1024, 10_000), Some((680, 64)));
        assert_eq!(within(1024, 100), Some((100, 64)));
        assert_eq!(within(u64::MAX, 10_000), Some((10_000, 64)));
    }

    #[test]
    fn what_is_asked_for_fits_into_what_is_needed_for_it() {
        for asked in [1, 64, 1000, 10_000, 1_000_000] {
            assert_eq!(Connections::within(needed(asked), asked).unwrap().mcp, asked, "{asked}");
        }
    }
}
