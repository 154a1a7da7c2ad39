//! One connection of the load generator: a request written at once, an answer read as it comes.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use crate::wire::{Era, Expect, Wrong, check};

/// A connection and the call that is on its way over it.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    /// Number of the call that is being answered, and when it was due.
    waiting: Option<(u64, Instant)>,
}

/// Largest answer.
const INPUT: usize = 64 * 1024;

impl Connection {
    pub(super) fn open(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, input: vec![0; INPUT], filled: 0, waiting: None })
    }

    pub(super) fn send(&mut self, request: &[u8], number: u64, due: Instant) -> io::Result<()> {
        // The peer has taken everything sent before, so there is always room for a small request.
        let written = self.stream.write(request)?;
        if written < request.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.waiting = Some((number, due));
        Ok(())
    }

    /// Reads what is there. An answer, once it is whole, gives the moment at which its call was due.
    pub(super) fn receive(
        &mut self,
        era: Era,
        expect: &Expect,
    ) -> io::Result<Option<Result<Instant, Wrong>>> {
        let Some((number, due)) = self.waiting else {
            return match self.stream.read(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                // Something that nobody asked for, or the end.
                other => Err(other.err().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())),
            };
        };
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        let answer = match check(&self.input[..self.filled], number, era, expect) {
            Ok(None) => return Ok(None),
            Ok(Some(length)) if length == self.filled => Ok(due),
            Ok(Some(_)) => Err(Wrong::Content(number, "two answers to one call".to_owned())),
            Err(wrong) => Err(wrong),
        };
        (self.filled, self.waiting) = (0, None);
        Ok(Some(answer))
    }
}
