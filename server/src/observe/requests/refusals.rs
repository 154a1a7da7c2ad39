//! How often refusals are logged. Anybody can be refused as often as they like: without a bound, a caller with a wrong key
//! fills the disk and pushes everything else out of the rotated files.
//!
//! One line a second is written for each reason and client address; how many were left out is said by the next line, or
//! by one of its own where no other follows.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::address::network;

/// For each reason and address, one line in this time.
const PERIOD: Duration = Duration::from_secs(1);
/// After this time without another line, a count is written by itself.
const QUIET: Duration = Duration::from_millis(1500);
/// Reasons and addresses that are told apart at a time.
const MOST_SOURCES: usize = 256;
/// Lines in one [`PERIOD`], whatever the number of addresses: with ten files of 1 MiB, hours of history.
const MOST_LINES: u32 = 16;

/// Refusals of the last moments.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    sources: HashMap<Source, Lines>,
    /// Refusals from addresses for which there was no line left, by reason.
    others: HashMap<&'static str, u64>,
    /// When the current period began, and the lines in it.
    period: Option<(Instant, u32)>,
    /// Whether a task is about to write counts.
    counting: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Source {
    reason: &'static str,
    address: IpAddr,
}

#[derive(Clone, Copy, Debug)]
struct Lines {
    last: Instant,
    /// Refusals since the last line.
    left_out: u64,
}

/// A count of refusals of which no line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    reason: &'static str,
    /// Absent where it is that of many addresses.
    address: Option<IpAddr>,
    left_out: u64,
}

impl Refusals {
    /// Whether a line is to be written of a refusal: then how many were left out since the last one like it.
    pub(super) fn admit(
        self: &Arc<Self>,
        reason: &'static str,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Option<u64> {
        let mut table = self.table();
        let admitted = table.admit(reason, address, now);
        if admitted.is_none() && !table.counting {
            // Outside a runtime there is only the next line to say it.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                table.counting = true;
                drop(runtime.spawn(self.clone().count()));
            }
        }
        admitted
    }

    /// Writes counts until there is nothing left to count.
    async fn count(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let (counts, done) = {
                let mut table = self.table();
                let counts = table.take_counts(Instant::now());
                table.counting = table.is_pending();
                (counts, !table.counting)
            };
            counts.iter().for_each(Count::log);
            if done {
                return;
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn admit(&mut self, reason: &'static str, address: Option<IpAddr>, now: Instant) -> Option<u64> {
        let address = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), network);
        let source = Source { reason, address };
        let room = self.has_room_for_a_line(now);
        let more_sources = self.sources.len() < MOST_SOURCES;
        match self.sources.get_mut(&source) {
            Some(lines) if room && now.saturating_duration_since(lines.last) >= PERIOD => {
                lines.last = now;
                Some(std::mem::take(&mut lines.left_out))
            }
            Some(lines) => {
                lines.left_out += 1;
                return None;
            }
            None if room && more_sources => {
                self.sources.insert(source, Lines { last: now, left_out: 0 });
                Some(0)
            }
            None => {
                *self.others.entry(reason).or_default() += 1;
                return None;
            }
        }
        .inspect(|_| {
            if let Some((_, lines)) = &mut self.period {
                *lines += 1;
            }
        })
    }

    /// Begins a new period where the last one is over, and forgets what has nothing more to say.
    fn has_room_for_a_line(&mut self, now: Instant) -> bool {
        match self.period {
            Some((began, lines)) if now.saturating_duration_since(began) < PERIOD => lines < MOST_LINES,
            _ => {
                self.period = Some((now, 0));
                self.sources.retain(|_, lines| {
                    lines.left_out > 0 || now.saturating_duration_since(lines.last) < PERIOD
                });
                true
            }
        }
    }

    fn take_counts(&mut self, now: Instant) -> Vec<Count> {
        let mut counts = Vec::new();
        for (source, lines) in &mut self.sources {
            if lines.left_out > 0 && now.saturating_duration_since(lines.last) >= QUIET {
                let address = Some(source.address).filter(|address| !address.is_unspecified());
                let left_out = std::mem::take(&mut lines.left_out);
                counts.push(Count { reason: source.reason, address, left_out });
                lines.last = now;
            }
        }
        let others = self.others.drain();
        counts.extend(others.map(|(reason, left_out)| Count { reason, address: None, left_out }));
        counts
    }

    fn is_pending(&self) -> bool {
        !self.others.is_empty() || self.sources.values().any(|lines| lines.left_out > 0)
    }
}

impl Count {
    fn log(&self) {
        let Self { reason, address, left_out } = *self;
        match address {
            Some(client) => tracing::warn!(
                target: super::line::TARGET, reason, %client, left_out, "more requests were refused"
            ),
            None => tracing::warn!(
                target: super::line::TARGET, reason, left_out, "more requests of several clients were refused"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> Option<IpAddr> {
        Some([192, 0, 2, last].into())
    }

    #[test]
    fn one_line_a_second_for_each_reason_and_address() {
        let (mut table, begin) = (Table::default(), Instant::now());
        let mut admit =
            |reason, address, millis| table.admit(reason, address, begin + Duration::from_millis(millis));
        assert_eq!(admit("wrong", ip(1), 0), Some(0));
        assert_eq!(admit("missing", ip(1), 1), Some(0), "another reason");
        assert_eq!(admit("wrong", ip(2), 2), Some(0), "another address");
        for _ in 0..1000 {
            assert_eq!(admit("wrong", ip(1), 999), None);
        }
        assert_eq!(admit("wrong", ip(1), 1000), Some(1000));
        assert_eq!(admit("wrong", ip(1), 1001), None);
        let mut counts = |millis| table.take_counts(begin + Duration::from_millis(millis));
        assert_eq!(counts(2000), [], "the next line would say it");
        let count = Count { reason: "wrong", address: ip(1), left_out: 1 };
        assert_eq!((counts(2500), counts(5000)), (vec![count], vec![]));
    }

    #[test]
    fn a_flood_from_many_addresses_is_a_few_lines_and_a_count() {
        let (mut table, mut lines) = (Table::default(), 0);
        let begin = Instant::now();
        for n in 0..100_000_u32 {
            let now = begin + Duration::from_micros(u64::from(n) * 50);
            lines +=
                u32::from(table.admit("wrong", Some(IpAddr::from((n << 8).to_be_bytes())), now).is_some());
            assert!(table.sources.len() <= MOST_SOURCES);
        }
        assert_eq!(lines, 5 * MOST_LINES, "five seconds");
        let counts = table.take_counts(begin + Duration::from_secs(60));
        let left_out: u64 = counts.iter().map(|count| count.left_out).sum();
        assert_eq!(left_out, 100_000 - u64::from(lines));
        assert!(!table.is_pending());
    }
}
