//! A log file that is rotated by size, as Python's `RotatingFileHandler` does it: before a line that would make the file
//! reach its size, `path.1` becomes `path.2` and so on, and `path` becomes `path.1`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Lines may hold arguments of calls: others on the machine have no business with them.
const MODE: u32 = 0o640;

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
    /// Why it could not be rotated the last time.
    trouble: Option<io::Error>,
}

impl RotatingFile {
    /// Opens a file, and makes it and its directory where they do not exist.
    pub(super) fn open(path: &Path, max_size: u64, backups: u32) -> io::Result<Self> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::create_dir_all(directory)?;
        }
        let (file, size, regular) = open(path)?;
        let limit = (regular && max_size > 0 && backups > 0).then_some(max_size);
        Ok(Self { path: path.to_owned(), file, size, limit, max_size, backups, trouble: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why the file could not be rotated, told once; it goes on growing then.
    pub(super) fn take_trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    /// Writes some of the lines, and rotates before the first one that does not fit. `begins` says whether `lines` begin
    /// with the beginning of a line.
    pub(super) fn write_some(&mut self, lines: &[u8], begins: bool) -> io::Result<usize> {
        let mut fits = self.fitting(lines, begins);
        if fits == 0 {
            if let Err(error) = self.rotate() {
                // Growing is better than losing; after as much again it is tried again.
                self.limit = Some(self.size.saturating_add(self.max_size));
                self.trouble = Some(error);
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
        let (file, size, _) = open(&self.path)?;
        (self.file, self.size, self.limit) = (file, size, Some(self.max_size));
        Ok(())
    }

    fn backup(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Opens a file to add to it; with its size, and whether it is one that has a size.
fn open(path: &Path) -> io::Result<(File, u64, bool)> {
    // A pipe that nobody reads yet must not hold up the start: opened for both, it opens at once.
    let is_pipe = fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    let mut options = OpenOptions::new();
    let file = options.read(is_pipe).append(true).create(true).mode(MODE).open(path)?;
    let found = file.metadata()?;
    Ok((file, found.len(), found.is_file()))
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
        assert!(file.take_trouble().is_some() && file.take_trouble().is_none());
        assert_eq!(fs::read_to_string(&path).unwrap(), "line 1\nline 2\n");
        fs::remove_dir_all(directory.path().join("log.1")).unwrap();
        write(&mut file, b"line 3\n");
        assert_eq!(contents(directory.path(), "log"), ["line 3\n", "line 1\nline 2\n"]);
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
