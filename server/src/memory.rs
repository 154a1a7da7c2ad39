//! How much memory this process may use, and whether what it is told to hold fits.

use std::fs;
use std::path::{Path, PathBuf};

use mcp_server_config::cache::{CacheMode, Store};
use mcp_server_config::{ByteSize, ServerConfig};

/// All bodies of requests together take this much at most, and any one of them in any case.
const BODIES: u64 = 64 << 20;

/// What the process takes besides bodies: code, threads, connections, answers.
const BASE: u64 = 48 << 20;

/// The memory limit of the cgroup, which is a container's memory limit; none where there is none.
#[must_use]
pub fn limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_in(Path::new("/sys/fs/cgroup"), &groups)
}

/// The lowest limit from the process's own group up to the root of what it can see.
fn limit_in(root: &Path, groups: &str) -> Option<u64> {
    let own =
        groups.lines().find_map(|line| line.strip_prefix("0::")).map(|path| path.trim_start_matches('/'));
    let own = root.join(own.unwrap_or_default());
    let of_today =
        own.ancestors().take_while(|group| group.starts_with(root)).map(|group| group.join("memory.max"));
    let of_version_1 = root.join("memory/memory.limit_in_bytes");
    let files: Vec<PathBuf> = of_today.chain([of_version_1]).collect();
    let limits = files.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    // Version 1 says "no limit" with a number that no machine has.
    limits.filter(|limit| *limit < 1 << 60).min()
}

/// How many bytes of request bodies are held at once, under this memory limit.
#[must_use]
pub fn body_budget(limit: Option<u64>, max_body: usize) -> usize {
    let budget = limit.map_or(BODIES, |limit| BODIES.min(limit / 4));
    usize::try_from(budget).unwrap_or(usize::MAX).max(max_body)
}

/// What a user should know of a configuration that does not fit under this memory limit.
#[must_use]
pub fn warning(config: &ServerConfig, limit: Option<u64>) -> Option<String> {
    let limit = limit?;
    let max_body = config.service.http.max_body();
    let bodies = u64::try_from(body_budget(Some(limit), max_body.as_usize())).unwrap_or(u64::MAX);
    let cache = cache_memory(config);
    let sum = BASE.saturating_add(bodies).saturating_add(cache);
    (sum > limit).then(|| {
        let size = ByteSize::from_bytes;
        format!(
            "the memory limit of {} is less than the {} that this configuration may use: {} for bodies of requests \
             (http.maxBody is {max_body}), {} for the cache (cache.maxMemory), {} for everything else; raise the limit \
             or lower the settings",
            size(limit), size(sum), size(bodies), size(cache), size(BASE)
        )
    })
}

/// What the cache may hold in memory.
fn cache_memory(config: &ServerConfig) -> u64 {
    let cache = &config.service.cache;
    let in_memory =
        cache.mode() == CacheMode::On && cache.store() == Store::Memory && !cache.tools.is_empty();
    if in_memory { cache.max_memory().as_bytes() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn finds_the_lowest_limit_on_the_way_up() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(limit_in(root, "0::/pod/container\n"), None);
        write(root, "pod/container/memory.max", "max\n");
        assert_eq!(limit_in(root, "0::/pod/container\n"), None);
        write(root, "pod/memory.max", "268435456\n");
        assert_eq!(limit_in(root, "0::/pod/container\n"), Some(256 << 20));
        assert_eq!(limit_in(root, "0::/other\n"), None);
        write(root, "memory.max", "1000\n");
        assert_eq!(limit_in(root, "0::/\n"), Some(1000), "as a container sees itself");
    }

    #[test]
    fn knows_the_older_kind_of_cgroup() {
        let root = tempfile::tempdir().unwrap();
        let file = "memory/memory.limit_in_bytes";
        write(root.path(), file, "9223372036854771712\n");
        assert_eq!(limit_in(root.path(), "9:memory:/x\n"), None);
        write(root.path(), file, "134217728\n");
        assert_eq!(limit_in(root.path(), "9:memory:/x\n"), Some(128 << 20));
    }

    #[test]
    fn bodies_take_a_quarter_at_most_and_one_body_always_fits() {
        let body = 4 << 20;
        for (limit, budget) in
            [(None, 64 << 20), (Some(1 << 30), 64 << 20), (Some(128 << 20), 32 << 20), (Some(1 << 20), body)]
        {
            assert_eq!(body_budget(limit, body), budget, "{limit:?}");
        }
    }

    #[test]
    fn says_what_does_not_fit() {
        let mut config = ServerConfig::default();
        assert_eq!(warning(&config, None), None);
        assert_eq!(warning(&config, Some(256 << 20)), None);
        config.service.http.max_body = Some(ByteSize::from_mib(64));
        let warning = warning(&config, Some(96 << 20)).unwrap();
        assert!(warning.contains("96Mi") && warning.contains("http.maxBody is 64Mi"), "{warning}");
    }
}
