//! How much memory this process may use: the limit of its container, or what the machine has.

use std::fs;

/// The limit in bytes; none where the system does not tell.
#[must_use]
pub fn memory_limit() -> Option<u64> {
    let of_container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .find_map(|path| read(&fs::read_to_string(path).ok()?));
    let of_machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    match (of_container, of_machine) {
        (Some(container), Some(machine)) => Some(container.min(machine)),
        (container, machine) => container.or(machine),
    }
}

/// `max` stands for no limit.
fn read(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_systems_write() {
        assert_eq!(read("268435456\n"), Some(268_435_456));
        assert_eq!(read("max\n"), None);
        assert_eq!(total("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn there_is_a_limit() {
        assert!(memory_limit().is_some_and(|limit| limit > 1 << 20));
    }
}
