//! A process in the foreground: its terminal, the signals meant for it, its end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Signal;
use rustix::termios::{OptionalActions, Termios};

use super::args::invalid;
use crate::error::{During, Error, Result};
use crate::launch::{Launched, Streams};
use crate::sys;
use crate::terminal;

/// Signals that are for the container.
pub struct Signals(OwnedFd);

impl Signals {
    /// Holds signals back from this process.
    pub fn catch() -> Result<Self> {
        sys::catch_signals().during("holding signals back").map(Self)
    }

    fn next(&self) -> Option<i32> {
        sys::read_signal(&self.0)
    }

    /// Waits until `other` has something to read.
    ///
    /// # Errors
    /// A signal has come that ends programs.
    pub fn wait_beside(&self, other: BorrowedFd<'_>) -> Result<()> {
        loop {
            let mut polled = [PollFd::from_borrowed_fd(other, PollFlags::IN), PollFd::new(&self.0, PollFlags::IN)];
            match rustix::event::poll(&mut polled, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).during("waiting for the container"),
            }
            if !polled[0].revents().is_empty() {
                return Ok(());
            }
            while let Some(number) = self.next() {
                if [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM].contains(&number) {
                    let reason = format!("signal {number} called it off");
                    return Err(Error::System { operation: "making the container".into(), reason });
                }
            }
        }
    }
}

/// Where a process of the command line reads and writes. A terminal in the foreground arrives over the socket returned.
pub fn streams(tty: bool, socket: Option<&str>, detach: bool) -> Result<(Streams, Option<OwnedFd>)> {
    match (tty, socket) {
        (false, _) => Ok((Streams::Inherited, None)),
        (true, Some(path)) => Ok((Streams::Terminal(terminal::connect(Path::new(path))?), None)),
        (true, None) if detach => Err(invalid("--console-socket", "given, for a terminal in the background")),
        (true, None) => {
            let flags = SocketFlags::CLOEXEC;
            let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
                .during("making a socket pair")?;
            Ok((Streams::Terminal(theirs), Some(ours)))
        }
    }
}

/// The process's terminal, and this one's own as it was.
pub struct Terminal {
    master: OwnedFd,
    before: Option<Termios>,
}

impl Terminal {
    /// Takes the master from the socket. This process's own terminal passes everything on unchanged from now on.
    pub fn open(socket: OwnedFd) -> Result<Self> {
        let master = terminal::receive(socket.as_fd())?;
        let input = rustix::stdio::stdin();
        let before = rustix::termios::tcgetattr(input).ok();
        if let Some(mut raw) = before.clone() {
            raw.make_raw();
            rustix::termios::tcsetattr(input, OptionalActions::Now, &raw).during("setting up the terminal")?;
        }
        let terminal = Self { master, before };
        terminal.resize();
        Ok(terminal)
    }

    fn resize(&self) {
        if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdin()) {
            let _ = rustix::termios::tcsetwinsize(&self.master, size);
        }
    }

    /// Moves what the process wrote; whether there may be more.
    fn output(&self) -> bool {
        let mut bytes = [0; 4096];
        match rustix::io::read(&self.master, &mut bytes) {
            Ok(length @ 1..) => write_all(rustix::stdio::stdout(), &bytes[..length]),
            // Nobody has the other end open any more.
            _ => false,
        }
    }

    fn input(&self) -> bool {
        let mut bytes = [0; 4096];
        match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
            Ok(length @ 1..) => write_all(self.master.as_fd(), &bytes[..length]),
            _ => {
                // The end of a pipe is Ctrl-D on a terminal.
                write_all(self.master.as_fd(), &[4]);
                false
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

fn write_all(to: impl AsFd, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match rustix::io::write(to.as_fd(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Serves the process until its end; its exit code as a shell counts it.
pub fn accompany(launched: &Launched, signals: &Signals, terminal: Option<Terminal>) -> i32 {
    let (mut reading, mut writing) = (terminal.is_some(), terminal.is_some());
    loop {
        let stdin = rustix::stdio::stdin();
        let mut polled = vec![PollFd::new(&launched.pidfd, PollFlags::IN), PollFd::new(&signals.0, PollFlags::IN)];
        if let Some(terminal) = &terminal {
            polled.push(PollFd::new(&terminal.master, if writing { PollFlags::IN } else { PollFlags::empty() }));
            if reading {
                polled.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
            }
        }
        match rustix::event::poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return launched.wait(),
        }
        let ready: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        if ready[1] {
            while let Some(number) = signals.next() {
                forward(launched, number, terminal.as_ref());
            }
        }
        if let Some(terminal) = &terminal {
            if writing && ready[2] {
                writing = terminal.output();
                continue;
            }
            if reading && ready.get(3) == Some(&true) {
                reading = terminal.input();
            }
        }
        // Last: what it wrote before its end has been moved.
        if ready[0] {
            return launched.wait();
        }
    }
}

fn forward(launched: &Launched, number: i32, terminal: Option<&Terminal>) {
    match number {
        libc::SIGCHLD | libc::SIGURG => {}
        libc::SIGWINCH if terminal.is_some() => terminal.into_iter().for_each(Terminal::resize),
        _ => {
            if let Some(signal) = Signal::from_named_raw(number) {
                // It may have ended in this moment.
                let _ = rustix::process::pidfd_send_signal(&launched.pidfd, signal);
            }
        }
    }
}
