//! The check of the disk: the directories that the log is written to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_server_config::ServerConfig;

use crate::observe::health::{Check, Policy, Registry, Told, Verdict, asking};

const DISK: &str = "disk";
/// A disk that is far away may be slow and well.
const TIMEOUT: Duration = Duration::from_secs(10);
/// With less room than this on the disk the log is about to stop.
const LEAST_FREE: u64 = 64 << 20;

impl Registry {
    /// Looks at the directories that this configuration has written to.
    pub(super) fn follow_disk(&self, config: &ServerConfig) {
        let directories = written_to(config);
        if directories.is_empty() {
            self.configure(DISK, Vec::new());
            let tell = || Told::not_used("no file is written (logging.file)");
            self.tells_in(DISK, DISK.into(), Box::new(tell));
        } else {
            let policy = Policy { period: config.service.health.interval().as_std(), timeout: TIMEOUT };
            self.configure(DISK, vec![check(directories, policy)]);
        }
    }
}

/// Each once, however many files are in it.
fn written_to(config: &ServerConfig) -> BTreeSet<PathBuf> {
    let file = config.process.logging.file.as_ref();
    let files = file.map(|file| [file.path.as_deref(), file.errors_path.as_deref()]);
    files.into_iter().flatten().flatten().map(|file| directory_of(Path::new(file))).collect()
}

fn directory_of(file: &Path) -> PathBuf {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn check(directories: BTreeSet<PathBuf>, policy: Policy) -> Check {
    let looking = Arc::new(AtomicBool::new(false));
    let subject = format!("{directories:?}");
    Check::new(DISK, policy, subject, asking(move || ask(directories.clone(), looking.clone())))
}

async fn ask(directories: BTreeSet<PathBuf>, looking: Arc<AtomicBool>) -> Verdict {
    // A disk that hangs keeps a thread, and must not get a second one.
    if looking.swap(true, Ordering::AcqRel) {
        return Verdict::Error("the last look at the disk has not come back".to_owned());
    }
    let look = tokio::task::spawn_blocking(move || {
        let verdict = together(directories.iter().map(|directory| look(directory)));
        looking.store(false, Ordering::Release);
        verdict
    });
    look.await.unwrap_or_else(|_| Verdict::Error("the check itself broke".to_owned()))
}

/// The worst of them, with what that one says; where all is well, what all say.
fn together(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let [mut healthy, mut unhealthy, mut errors] = [const { Vec::new() }; 3];
    for verdict in verdicts {
        match verdict {
            Verdict::Healthy(told) => healthy.push(told),
            Verdict::Unhealthy(told) => unhealthy.push(told),
            Verdict::Error(told) => errors.push(told),
        }
    }
    if !errors.is_empty() {
        Verdict::Error(errors.join("; "))
    } else if !unhealthy.is_empty() {
        Verdict::Unhealthy(unhealthy.join("; "))
    } else {
        Verdict::Healthy(healthy.join("; "))
    }
}

fn look(directory: &Path) -> Verdict {
    let shown = directory.display();
    if let Err(error) = rustix::fs::access(directory, rustix::fs::Access::WRITE_OK) {
        return Verdict::Error(format!("{shown} cannot be written to: {error}"));
    }
    match rustix::fs::statvfs(directory) {
        Err(error) => Verdict::Error(format!("{shown} cannot be looked at: {error}")),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let told = format!("{} MiB free in {shown}", free >> 20);
            if free < LEAST_FREE { Verdict::Unhealthy(told) } else { Verdict::Healthy(told) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_server_config::LogFile;

    #[test]
    fn a_directory_is_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let Verdict::Healthy(told) = look(directory.path()) else { panic!("no room for tests") };
        assert!(told.contains("MiB free in"), "{told}");
        let gone = look(&directory.path().join("gone"));
        assert!(matches!(&gone, Verdict::Error(told) if told.contains("cannot be written to")), "{gone:?}");
    }

    #[test]
    fn every_directory_counts_and_each_once() {
        let mut config = ServerConfig::default();
        assert_eq!(written_to(&config).len(), 0);
        let file = |path: &str, errors: &str| LogFile {
            path: Some(path.into()),
            errors_path: Some(errors.into()),
            ..LogFile::default()
        };
        config.process.logging.file = Some(file("logs/all.log", "logs/errors.log"));
        assert_eq!(written_to(&config), [PathBuf::from("logs")].into());
        config.process.logging.file = Some(file("all.log", "/elsewhere/errors.log"));
        assert_eq!(written_to(&config), [PathBuf::from("."), PathBuf::from("/elsewhere")].into());
        let all = [Verdict::Healthy("a".into()), Verdict::Error("b".into()), Verdict::Unhealthy("c".into())];
        assert_eq!(together(all.into_iter()), Verdict::Error("b".into()));
    }
}
