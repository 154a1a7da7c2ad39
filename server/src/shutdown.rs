//! Signals: SIGTERM and SIGINT ask to stop, and the second of them ends at once. SIGHUP asks to load the configuration and
//! open the log files again, as daemons do.

use std::io::{self, IsTerminal as _};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop a process.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Standard error was a terminal at the start.
    at_terminal: bool,
}

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Terminate,
    Interrupt,
    /// The terminal is gone.
    Hangup,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Stop(Stop),
    Reload,
}

impl Signals {
    /// Takes over the signals: from here on they no longer end the process by themselves.
    ///
    /// # Errors
    /// Where the system does not allow it.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            at_terminal: io::stderr().is_terminal(),
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop(Stop::Terminate),
            _ = self.interrupt.recv() => Asked::Stop(Stop::Interrupt),
            // The system sends the same signal when the terminal is closed: a server that ran in it ends with it.
            _ = self.hangup.recv() => match self.at_terminal && !io::stderr().is_terminal() {
                true => Asked::Stop(Stop::Hangup),
                false => Asked::Reload,
            },
        }
    }

    /// Waits for one that asks to stop.
    pub async fn stop(&mut self) -> Stop {
        loop {
            if let Asked::Stop(stop) = self.next().await {
                return stop;
            }
        }
    }
}

impl Stop {
    /// The exit code of a process that was ended by this signal, as shells count them.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
            Self::Hangup => 129,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Hangup => "SIGHUP",
        }
    }
}
