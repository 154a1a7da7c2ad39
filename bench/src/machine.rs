//! What the kernel tells of processes, and where they run.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Binds this thread, and what it starts from now on, to one processor.
///
/// # Errors
/// Where this process may not use it.
pub fn pin(processor: usize) -> io::Result<()> {
    bind(&[processor])
}

/// Binds this thread, and what it starts from now on, to these processors.
///
/// # Errors
/// Where this process may not use them.
pub fn bind(processors: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    Ok(sched_setaffinity(None, &set)?)
}

/// The processors that this process may use.
///
/// # Errors
/// Where the kernel does not tell.
pub fn processors() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Processor time of a process, user and system, its ended threads included.
///
/// # Errors
/// Where there is no such process.
pub fn cpu_of(pid: u32) -> io::Result<Duration> {
    cpu(&fs::read_to_string(format!("/proc/{pid}/stat"))?)
}

/// How long this thread was ready to run while others had its processor.
///
/// # Errors
/// Where the kernel does not tell.
pub fn starved() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let waited = text.split_whitespace().nth(1).and_then(|field| field.parse().ok());
    waited.map(Duration::from_nanos).ok_or_else(|| unreadable("schedstat"))
}

fn cpu(stat: &str) -> io::Result<Duration> {
    // The name of the program is in parentheses and may hold anything; after it, utime and stime are fields 12 and 13.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let mut fields = fields.split_whitespace().skip(11).map_while(|field| field.parse::<u64>().ok());
    let (Some(user), Some(system)) = (fields.next(), fields.next()) else { return Err(unreadable("stat")) };
    // USER_HZ is 100 on every Linux that this runs on.
    Ok(Duration::from_millis((user + system) * 10))
}

/// Resident memory of a process in bytes.
///
/// # Errors
/// Where there is no such process.
pub fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| unreadable("status"))
}

/// What the machine is, for whoever reads the figures.
#[must_use]
pub fn describe() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = processors().map_or(0, |processors| processors.len());
    format!(
        "{}, {cores} processors, Linux {}, load {}",
        model.trim_start_matches(['\t', ' ', ':']).trim(),
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("unknown")
    )
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc/…/{what} is not as expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_files() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu(stat).unwrap(), Duration::from_secs(2));
        assert!(cpu("").is_err());
        let own = std::process::id();
        assert!(resident(own).unwrap() > 0);
        cpu_of(own).unwrap();
        starved().unwrap();
        assert!(!processors().unwrap().is_empty());
    }
}
