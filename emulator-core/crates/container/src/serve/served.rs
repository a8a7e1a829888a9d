//! A process the helper serves: its streams and its end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;
use rustix::process::{Signal, WaitId, WaitIdOptions};
use rustix::termios::Winsize;

use super::frames::Outbox;
use super::handed::{Given, Stream};
use super::message::Reply;
use crate::error::{During, Error, Result};
use crate::launch::{Launched, Streams};
use crate::terminal;

/// What one turn reads of a stream.
const PORTION_BYTES: usize = 64 << 10;

/// The helper's ends of a process's streams.
#[derive(Default)]
pub struct Ends {
    /// Where its input is written; a terminal's master is both.
    input: Option<OwnedFd>,
    outputs: [Option<OwnedFd>; 2],
    /// Where the terminal's master comes from.
    socket: Option<OwnedFd>,
    terminal: bool,
}

impl Ends {
    /// Three pipes, but for what is `given`, or a terminal.
    pub fn make(terminal: bool, given: Given) -> Result<(Streams, Self)> {
        if terminal {
            if given.iter().any(Option::is_some) {
                return Err(Error::OptionInvalid {
                    option: "terminal".into(),
                    expected: "false beside streams".into(),
                });
            }
            let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
            let (ours, theirs) = pair.during("making a socket pair")?;
            return Ok((Streams::Terminal(theirs), Self { socket: Some(ours), terminal, ..Self::default() }));
        }
        let [input, output, errors] = given;
        let (input, ours) = stream(input, Stream::Stdin)?;
        let (output, our_output) = stream(output, Stream::Stdout)?;
        let (errors, our_errors) = stream(errors, Stream::Stderr)?;
        let ends = Self { input: ours, outputs: [our_output, our_errors], socket: None, terminal };
        Ok((Streams::Given([input, output, errors]), ends))
    }

    /// Takes the terminal's master, which has been sent by now.
    pub fn receive_terminal(&mut self) -> Result<()> {
        let Some(socket) = self.socket.take() else { return Ok(()) };
        let master = terminal::receive(socket.as_fd())?;
        set_nonblocking(&master)?;
        self.input = Some(rustix::io::fcntl_dupfd_cloexec(&master, 3).during("copying a descriptor")?);
        self.outputs[0] = Some(master);
        Ok(())
    }
}

/// The process's end of a stream, and this one's where it is not `given`.
fn stream(given: Option<OwnedFd>, stream: Stream) -> Result<(OwnedFd, Option<OwnedFd>)> {
    if let Some(given) = given {
        return Ok((given, None));
    }
    let (reading, writing) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).during("making a pipe")?;
    let (theirs, ours) = if stream.is_input() { (reading, writing) } else { (writing, reading) };
    set_nonblocking(&ours)?;
    Ok((theirs, Some(ours)))
}

fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd).during("setting up a pipe")?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK).during("setting up a pipe")
}

/// What poll(2) watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Input,
    Output(usize),
    End,
}

/// A process and what flows to and from it.
pub struct Served {
    pub number: u32,
    launched: Launched,
    ends: Ends,
    queue: Vec<u8>,
    input_ends: bool,
    /// Nobody takes its output.
    held: bool,
}

impl Served {
    /// Serves a process that has become its program, under `number`.
    pub fn new(number: u32, launched: Launched, ends: Ends) -> Self {
        Self { number, launched, ends, queue: Vec::new(), input_ends: false, held: false }
    }

    /// Its number on the host.
    pub fn pid(&self) -> rustix::process::Pid {
        self.launched.pid
    }

    /// A handle on it.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.launched.pidfd.as_fd()
    }

    /// What to wait for now.
    pub fn sources(&self, congested: bool) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let mut sources = vec![(Source::End, self.launched.pidfd.as_fd(), PollFlags::IN)];
        if let Some(input) = self.ends.input.as_ref().filter(|_| !self.queue.is_empty()) {
            sources.push((Source::Input, input.as_fd(), PollFlags::OUT));
        }
        for (index, output) in self.ends.outputs.iter().enumerate() {
            if let Some(output) = output.as_ref().filter(|_| !congested && !self.held) {
                sources.push((Source::Output(index), output.as_fd(), PollFlags::IN));
            }
        }
        sources
    }

    /// Adds to its input.
    pub fn write(&mut self, data: &[u8], outbox: &mut Outbox) {
        self.queue.extend_from_slice(data);
        self.feed(outbox);
    }

    /// Its input ends behind what is queued. On a terminal that is a character, Ctrl-D.
    pub fn end_input(&mut self, outbox: &mut Outbox) {
        match self.ends.terminal {
            true => self.write(&[4], outbox),
            false => {
                self.input_ends = true;
                self.feed(outbox);
            }
        }
    }

    /// Sends a signal: to its group, or to it alone.
    pub fn signal(&self, number: i32, group: bool) {
        let Some(signal) = Signal::from_named_raw(number) else { return };
        // Fails only when it has ended in this moment.
        let _ = match group {
            true => rustix::process::kill_process_group(self.launched.pid, signal),
            false => rustix::process::pidfd_send_signal(&self.launched.pidfd, signal),
        };
    }

    /// Leaves its output where it is, or takes it again.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Gives its terminal another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        if let Some(master) = self.ends.outputs[0].as_ref().filter(|_| self.ends.terminal) {
            let _ = rustix::termios::tcsetwinsize(master, size);
        }
    }

    /// Does what `source` is ready for; whether the process has ended.
    pub fn handle(&mut self, source: Source, outbox: &mut Outbox) -> bool {
        match source {
            Source::Input => self.feed(outbox),
            Source::Output(index) => drop(self.forward(index, outbox)),
            Source::End => return true,
        }
        false
    }

    /// Takes what it wrote last and its status: the exit code, or the signal that ended it.
    pub fn finish(mut self, outbox: &mut Outbox) -> (Option<i32>, Option<i32>) {
        let status = rustix::process::waitid(WaitId::PidFd(self.launched.pidfd.as_fd()), WaitIdOptions::EXITED);
        for index in 0..2 {
            // What is in the pipe, and no more: a child of it may still hold the other end, and write for ever.
            for _ in 0..16 {
                if !self.forward(index, outbox) {
                    break;
                }
            }
        }
        match status {
            Ok(Some(status)) => (status.exit_status(), status.terminating_signal()),
            _ => (None, Some(libc::SIGKILL)),
        }
    }

    /// Passes one portion of output on; whether there was any.
    fn forward(&mut self, index: usize, outbox: &mut Outbox) -> bool {
        let Some(output) = &self.ends.outputs[index] else { return false };
        let mut portion = [0; PORTION_BYTES];
        match rustix::io::read(output, &mut portion) {
            Ok(length @ 1..) => {
                let stream = ["stdout", "stderr"][index];
                outbox.send(&Reply::Output { process: self.number, stream }, &portion[..length]);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            // The end; a terminal whose other end nobody has open says EIO.
            _ => {
                self.ends.outputs[index] = None;
                false
            }
        }
    }

    /// Writes queued input as far as it is taken, and says so when all is.
    fn feed(&mut self, outbox: &mut Outbox) {
        if self.queue.is_empty() {
            self.close_input();
            return;
        }
        while let Some(input) = self.ends.input.as_ref().filter(|_| !self.queue.is_empty()) {
            match rustix::io::write(input, &self.queue) {
                Ok(written) => drop(self.queue.drain(..written)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                // It reads no more.
                Err(_) => self.ends.input = None,
            }
        }
        self.queue.clear();
        outbox.send(&Reply::Taken { process: self.number }, &[]);
        self.close_input();
    }

    fn close_input(&mut self) {
        if self.input_ends && self.queue.is_empty() {
            self.ends.input = None;
        }
    }
}
