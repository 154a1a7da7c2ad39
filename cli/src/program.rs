//! Running other programs: bounded questions, and long work whose progress is shown.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::text;

/// Why a program gave no answer at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("{program} is not on the PATH")]
    Missing { program: String },
    #[error("`{command}` gave no answer within {}", text::length(*limit))]
    TimedOut { command: String, limit: Duration },
    #[error("`{command}` cannot be run: {source}")]
    Broken { command: String, source: io::Error },
}

/// What a program answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program with the arguments that each call of it begins with.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    name: &'static str,
    first: Vec<OsString>,
}

/// How much of the output of long work is kept for an error.
const KEPT_LINES: usize = 40;

impl Program {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, first: Vec::new() }
    }

    /// The same, with more arguments in front of those of each call.
    pub(crate) fn with<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Self {
        let more = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        Self { name: self.name, first: self.first.iter().cloned().chain(more).collect() }
    }

    /// What a person would type.
    pub(crate) fn typed(&self, arguments: &[&str]) -> String {
        let first = self.first.iter().map(|argument| argument.to_string_lossy());
        let words = first.chain(arguments.iter().map(|argument| (*argument).into()));
        words.fold(self.name.to_owned(), |line, word| {
            if word.is_empty() || word.contains(char::is_whitespace) {
                format!("{line} '{word}'")
            } else {
                format!("{line} {word}")
            }
        })
    }

    /// Runs a call that should end soon, with `input` on its standard input. A call over the limit is ended.
    pub(crate) fn ask(
        &self,
        arguments: &[&str],
        input: Option<&str>,
        limit: Duration,
    ) -> Result<Answer, RunError> {
        let deadline = Deadline::after(limit);
        let mut child = self.spawn(arguments, input.is_some())?;
        feed(&mut child, input);
        let stdout = read(child.stdout.take(), all);
        let stderr = read(child.stderr.take(), all);
        self.finish(child, arguments, (stdout, stderr), Some((deadline, limit)))
    }

    /// Runs long work; what it prints goes to standard error as it comes, and its end is kept. Work over the limit, if
    /// there is one, is ended.
    pub(crate) fn follow(
        &self,
        arguments: &[&str],
        input: Option<&str>,
        limit: Option<Duration>,
    ) -> Result<Answer, RunError> {
        let deadline = limit.map(Deadline::after);
        let mut child = self.spawn(arguments, input.is_some())?;
        feed(&mut child, input);
        let stdout = read(child.stdout.take(), forward);
        let stderr = read(child.stderr.take(), forward);
        self.finish(child, arguments, (stdout, stderr), deadline.zip(limit))
    }

    /// Waits until both streams have ended and the program with them.
    fn finish(
        &self,
        mut child: Child,
        arguments: &[&str],
        (stdout, stderr): (Receiver<Vec<u8>>, Receiver<Vec<u8>>),
        bound: Option<(Deadline, Duration)>,
    ) -> Result<Answer, RunError> {
        let text = |pipe: Receiver<Vec<u8>>| {
            let bytes = match bound {
                Some((deadline, _)) => pipe.recv_timeout(deadline.remaining()).ok(),
                None => pipe.recv().ok(),
            };
            bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let streams = text(stdout).zip(text(stderr));
        if let (None, Some((_, limit))) = (&streams, bound) {
            // It may have ended by itself just now; the time is up either way.
            let _ended = child.kill();
            self.wait(&mut child, arguments)?;
            return Err(RunError::TimedOut { command: self.typed(arguments), limit });
        }
        let (stdout, stderr) = streams.unwrap_or_default();
        let success = self.wait(&mut child, arguments)?.success();
        Ok(Answer { success, stdout, stderr })
    }

    fn spawn(&self, arguments: &[&str], input: bool) -> Result<Child, RunError> {
        Command::new(self.name)
            .args(&self.first)
            .args(arguments)
            .stdin(if input { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => RunError::Missing { program: self.name.to_owned() },
                _ => RunError::Broken { command: self.typed(arguments), source },
            })
    }

    fn wait(&self, child: &mut Child, arguments: &[&str]) -> Result<ExitStatus, RunError> {
        child.wait().map_err(|source| RunError::Broken { command: self.typed(arguments), source })
    }
}

/// Writes the input beside everything else: a program that prints before it has read all would block both.
fn feed(child: &mut Child, input: Option<&str>) {
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        let input = input.to_owned();
        // A program that closed its input says on standard error why.
        thread::spawn(move || pipe.write_all(input.as_bytes()));
    }
}

/// Reads a pipe on a thread, and sends what is kept of it once it is closed.
fn read<P: Read + Send + 'static>(pipe: Option<P>, keep: fn(P) -> Vec<u8>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // The receiver is gone after a timeout.
        let _late = sender.send(pipe.map(keep).unwrap_or_default());
    });
    receiver
}

fn all(mut pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is all that there is.
    let _partial = pipe.read_to_end(&mut bytes);
    bytes
}

/// Shows each line on standard error as it comes, and keeps the last ones.
fn forward(pipe: impl Read) -> Vec<u8> {
    let mut kept = VecDeque::new();
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line);
        let shown = text::without_documents(&text).into_owned().into_bytes();
        // Progress that nobody reads is no reason to stop the work.
        let _unread = io::stderr().write_all(&shown);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(shown);
        line.clear();
    }
    kept.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("sh").with(["-c", script])
    }

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn an_answer_holds_both_streams_and_the_verdict() {
        let answer = shell("cat; echo bad >&2; exit 3").ask(&[], Some("good"), SOON).unwrap();
        assert_eq!(
            (answer.success, answer.stdout.as_str(), answer.stderr.as_str()),
            (false, "good", "bad\n")
        );
    }

    #[test]
    fn input_larger_than_a_pipe_does_not_block() {
        let input = "x".repeat(1 << 20);
        let answer = shell("cat").ask(&[], Some(&input), SOON).unwrap();
        assert_eq!(answer.stdout.len(), input.len());
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let error = Program::new("sleep").ask(&["60"], None, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.to_string(), "`sleep 60` gave no answer within 50 ms");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Program::new("no-such-program").ask(&["x"], None, SOON).unwrap_err();
        assert_eq!(error.to_string(), "no-such-program is not on the PATH");
    }

    #[test]
    fn of_long_work_the_end_is_kept() {
        let answer = shell("i=0; while [ $i -lt 45 ]; do i=$((i+1)); echo $i; done; echo bad >&2; exit 1");
        let answer = answer.follow(&[], None, None).unwrap();
        assert!(!answer.success);
        assert_eq!(answer.stdout.lines().count(), KEPT_LINES);
        assert_eq!((answer.stdout.lines().last(), answer.stderr.as_str()), (Some("45"), "bad\n"));
    }
}
