//! Lines that wait for their writer. Whoever logs copies a line and goes on: where there is no room, the line is counted
//! as lost.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;

/// Bytes of lines that may wait for one sink: what a disk that stalls for a moment is forgiven.
pub(super) const CAPACITY: usize = 4 << 20;

/// After a batch the writer lets lines gather for so long. Under load nobody has to wake it, which would cost more than
/// the line itself.
const NAP: Duration = Duration::from_millis(10);

/// A flush gives up on a sink that took nothing for so long.
const NO_PROGRESS: Duration = Duration::from_secs(1);

/// Lines on their way to one sink.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    /// For the writer: there is something to do.
    wake: Condvar,
    /// For who waits: something was written.
    progress: Condvar,
    capacity: usize,
    dropped: IntCounter,
}

#[derive(Debug)]
struct State<T> {
    lines: Vec<u8>,
    /// Another place to write to, and how many bytes are still for the one before.
    target: Option<(usize, T)>,
    open: bool,
    writer: Writer,
    /// Somebody waits for everything to be written.
    hurry: bool,
    /// Bytes written, ever.
    written: u64,
    /// Lines lost since the last report.
    lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Working,
    Napping,
    Asleep,
    Gone,
}

/// What the writer is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    /// The batch holds whole lines.
    Write,
    Change(T),
    End,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize, dropped: IntCounter) -> Self {
        let state = State {
            lines: Vec::new(),
            target: None,
            open: true,
            writer: Writer::Working,
            hurry: false,
            written: 0,
            lost: 0,
        };
        Self { state: Mutex::new(state), wake: Condvar::new(), progress: Condvar::new(), capacity, dropped }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, which ends with its line feed. Never waits for the writer.
    pub(super) fn push(&self, line: &[u8]) {
        self.push_within(line, self.capacity);
    }

    /// Adds a line that says what was lost, and must not be lost for the same reason.
    pub(super) fn push_report(&self, line: &[u8]) {
        self.push_within(line, 2 * self.capacity);
    }

    fn push_within(&self, line: &[u8], capacity: usize) {
        let mut state = self.lock();
        if state.writer == Writer::Gone || state.lines.len() + line.len() > capacity {
            state.lost += 1;
            drop(state);
            self.dropped.inc();
            return;
        }
        state.lines.extend_from_slice(line);
        let wake = match state.writer {
            Writer::Asleep => true,
            Writer::Napping => state.lines.len() > self.capacity / 2,
            Writer::Working | Writer::Gone => false,
        };
        if wake {
            // Once is enough.
            state.writer = Writer::Working;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Tells the writer to go on at another place, once it has written what waits.
    pub(super) fn change(&self, target: T) {
        let mut state = self.lock();
        let before = state.target.as_ref().map_or(state.lines.len(), |(before, _)| *before);
        state.target = Some((before, target));
        drop(state);
        self.wake.notify_one();
    }

    /// Tells the writer to write what waits and end.
    pub(super) fn close(&self) {
        self.lock().open = false;
        self.wake.notify_one();
    }

    /// Waits until everything that was pushed is written; false where the sink does not take it in time.
    pub(super) fn flush(&self, until: Instant) -> bool {
        let mut state = self.lock();
        state.hurry = true;
        self.wake.notify_one();
        let (mut seen, mut since) = (state.written, Instant::now());
        while !(state.lines.is_empty() && matches!(state.writer, Writer::Asleep | Writer::Gone)) {
            let now = Instant::now();
            if state.written != seen {
                (seen, since) = (state.written, now);
            }
            let until = until.min(since + NO_PROGRESS);
            if now >= until || state.writer == Writer::Gone {
                return false;
            }
            state = self.progress.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// For the writer: waits for something to do. The empty `batch` takes the lines that wait. `worked` says whether
    /// lines were written just now: then more of them are likely.
    pub(super) fn next(&self, batch: &mut Vec<u8>, worked: bool) -> Next<T> {
        let mut state = self.lock();
        if worked && !state.hurry && state.open && state.target.is_none() {
            state.writer = Writer::Napping;
            state = self.wake.wait_timeout(state, NAP).unwrap_or_else(PoisonError::into_inner).0;
        }
        loop {
            if let Some((before, target)) = state.target.take() {
                state.writer = Writer::Working;
                if before == 0 {
                    return Next::Change(target);
                }
                batch.extend(state.lines.drain(..before));
                state.target = Some((0, target));
                return Next::Write;
            }
            if !state.lines.is_empty() {
                state.writer = Writer::Working;
                std::mem::swap(&mut state.lines, batch);
                return Next::Write;
            }
            if !state.open {
                state.writer = Writer::Gone;
                self.progress.notify_all();
                return Next::End;
            }
            state.writer = Writer::Asleep;
            self.progress.notify_all();
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// For the writer: so many bytes are written. Returns how many lines were lost since it last said so, once there is
    /// room again.
    pub(super) fn wrote(&self, bytes: usize) -> u64 {
        let mut state = self.lock();
        state.written += bytes as u64;
        self.progress.notify_all();
        if state.lines.len() > self.capacity / 2 { 0 } else { std::mem::take(&mut state.lost) }
    }

    /// For the writer, whose sink takes nothing: waits a while, unless there is another place to write to, or an end.
    pub(super) fn pause(&self, pause: Duration) -> Pause<T> {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        loop {
            if let Some((_, target)) = state.target.take() {
                return Pause::Change(target);
            }
            if !state.open {
                return Pause::GiveUp;
            }
            let now = Instant::now();
            // Who waits for a flush is not served by waiting longer: it sees that there is no progress.
            if now >= until {
                return Pause::TryAgain;
            }
            state = self.wake.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// For the writer: lines of the batch that nothing will take any more.
    pub(super) fn gave_up(&self, lines: u64) {
        self.dropped.inc_by(lines);
    }
}

/// How a pause ended.
#[derive(Debug)]
pub(super) enum Pause<T> {
    TryAgain,
    Change(T),
    GiveUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(capacity: usize) -> Queue<&'static str> {
        Queue::new(capacity, IntCounter::new("dropped", "lines").unwrap())
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let queue = queue(10);
        for line in ["abcd\n", "efgh\n", "x\n"] {
            queue.push(line.as_bytes());
        }
        assert_eq!(queue.dropped.get(), 1);
        let mut batch = Vec::new();
        assert_eq!(queue.next(&mut batch, false), Next::Write);
        assert_eq!(batch, b"abcd\nefgh\n");
        assert_eq!((queue.wrote(10), queue.wrote(0)), (1, 0), "told once");
        batch.clear();
        queue.push(b"y\n");
        assert_eq!(queue.next(&mut batch, false), Next::Write);
        assert_eq!(batch, b"y\n");
    }

    #[test]
    fn lines_come_before_a_change_and_that_before_the_end() {
        let queue = queue(100);
        queue.push(b"a\n");
        queue.change("elsewhere");
        queue.close();
        queue.push(b"b\n");
        let mut batch = Vec::new();
        assert_eq!(queue.next(&mut batch, false), Next::Write);
        assert_eq!(batch, b"a\n", "what came before");
        batch.clear();
        assert_eq!(queue.next(&mut batch, false), Next::Change("elsewhere"));
        assert_eq!(queue.next(&mut batch, false), Next::Write);
        assert_eq!(batch, b"b\n");
        batch.clear();
        assert_eq!(queue.next(&mut batch, false), Next::End);
        queue.push(b"late\n");
        assert_eq!(queue.dropped.get(), 1);
        assert!(queue.flush(Instant::now()), "nothing is left");
    }

    #[test]
    fn a_flush_gives_up_on_a_writer_that_does_nothing() {
        let queue = queue(100);
        queue.push(b"a\n");
        let begun = Instant::now();
        assert!(!queue.flush(begun + Duration::from_secs(60)));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
