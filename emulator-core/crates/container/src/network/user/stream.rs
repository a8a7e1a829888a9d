//! A connection of the container's and the socket of this process that carries it on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown};

use super::connection::{Connection, Emit};

/// What one turn reads.
const PORTION: usize = 64 << 10;

/// Both halves.
pub struct Stream {
    socket: OwnedFd,
    pub connection: Connection,
    /// Whether the socket is still on its way to the far end.
    connecting: bool,
    /// Whether the far end has said all, and whether the socket has been told that the container has.
    ended: bool,
    shut: bool,
}

impl Stream {
    /// Joins them.
    pub fn new(socket: OwnedFd, connection: Connection, connecting: bool) -> Self {
        Self { socket, connection, connecting, ended: false, shut: false }
    }

    /// What the socket is waited for.
    pub fn interest(&self) -> Option<PollFlags> {
        let mut flags = PollFlags::empty();
        if self.connecting || !self.connection.incoming().0.is_empty() {
            flags |= PollFlags::OUT;
        }
        if !self.connecting && !self.ended && self.connection.room() > 0 {
            flags |= PollFlags::IN;
        }
        // Errors are told of unasked, and would be for ever.
        (!flags.is_empty()).then_some(flags)
    }

    /// Whether nothing is left to be done.
    pub fn is_over(&self) -> bool {
        self.connection.is_over() && (self.shut || self.connection.is_reset)
    }

    /// Does what the socket is ready for.
    pub fn progress(&mut self, now: Instant, emit: Emit<'_>) {
        if self.connecting {
            match rustix::net::sockopt::socket_error(&self.socket) {
                Ok(Ok(())) => {
                    self.connecting = false;
                    self.connection.accept(now, emit);
                }
                _ => self.connection.reset(emit),
            }
            return;
        }
        self.flush(emit);
        self.fill(now, emit);
    }

    /// Passes on what the container has said.
    pub fn flush(&mut self, emit: Emit<'_>) {
        if self.connection.is_reset {
            // The far end learns the same.
            let _ = rustix::net::sockopt::set_socket_linger(&self.socket, Some(std::time::Duration::ZERO));
            return;
        }
        if self.connecting {
            return;
        }
        loop {
            let (bytes, ends) = self.connection.incoming();
            if bytes.is_empty() {
                if ends && !self.shut {
                    self.shut = true;
                    let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
                }
                return;
            }
            match rustix::net::send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(length) => self.connection.consume(length, emit),
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => return self.connection.reset(emit),
            }
        }
    }

    /// Passes on what the far end has said.
    fn fill(&mut self, now: Instant, emit: Emit<'_>) {
        let room = self.connection.room().min(PORTION);
        if self.ended || room == 0 {
            return;
        }
        let mut portion = [0; PORTION];
        match rustix::io::read(&self.socket, &mut portion[..room]) {
            Ok(0) => {
                self.ended = true;
                self.connection.finish(now, emit);
            }
            Ok(length) => self.connection.send(&portion[..length], now, emit),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.connection.reset(emit),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
