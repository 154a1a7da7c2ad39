//! What the operating system knows of this process (`/proc`, Linux).

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Figures of this process; zero where the system does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub open_fds: u64,
    /// The most that may be open; zero where there is no bound.
    pub max_fds: u64,
    pub threads: u64,
    pub cpu_seconds: f64,
}

/// Clock ticks in a second, as `/proc` counts them; fixed in the kernel's interface.
const TICKS: f64 = 100.0;

#[must_use]
pub fn sample() -> Process {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field may hold anything in its parentheses; utime and stime are the 12th and 13th after it.
    let ticks: u64 = stat.rsplit(')').next().map_or(0, |rest| {
        rest.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum()
    });
    #[expect(clippy::cast_precision_loss, reason = "seconds of processor time are far below 2^53 ticks")]
    let cpu_seconds = ticks as f64 / TICKS;
    Process {
        resident_bytes: field("VmRSS:") * 1024,
        virtual_bytes: field("VmSize:") * 1024,
        open_fds: fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
        max_fds: max_fds(),
        threads: field("Threads:"),
        cpu_seconds,
    }
}

fn max_fds() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// How much of a processor this process used between two looks at it, in percent: 100 is one processor, busy all the
/// time.
#[derive(Debug)]
pub struct CpuMeter(Mutex<Look>);

#[derive(Debug)]
struct Look {
    at: Instant,
    cpu_seconds: f64,
    percent: f64,
}

/// Looks that follow sooner than this tell the same: clocks tick a hundred times in a second.
const SOONEST: Duration = Duration::from_secs(1);

impl CpuMeter {
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(Look { at: Instant::now(), cpu_seconds: sample().cpu_seconds, percent: 0.0 }))
    }

    /// The percentage since the last look.
    #[must_use]
    pub fn percent(&self, process: &Process) -> f64 {
        let mut look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = look.at.elapsed();
        if elapsed >= SOONEST {
            let used = (process.cpu_seconds - look.cpu_seconds).max(0.0);
            let percent = (used / elapsed.as_secs_f64() * 1000.0).round() / 10.0;
            *look = Look { at: Instant::now(), cpu_seconds: process.cpu_seconds, percent };
        }
        look.percent
    }
}

impl Default for CpuMeter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn knows_this_process() {
        let process = super::sample();
        assert!(
            process.resident_bytes > 100_000
                && process.open_fds > 2
                && process.max_fds > 2
                && process.threads > 0,
            "{process:?}"
        );
    }
}
