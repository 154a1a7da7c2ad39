//! Files that hold secrets: written whole or not at all, and changed by one process at a time.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How long a change waits for another process that is changing the same file.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// How often a change is worked out anew because an editor that takes no lock saved the file in between.
const ATTEMPTS: usize = 5;

/// Why a file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot lock {}, which keeps two changes of the file beside it apart", path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error(
        "{} has been locked by another process for {} seconds; end that process (`fuser {}` names it) and try again",
        path.display(), LOCK_PATIENCE.as_secs(), path.display()
    )]
    Locked { path: PathBuf },
    #[error("{} is being changed by another program all the time; try again when it has finished", .0.display())]
    Contended(PathBuf),
}

/// Changes a file: `change` gets its text, or nothing where there is no file, and returns the new text. Nothing that
/// another process writes meanwhile is lost: those that call this function wait for each other, and where an editor saved
/// the file in between, `change` is called again with what is there now.
///
/// Owner and permissions of the file stay as they are; a new one is readable by its owner alone. Where the path is a link,
/// the file that it points to is changed.
///
/// # Errors
/// Where the file cannot be read, locked or written, and with the error of `change`.
pub fn edit<E: From<EditError>>(
    path: &Path,
    mut change: impl FnMut(Option<&str>) -> Result<String, E>,
) -> Result<(), E> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let write = |source| EditError::Write { path: path.to_owned(), source };
    make_directory(&target).map_err(write)?;
    let _lock = lock(&target)?;
    for _ in 0..ATTEMPTS {
        let before = read(&target)?;
        let text = change(before.as_deref())?;
        let like = fs::metadata(&target).ok();
        let staged = stage(&target, &text, like.as_ref()).map_err(write)?;
        if read(&target)? == before {
            return Ok(staged.publish().map_err(write)?);
        }
    }
    Err(EditError::Contended(path.to_owned()).into())
}

/// Writes a file that only this user can read, whole or not at all, and makes its directory where there is none.
///
/// # Errors
/// Where the directory cannot be written.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    make_directory(path)?;
    stage(path, text, None)?.publish()
}

fn make_directory(path: &Path) -> io::Result<()> {
    match directory_of(path) {
        Some(directory) => fs::DirBuilder::new().recursive(true).mode(0o700).create(directory),
        None => Ok(()),
    }
}

/// The directory that a path names; none where that is the current one.
fn directory_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|directory| !directory.as_os_str().is_empty())
}

/// A hidden file beside `path`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

fn read(path: &Path) -> Result<Option<String>, EditError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EditError::Read { path: path.to_owned(), source }),
    }
}

/// Waits until no other process changes the file at `path`. The lock is a file of its own, since the file itself is
/// replaced by each change; it stays there, since a process that removed it could remove the lock of the next one.
fn lock(path: &Path) -> Result<File, EditError> {
    let path = beside(path, "lock");
    let failed = |source| EditError::Lock { path: path.clone(), source };
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(failed)?;
    // The operating system has no lock with a time limit. A thread that waits in vain ends with the process.
    let (sender, locked) = mpsc::channel();
    std::thread::spawn(move || sender.send(file.lock().map(|()| file)));
    match locked.recv_timeout(LOCK_PATIENCE) {
        Ok(locked) => locked.map_err(failed),
        Err(_elapsed) => Err(EditError::Locked { path }),
    }
}

/// The new text of a file, written beside it.
struct Staged<'p> {
    temporary: PathBuf,
    path: &'p Path,
}

fn stage<'p>(path: &'p Path, text: &str, like: Option<&Metadata>) -> io::Result<Staged<'p>> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(io::Error::other)?;
    // Not the id of the process: in a container that is always the same, and what a crash left would be in the way.
    let temporary = beside(path, &format!("{:016x}.tmp", u64::from_be_bytes(random)));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let staged = Staged { temporary, path };
    if let Some(like) = like {
        keep_access(&file, like)?;
    }
    (&file).write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(staged)
}

/// Gives a file the owner and permissions of another: a server that could read the file before can read it afterwards.
fn keep_access(file: &File, like: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (like.uid(), like.gid()) {
        fchown(file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o777))
}

impl Staged<'_> {
    /// Puts it in the place of the file, so that it is there after a power failure as well.
    fn publish(self) -> io::Result<()> {
        fs::rename(&self.temporary, self.path)?;
        let directory = File::open(directory_of(self.path).unwrap_or(Path::new(".")))?;
        match directory.sync_all() {
            // Some network file systems have no such thing for directories.
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // After it was published there is nothing left; before, what failed is more worth telling.
        let _gone = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(path: &Path, line: &str) {
        edit(path, |text| Ok::<_, EditError>(format!("{}{line}\n", text.unwrap_or_default()))).unwrap();
    }

    #[test]
    fn a_private_file_is_private() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/keys.json");
        write_private(&path, "x").unwrap();
        write_private(&path, "y").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "y");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lines");
        std::thread::scope(|scope| {
            for n in 0..16 {
                let path = &path;
                scope.spawn(move || append(path, &n.to_string()));
            }
        });
        let mut lines: Vec<u32> =
            fs::read_to_string(&path).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        lines.sort_unstable();
        assert_eq!(lines, (0..16).collect::<Vec<_>>());
    }

    #[test]
    fn what_an_editor_saves_in_between_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lines");
        append(&path, "one");
        let mut saved = false;
        edit(&path, |text| {
            if !std::mem::replace(&mut saved, true) {
                fs::write(&path, "one\nof an editor\n").unwrap();
            }
            Ok::<_, EditError>(format!("{}two\n", text.unwrap_or_default()))
        })
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\nof an editor\ntwo\n");

        let mut count = 0;
        let restless = edit(&path, |_| {
            count += 1;
            fs::write(&path, count.to_string()).unwrap();
            Ok("mine".to_owned())
        });
        assert!(matches!(restless, Err(EditError::Contended(_))), "{restless:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), ATTEMPTS.to_string(), "the editor's, not ours");
    }

    #[test]
    fn a_change_keeps_permissions_and_follows_a_link() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("file"), home.path().join("link"));
        fs::write(&file, "one\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        append(&link, "two");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_failed_change_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lines");
        append(&path, "one");
        let failed = edit(&path, |_| Err(EditError::Contended(PathBuf::new())));
        assert!(failed.is_err());
        let mut names: Vec<_> =
            fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".lines.lock", "lines"]);
    }
}
