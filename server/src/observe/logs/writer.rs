//! The thread of one sink. Each sink has its own: a console that nobody reads, or a disk that hangs, holds up nothing but
//! itself.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mcp_server_config::LogLevel;

use crate::observe::logs::hub::Hub;
use crate::observe::logs::queue::{Next, Pause, Queue};
use crate::observe::logs::rotate::Trouble;
use crate::observe::logs::target::Target;

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Memory that a writer keeps for its next batch.
const KEPT: usize = 256 * 1024;

/// What a writer does with little: write bytes and sleep.
const STACK: usize = 128 * 1024;

/// Starts the writer of a sink. It ends when the queue is closed and written.
pub(super) fn start(
    name: &'static str,
    queue: Arc<Queue<Target>>,
    target: Target,
    hub: Arc<Hub>,
) -> io::Result<()> {
    let mut writer = Writer { name, queue, target, hub, failing: false };
    let thread = thread::Builder::new().name(format!("log-{name}")).stack_size(STACK);
    thread.spawn(move || writer.run()).map(drop)
}

struct Writer {
    name: &'static str,
    queue: Arc<Queue<Target>>,
    target: Target,
    hub: Arc<Hub>,
    /// The last attempt failed.
    failing: bool,
}

impl Writer {
    fn run(&mut self) {
        let mut batch = Vec::new();
        let mut worked = false;
        loop {
            match self.queue.next(&mut batch, worked) {
                Next::Write => self.write(&batch),
                Next::Change(target) => self.change(target),
                Next::End => break,
            }
            worked = !batch.is_empty();
            batch.clear();
            batch.shrink_to(KEPT);
        }
        self.hub.well(self.name);
    }

    fn change(&mut self, target: Target) {
        self.target = target;
        if std::mem::take(&mut self.failing) {
            self.hub.well(self.name);
        }
    }

    fn write(&mut self, batch: &[u8]) {
        let mut written = 0;
        while written < batch.len() {
            let begins = written == 0 || batch[written - 1] == b'\n';
            match self.target.write_some(&batch[written..], begins) {
                Ok(bytes) => {
                    written += bytes;
                    self.wrote(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed(&error);
                    match self.queue.pause(AGAIN) {
                        Pause::TryAgain => {}
                        Pause::Change(target) => {
                            self.change(target);
                            // The other place gets whole lines.
                            written = line_begin(batch, written);
                        }
                        Pause::GiveUp => {
                            let left = memchr::memchr_iter(b'\n', &batch[written..]).count();
                            return self.queue.gave_up(left as u64);
                        }
                    }
                }
            }
        }
    }

    fn wrote(&mut self, bytes: usize) {
        let lost = self.queue.wrote(bytes);
        if std::mem::take(&mut self.failing) {
            self.hub.well(self.name);
            let of = [("to", self.target.name())];
            self.hub.tell(LogLevel::Warn, "the log is written again", self.name, &of);
        }
        if lost > 0 {
            let message = "lines of the log were lost: they came faster than they could be written";
            self.hub.tell(LogLevel::Error, message, self.name, &[("lost", lost.to_string())]);
        }
        if let Some(Trouble { what, error }) = self.target.take_trouble() {
            let more = [("path", self.target.name()), ("error", error.to_string())];
            self.hub.tell(LogLevel::Error, what, self.name, &more);
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.hub.failed(self.name, &format!("{} cannot be written: {error}", self.target.name()));
        if !std::mem::replace(&mut self.failing, true) {
            let more = [("to", self.target.name()), ("error", error.to_string())];
            let message = "the log cannot be written; lines are kept for a while, then lost";
            self.hub.tell(LogLevel::Error, message, self.name, &more);
        }
    }
}

fn line_begin(batch: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &batch[..at]).map_or(0, |end| end + 1)
}
