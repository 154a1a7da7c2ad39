//! What a writer writes to.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use crate::observe::logs::rotate::{RotatingFile, Trouble};

/// An open console or file.
#[derive(Debug)]
pub(super) enum Target {
    Console(File),
    File(RotatingFile),
}

/// What is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Stdout,
    Stderr,
    File { path: PathBuf, max_size: u64, backups: u32 },
}

impl Wanted {
    pub(super) fn open(&self) -> io::Result<Target> {
        // The handles of the standard library have locks, and whoever writes the last words of a process to standard
        // error must not wait for a writer that waits for a reader.
        let own = |handle: std::os::fd::BorrowedFd<'_>| handle.try_clone_to_owned().map(File::from);
        match self {
            Self::Stdout => own(io::stdout().as_fd()).map(Target::Console),
            Self::Stderr => own(io::stderr().as_fd()).map(Target::Console),
            Self::File { path, max_size, backups } => {
                RotatingFile::open(path, *max_size, *backups).map(Target::File)
            }
        }
    }
}

impl Target {
    /// Writes some of the lines: how many bytes. `begins` says whether they begin with the beginning of a line.
    pub(super) fn write_some(&mut self, lines: &[u8], begins: bool) -> io::Result<usize> {
        match self {
            Self::Console(console) => match console.write(lines)? {
                0 => Err(io::ErrorKind::WriteZero.into()),
                written => Ok(written),
            },
            Self::File(file) => file.write_some(lines, begins),
        }
    }

    /// What went wrong though it is written, reported once.
    pub(super) fn take_trouble(&mut self) -> Option<Trouble> {
        match self {
            Self::Console(_) => None,
            Self::File(file) => file.take_trouble(),
        }
    }

    /// Its name, for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Console(_) => "the console".to_owned(),
            Self::File(file) => file.path().display().to_string(),
        }
    }
}
