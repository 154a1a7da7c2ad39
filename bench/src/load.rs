//! The load generator: one thread, readiness of sockets from epoll, every request written once and every answer checked.
//!
//! - *Closed loop*: each connection sends its next call as soon as it has an answer. Says what a call costs.
//! - *Open loop*: calls are due at a constant rate, whether the server keeps up or not, and latency counts from when a
//!   call was due: a server that stalls is charged with the wait of every call that should have been sent meanwhile.
//!
//! The generator never sleeps. Whoever sends bytes to a thread that sleeps on another processor wakes it with an interrupt,
//! which a virtual machine pays with several microseconds: they would be charged to the server, and least of all to one
//! that is fast enough to keep the generator busy.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use crate::histogram::Histogram;
use crate::machine;
use crate::wire::{Era, Expect, FIRST, Template};

mod connection;
mod outcome;

use connection::Connection;
pub use outcome::Outcome;

/// How calls are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    Closed,
    /// Calls a second.
    Open(f64),
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    /// Calls are sent for this long before they count, and then for this long.
    Time { warm_up: Duration, measured: Duration },
    /// After so many answers.
    Calls(u64),
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    pub server: SocketAddr,
    /// Its process, whose processor time is counted.
    pub pid: u32,
    pub era: Era,
    pub connections: usize,
    pub pace: Pace,
    pub until: Until,
    /// Taken in turn; all of one length.
    pub keys: &'a [String],
    pub expect: Expect,
    /// The number of the first call.
    pub first: u64,
}

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// A server that does not answer for so long is broken.
const SILENCE: Duration = Duration::from_secs(20);

/// Figures at the beginning of the measured time.
struct Mark {
    at: Instant,
    server_cpu: Duration,
    starved: Duration,
}

impl Mark {
    fn now(pid: u32) -> io::Result<Self> {
        Ok(Self { server_cpu: machine::cpu_of(pid)?, starved: machine::starved()?, at: Instant::now() })
    }
}

impl Run<'_> {
    /// Sends calls until the run is over.
    ///
    /// # Errors
    /// Where the server cannot be reached, or breaks.
    pub fn go(&self) -> io::Result<Outcome> {
        Generator::new(self)?.run()
    }
}

struct Generator<'a> {
    run: &'a Run<'a>,
    template: Template,
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    number: u64,
    answered: u64,
    bad: u64,
    first_wrong: Option<String>,
    latency: Histogram,
    worked: Duration,
}

impl<'a> Generator<'a> {
    fn new(run: &'a Run<'a>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let connections =
            (0..run.connections).map(|_| Connection::open(run.server)).collect::<io::Result<Vec<_>>>()?;
        for (index, connection) in connections.iter().enumerate() {
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &connection.stream, data, epoll::EventFlags::IN)?;
        }
        let key = run.keys.first().map(String::len);
        Ok(Self {
            run,
            template: Template::call(run.era, &run.server.to_string(), key),
            epoll,
            idle: (0..connections.len()).collect(),
            connections,
            number: run.first.max(FIRST),
            answered: 0,
            bad: 0,
            first_wrong: None,
            latency: Histogram::default(),
            worked: Duration::ZERO,
        })
    }

    fn send(&mut self, index: usize, due: Instant) -> io::Result<()> {
        let keys = self.run.keys;
        let key = (!keys.is_empty())
            .then(|| keys[usize::try_from(self.number).unwrap_or_default() % keys.len()].as_str());
        let request = self.template.numbered(self.number, key);
        self.connections[index].send(request, self.number, due)?;
        self.number += 1;
        Ok(())
    }

    fn run(mut self) -> io::Result<Outcome> {
        let begin = Instant::now();
        let (warm_up, measured, calls) = match self.run.until {
            Until::Time { warm_up, measured } => (warm_up, measured, u64::MAX),
            Until::Calls(calls) => (Duration::ZERO, Duration::MAX, calls),
        };
        let mut mark = Mark::now(self.run.pid)?;
        let mut warm = warm_up.is_zero();
        let mut schedule = match self.run.pace {
            Pace::Open(rate) => Some(Schedule { begin, gap: Duration::from_secs_f64(rate.recip()), sent: 0 }),
            Pace::Closed => None,
        };
        let mut events = Vec::with_capacity(256);
        let mut last_answer = begin;
        loop {
            let now = Instant::now();
            if !warm && now - begin >= warm_up {
                (warm, self.latency, self.answered, self.worked) =
                    (true, Histogram::default(), 0, Duration::ZERO);
                mark = Mark::now(self.run.pid)?;
            }
            if (warm && now - mark.at >= measured) || self.answered >= calls {
                return self.outcome(&mark);
            }
            if now - last_answer > SILENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not answer any more"));
            }
            let sent = self.send_what_is_due(&mut schedule, now)?;
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&AT_ONCE)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let index = usize::try_from(event.data.u64()).unwrap_or_default();
                if self.receive(index)? {
                    last_answer = Instant::now();
                }
            }
            if sent || !events.is_empty() {
                self.worked += now.elapsed();
            }
        }
    }

    /// Sends the calls that are due; true where there was one.
    fn send_what_is_due(&mut self, schedule: &mut Option<Schedule>, now: Instant) -> io::Result<bool> {
        let before = self.number;
        let Some(schedule) = schedule else {
            while let Some(index) = self.idle.pop() {
                self.send(index, Instant::now())?;
            }
            return Ok(self.number > before);
        };
        while schedule.due() <= now {
            let Some(index) = self.idle.pop() else { break };
            self.send(index, schedule.due())?;
            schedule.sent += 1;
        }
        Ok(self.number > before)
    }

    /// True where an answer is whole.
    fn receive(&mut self, index: usize) -> io::Result<bool> {
        let Some(answer) = self.connections[index].receive(self.run.era, &self.run.expect)? else {
            return Ok(false);
        };
        match answer {
            Ok(due) => {
                let latency = due.elapsed().as_nanos();
                self.latency.record(u64::try_from(latency).unwrap_or(u64::MAX));
                self.answered += 1;
            }
            Err(wrong) => {
                self.bad += 1;
                self.first_wrong.get_or_insert_with(|| wrong.to_string());
            }
        }
        match self.run.pace {
            Pace::Closed => self.send(index, Instant::now())?,
            Pace::Open(_) => self.idle.push(index),
        }
        Ok(true)
    }

    fn outcome(self, mark: &Mark) -> io::Result<Outcome> {
        let end = Mark::now(self.run.pid)?;
        Ok(Outcome {
            calls: self.answered,
            bad: self.bad,
            first_wrong: self.first_wrong,
            elapsed: end.at - mark.at,
            server_cpu: end.server_cpu.saturating_sub(mark.server_cpu),
            worked: self.worked,
            starved: end.starved.saturating_sub(mark.starved),
            latency: self.latency,
            next: self.number,
        })
    }
}

/// When calls are due.
struct Schedule {
    begin: Instant,
    gap: Duration,
    sent: u32,
}

impl Schedule {
    fn due(&self) -> Instant {
        self.begin + self.gap * self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::FIXED;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A server on a thread that answers each request with the fixed answer, after a pause before the first.
    fn fixed(answer: &'static [u8], pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut input = [0; 4096];
                    let mut first = true;
                    while stream.read(&mut input).is_ok_and(|read| read > 0) {
                        if std::mem::take(&mut first) {
                            std::thread::park_timeout(pause);
                        }
                        let head = format!(
                            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                            answer.len()
                        );
                        if stream.write_all(&[head.as_bytes(), answer].concat()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    fn run(server: SocketAddr) -> Run<'static> {
        Run {
            server,
            pid: std::process::id(),
            era: Era::Modern,
            connections: 3,
            pace: Pace::Closed,
            until: Until::Calls(500),
            keys: &[],
            expect: Expect::Fixed(FIXED),
            first: FIRST,
        }
    }

    #[test]
    fn a_closed_loop_counts_every_call() {
        let outcome = run(fixed(FIXED, Duration::ZERO)).go().unwrap();
        assert!((500..503).contains(&outcome.calls), "{}", outcome.calls);
        assert_eq!(outcome.bad, 0);
        assert_eq!(outcome.latency.len(), outcome.calls);
        assert!(outcome.next >= FIRST + 500);
    }

    #[test]
    fn wrong_answers_void_a_run() {
        let mut wrong = run(fixed(b"{}", Duration::ZERO));
        wrong.until = Until::Time { warm_up: Duration::from_millis(1), measured: Duration::from_millis(20) };
        let outcome = wrong.go().unwrap();
        assert!(outcome.bad > 0 && outcome.calls == 0);
        assert!(outcome.void().is_some_and(|why| why.contains("wrong answers")));
    }

    #[test]
    fn an_open_loop_charges_a_stall_to_every_call_that_was_due() {
        let mut open = run(fixed(FIXED, Duration::from_millis(200)));
        open.connections = 1;
        open.pace = Pace::Open(1000.0);
        open.until = Until::Calls(200);
        let outcome = open.go().unwrap();
        // Those that were due in the first 200 ms waited for up to 200 ms, though each was answered at once when sent.
        assert!(outcome.latency.quantile(0.4) > 50_000_000, "{}", outcome.latency.quantile(0.4));
        assert!(outcome.latency.quantile(1.0) >= 200_000_000);
    }
}
