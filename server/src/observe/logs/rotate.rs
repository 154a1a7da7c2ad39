//! A log file that is rotated by size, as Python's `RotatingFileHandler` does it: before a line that would make the file
//! reach its size, `path.1` becomes `path.2` and so on, and `path` becomes `path.1`.
//!
//! A file that others move or delete (logrotate, an operator at a shell) is opened again at its path, as Python's
//! `WatchedFileHandler` does it; one that is truncated in place is known to be small again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Lines may hold arguments of calls: others on the machine have no business with them.
const MODE: u32 = 0o640;

/// At most so long after a file was moved or deleted its lines go to the new one.
const LOOK: Duration = Duration::from_millis(250);

/// An open log file.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    /// The size before which it is rotated; absent where it never is.
    limit: Option<u64>,
    max_size: u64,
    backups: u32,
    /// Device and inode of the open file; absent for what is no regular file.
    identity: Option<(u64, u64)>,
    looked: Instant,
    /// True where the file is no longer at its path and could not be opened there.
    astray: bool,
    /// What went wrong the last time, until it is reported.
    trouble: Option<Trouble>,
}

/// What is wrong with a file that is written all the same.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) what: &'static str,
    pub(super) error: io::Error,
}

/// A file that was just opened.
struct Opened {
    file: File,
    size: u64,
    identity: Option<(u64, u64)>,
}

impl RotatingFile {
    /// Opens a file, and makes it and its directory where they do not exist.
    pub(super) fn open(path: &Path, max_size: u64, backups: u32) -> io::Result<Self> {
        let Opened { file, size, identity } = open(path)?;
        let limit = (identity.is_some() && max_size > 0 && backups > 0).then_some(max_size);
        let (path, looked) = (path.to_owned(), Instant::now());
        let (astray, trouble) = (false, None);
        Ok(Self { path, file, size, limit, max_size, backups, identity, looked, astray, trouble })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What went wrong though the file is written, reported once.
    pub(super) fn take_trouble(&mut self) -> Option<Trouble> {
        self.trouble.take()
    }

    /// Writes some of the lines, and rotates before the first one that does not fit. `begins` says whether `lines` begin
    /// with the beginning of a line.
    pub(super) fn write_some(&mut self, lines: &[u8], begins: bool) -> io::Result<usize> {
        if begins && self.identity.is_some() && self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.look()?;
        }
        let mut fits = self.fitting(lines, begins);
        if fits == 0 {
            if let Err(error) = self.rotate() {
                // Growing is better than losing; after as much again it is tried again.
                self.limit = Some(self.size.saturating_add(self.max_size));
                self.trouble = Some(Trouble { what: "the log file cannot be rotated and grows", error });
            }
            fits = self.fitting(lines, begins).max(line_length(lines));
        }
        let written = self.file.write(&lines[..fits])?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.size += written as u64;
        Ok(written)
    }

    /// How many bytes of whole lines go into the file as it is. A line longer than a file gets one for itself.
    fn fitting(&self, lines: &[u8], begins: bool) -> usize {
        let Some(limit) = self.limit else { return lines.len() };
        let mut fits = if begins { 0 } else { line_length(lines) };
        while fits < lines.len() {
            let line = line_length(&lines[fits..]);
            let size = self.size + fits as u64;
            if size > 0 && size + line as u64 >= limit {
                break;
            }
            fits += line;
        }
        fits
    }

    /// Opens the file again where it is no longer at its path.
    ///
    /// # Errors
    /// Where it was deleted and cannot be made again: what is written to it now is lost.
    fn look(&mut self) -> io::Result<()> {
        match fs::metadata(&self.path) {
            Ok(found) if self.identity == Some((found.dev(), found.ino())) => {
                // It may have been truncated, or another process writes it too.
                self.size = found.len();
                self.astray = false;
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            // Perhaps it is there: nothing is known.
            Err(_) => return Ok(()),
        }
        match self.reopen() {
            Ok(()) => Ok(()),
            Err(error) if self.file.metadata()?.nlink() == 0 => Err(error),
            Err(error) => {
                if !std::mem::replace(&mut self.astray, true) {
                    let what =
                        "the log file was moved and cannot be opened again; lines go to the moved file";
                    self.trouble = Some(Trouble { what, error });
                }
                Ok(())
            }
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        let Opened { file, size, identity } = open(&self.path)?;
        (self.file, self.size, self.identity, self.astray) = (file, size, identity, false);
        self.limit = self.limit.and(identity).map(|_| self.max_size);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.backups).rev() {
            match fs::rename(self.backup(number), self.backup(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match fs::rename(&self.path, self.backup(1)) {
            // Somebody took it away: there is nothing to keep.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.reopen()
    }

    fn backup(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Opens a file to add to it, and makes it and its directory where they do not exist.
fn open(path: &Path) -> io::Result<Opened> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory)?;
    }
    // A pipe that nobody reads yet must not hold up the start: opened for both, it opens at once.
    let is_pipe = fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    let mut options = OpenOptions::new();
    let file = options.read(is_pipe).append(true).create(true).mode(MODE).open(path)?;
    let found = file.metadata()?;
    let identity = found.is_file().then(|| (found.dev(), found.ino()));
    Ok(Opened { file, size: found.len(), identity })
}

fn line_length(lines: &[u8]) -> usize {
    memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: &mut RotatingFile, mut lines: &[u8]) {
        while !lines.is_empty() {
            let written = file.write_some(lines, true).unwrap();
            lines = &lines[written..];
        }
    }

    fn contents(directory: &Path, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for number in 0..10 {
            let name = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
            match fs::read_to_string(directory.join(name)) {
                Ok(text) => found.push(text),
                Err(_) => break,
            }
        }
        found
    }

    #[test]
    fn rotates_at_the_line_at_which_python_does() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::open(&directory.path().join("log"), 20, 2).unwrap();
        // Nine bytes a line: two are 18, and a third would reach 20.
        write(&mut file, b"line 001\nline 002\n");
        assert_eq!(contents(directory.path(), "log"), ["line 001\nline 002\n"]);
        write(&mut file, b"line 003\n");
        assert_eq!(contents(directory.path(), "log"), ["line 003\n", "line 001\nline 002\n"]);
        write(&mut file, b"line 004\nline 005\nline 006\nline 007\n");
        let expected = ["line 007\n", "line 005\nline 006\n", "line 003\nline 004\n"];
        assert_eq!(contents(directory.path(), "log"), expected, "the oldest went");
    }

    #[test]
    fn a_line_that_just_reaches_the_size_goes_into_the_next_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::open(&directory.path().join("log"), 10, 1).unwrap();
        write(&mut file, b"abcd\n12345678901234567890\nabcd\nabc\nx\n");
        assert_eq!(contents(directory.path(), "log"), ["x\n", "abcd\nabc\n"]);
    }

    #[test]
    fn goes_on_in_the_file_that_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/log");
        write(&mut RotatingFile::open(&path, 20, 2).unwrap(), b"line 001\n");
        write(&mut RotatingFile::open(&path, 20, 2).unwrap(), b"line 002\nline 003\n");
        let expected = ["line 003\n", "line 001\nline 002\n"];
        assert_eq!(contents(path.parent().unwrap(), "log"), expected);
    }

    #[test]
    fn without_a_size_or_backups_it_grows() {
        for (max_size, backups) in [(0, 5), (10, 0)] {
            let directory = tempfile::tempdir().unwrap();
            let mut file = RotatingFile::open(&directory.path().join("log"), max_size, backups).unwrap();
            write(&mut file, &b"line\n".repeat(10));
            assert_eq!(contents(directory.path(), "log"), ["line\n".repeat(10)]);
        }
    }

    #[test]
    fn the_rest_of_a_line_stays_with_its_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = RotatingFile::open(&directory.path().join("log"), 10, 1).unwrap();
        write(&mut file, b"abcdefg");
        assert_eq!(file.write_some(b"hijklmnop\nqr\n", false).unwrap(), 10);
        write(&mut file, b"qr\n");
        assert_eq!(contents(directory.path(), "log"), ["qr\n", "abcdefghijklmnop\n"]);
    }

    #[test]
    fn a_file_that_cannot_be_rotated_grows_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::create_dir_all(directory.path().join("log.1/in-the-way")).unwrap();
        let mut file = RotatingFile::open(&path, 10, 1).unwrap();
        write(&mut file, b"line 1\nline 2\n");
        let trouble = file.take_trouble().unwrap();
        assert!(trouble.what.contains("rotated") && file.take_trouble().is_none());
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 1\nline 2\n");
        fs::remove_dir_all(directory.path().join("log.1")).unwrap();
        write(&mut file, b"line 3\n");
        assert_eq!(contents(directory.path(), "log"), ["line 3\n", "line 1\nline 2\n"]);
    }

    /// As if the last look had been long ago.
    fn later(file: &mut RotatingFile) {
        file.looked -= LOOK;
    }

    #[test]
    fn a_moved_or_deleted_file_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/log");
        let read = |name: &str| fs::read_to_string(path.with_file_name(name)).unwrap();
        let mut file = RotatingFile::open(&path, 20, 2).unwrap();
        write(&mut file, b"before\n");
        fs::rename(&path, path.with_file_name("moved")).unwrap();
        later(&mut file);
        write(&mut file, b"after\n");
        assert_eq!((&*read("moved"), &*read("log")), ("before\n", "after\n"));
        // With the directory, which is made again.
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        later(&mut file);
        write(&mut file, b"again\n");
        assert_eq!(read("log"), "again\n");
        assert!(file.take_trouble().is_none());
        // It is rotated as before.
        write(&mut file, b"0123456789abc\n");
        assert_eq!((&*read("log"), &*read("log.1")), ("0123456789abc\n", "again\n"));
    }

    #[test]
    fn a_truncated_file_is_small_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = RotatingFile::open(&path, 20, 2).unwrap();
        write(&mut file, b"line 001\nline 002\n");
        fs::write(&path, "").unwrap();
        later(&mut file);
        write(&mut file, b"line 003\n");
        assert_eq!(contents(directory.path(), "log"), ["line 003\n"], "nothing was rotated");
    }

    #[test]
    fn a_file_that_is_gone_and_cannot_be_made_again_takes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/log");
        let mut file = RotatingFile::open(&path, 0, 0).unwrap();
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path.parent().unwrap(), "in the way").unwrap();
        later(&mut file);
        assert!(file.write_some(b"lost\n", true).is_err());
        fs::remove_file(path.parent().unwrap()).unwrap();
        later(&mut file);
        write(&mut file, b"kept\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept\n");
    }

    #[test]
    fn a_moved_file_whose_path_is_taken_is_written_on() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("log"), directory.path().join("moved"));
        let mut file = RotatingFile::open(&path, 0, 0).unwrap();
        fs::rename(&path, &moved).unwrap();
        fs::create_dir(&path).unwrap();
        for _ in 0..2 {
            later(&mut file);
            write(&mut file, b"line\n");
        }
        assert_eq!(fs::read_to_string(&moved).unwrap(), "line\nline\n");
        assert!(file.take_trouble().unwrap().what.contains("moved") && file.take_trouble().is_none());
    }

    #[test]
    fn devices_are_not_renamed() {
        let mut file = RotatingFile::open(Path::new("/dev/null"), 10, 3).unwrap();
        write(&mut file, b"line 1\nline 2\nline 3\n");
        assert!(!Path::new("/dev/null.1").exists());
        let mut full = RotatingFile::open(Path::new("/dev/full"), 10, 3).unwrap();
        assert_eq!(full.write_some(b"x\n", true).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
