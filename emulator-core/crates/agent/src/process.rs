//! One process started for the host: its pipes, its windows, its end.

use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::channel::Channel;
use crate::message::{FromAgent, ProcessId, Start};
use crate::output::Output;

/// Output the host takes without returning credit, in bytes.
const OUTPUT_WINDOW_BYTES: u32 = 64 << 10;

/// What poll(2) is to watch for a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Its standard input can be written.
    Stdin,
    /// Its standard output can be read.
    Stdout,
    /// Its standard error can be read.
    Stderr,
    /// It has ended.
    End,
}

/// A process and what flows to and from it.
pub struct Process {
    /// The host's number for it.
    pub id: ProcessId,
    /// The session that started it has ended: nothing about it is sent any more.
    abandoned: bool,
    child: Child,
    pid: Pid,
    /// Readable when the process has ended; a signal handler would need a pipe to itself for the same.
    end: OwnedFd,
    stdin: Option<ChildStdin>,
    stdin_queue: Vec<u8>,
    stdin_ends: bool,
    stdout: Output<ChildStdout>,
    stderr: Output<ChildStderr>,
    /// Bytes of output the host has room for.
    output_credit: u32,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts a process in a group of its own.
    pub fn start(id: ProcessId, start: &Start) -> Result<Self, Errno> {
        let (program, arguments) = start.arguments.split_first().ok_or(Errno::INVAL)?;
        let mut command = Command::new(program);
        command.args(arguments).envs(start.environment.iter().map(|(name, value)| (name, value)));
        if !start.directory.is_empty() {
            command.current_dir(&start.directory);
        }
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))?;
        let pid = Pid::from_child(&child);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let prepared = prepare(pid, stdin.as_ref(), stdout.as_ref(), stderr.as_ref());
        let end = prepared.inspect_err(|_| drop(child.kill().and_then(|()| child.wait())))?;
        Ok(Self {
            id,
            abandoned: false,
            child,
            pid,
            end,
            stdin,
            stdin_queue: Vec::new(),
            stdin_ends: false,
            stdout: Output::new(stdout),
            stderr: Output::new(stderr),
            output_credit: OUTPUT_WINDOW_BYTES,
            status: None,
        })
    }

    /// Whether this is the process the host means by `id`.
    pub fn is(&self, id: ProcessId) -> bool {
        self.id == id && !self.abandoned
    }

    /// Whether nothing remains to be done for it.
    pub fn is_over(&self) -> bool {
        self.status.is_some() && self.stdout.is_over() && self.stderr.is_over()
    }

    /// Kills it on behalf of a session that is over.
    pub fn abandon(&mut self) {
        self.abandoned = true;
        self.stdin = None;
        self.stdin_queue.clear();
        self.stdout.close();
        self.stderr.close();
        self.signal(Signal::KILL);
    }

    /// Sends `signal` to its process group, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            // Fails only when the process has ended in this moment.
            let _ = rustix::process::kill_process_group(self.pid, signal);
        }
    }

    /// Adds to its standard input.
    pub fn queue_stdin(&mut self, data: &[u8], channel: &mut Channel) {
        self.stdin_queue.extend_from_slice(data);
        self.feed(channel);
    }

    /// Closes its standard input once everything queued is written.
    pub fn end_stdin(&mut self, channel: &mut Channel) {
        self.stdin_ends = true;
        self.feed(channel);
    }

    /// The host has room for more output.
    pub fn add_credit(&mut self, bytes: u32) {
        self.output_credit = self.output_credit.saturating_add(bytes).min(OUTPUT_WINDOW_BYTES);
    }

    /// What to wait for now. Output waits while the channel is congested or the host has no room.
    pub fn sources(&self, congested: bool) -> impl Iterator<Item = (Source, BorrowedFd<'_>, PollFlags)> {
        let output = self.output_credit > 0 && !congested;
        let stdin = self.stdin.as_ref().filter(|_| !self.stdin_queue.is_empty()).map(AsFd::as_fd);
        let stdout = self.stdout.fd().filter(|_| output);
        let stderr = self.stderr.fd().filter(|_| output);
        let end = Some(self.end.as_fd()).filter(|_| self.status.is_none());
        [
            (Source::Stdin, stdin, PollFlags::OUT),
            (Source::Stdout, stdout, PollFlags::IN),
            (Source::Stderr, stderr, PollFlags::IN),
            (Source::End, end, PollFlags::IN),
        ]
        .into_iter()
        .filter_map(|(source, fd, flags)| Some((source, fd?, flags)))
    }

    /// Does what `source` is ready for.
    pub fn handle(&mut self, source: Source, channel: &mut Channel) {
        match source {
            Source::Stdin => self.feed(channel),
            Source::Stdout => self.stdout.forward(&mut self.output_credit, |data| {
                channel.send(FromAgent::Stdout { process: self.id, data });
            }),
            Source::Stderr => self.stderr.forward(&mut self.output_credit, |data| {
                channel.send(FromAgent::Stderr { process: self.id, data });
            }),
            Source::End => {
                self.status = self.child.try_wait().ok().flatten();
                if self.status.is_some() {
                    self.stdout.limit_to_present();
                    self.stderr.limit_to_present();
                }
            }
        }
    }

    /// After its end: tells the host once everything it had written has been sent.
    pub fn finish(&self, channel: &mut Channel) {
        if let Some(status) = self.status
            && self.is_over()
            && !self.abandoned
        {
            channel.send(end_message(self.id, status));
        }
    }

    /// Writes queued standard input as far as the pipe takes it, and returns credit for that.
    fn feed(&mut self, channel: &mut Channel) {
        let mut taken = 0;
        while let Some(stdin) = &mut self.stdin
            && taken < self.stdin_queue.len()
        {
            match stdin.write(&self.stdin_queue[taken..]) {
                Ok(written) => taken += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It has closed its standard input.
                Err(_) => self.stdin = None,
            }
        }
        if self.stdin.is_none() {
            taken = self.stdin_queue.len();
        }
        self.stdin_queue.drain(..taken);
        if self.stdin_ends && self.stdin_queue.is_empty() {
            self.stdin = None;
        }
        if let Ok(bytes @ 1..) = u32::try_from(taken)
            && !self.abandoned
        {
            channel.send(FromAgent::Credit { process: self.id, bytes });
        }
    }
}

/// Makes the pipes non-blocking and opens the handle that tells of the process's end.
fn prepare(
    pid: Pid,
    stdin: Option<&ChildStdin>,
    stdout: Option<&ChildStdout>,
    stderr: Option<&ChildStderr>,
) -> Result<OwnedFd, Errno> {
    for fd in [stdin.map(AsFd::as_fd), stdout.map(AsFd::as_fd), stderr.map(AsFd::as_fd)].into_iter().flatten() {
        rustix::fs::fcntl_setfl(fd, rustix::fs::fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
    }
    rustix::process::pidfd_open(pid, PidfdFlags::empty())
}

fn end_message(process: ProcessId, status: ExitStatus) -> FromAgent<'static> {
    // wait(2): an exit code has eight bits, a signal number seven.
    match status.signal() {
        Some(signal) => FromAgent::KilledBy { process, signal: signal as u8 },
        None => FromAgent::ExitedWith { process, code: status.code().unwrap_or_default() as u8 },
    }
}
