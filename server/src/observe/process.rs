//! What the operating system knows of this process (`/proc`, Linux).

use std::fs;

/// Figures of this process; zero where the system does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    pub resident_bytes: u64,
    pub open_fds: u64,
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
        open_fds: fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
        threads: field("Threads:"),
        cpu_seconds,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn knows_this_process() {
        let process = super::sample();
        assert!(
            process.resident_bytes > 100_000 && process.open_fds > 2 && process.threads > 0,
            "{process:?}"
        );
    }
}
