//! The agent in a guest: starts processes for the host and carries their input, output and end over a channel of its own.
//!
//! `terrarium-agent CHANNEL`, where CHANNEL is a device such as `/dev/ttyS1`, or `-` for standard input as a socket.
//! One thread, one poll loop, nothing that blocks on a single process. `PROTOCOL.md` describes the channel.
//!
//! `terrarium-agent copy KIND PATH REST` copies files and trees: the host starts it as it starts any program.
//!
//! `terrarium-agent feed` passes its input on to the program of an image (`feed.rs`).
//!
//! As a guest's first process, it is the init of an image that has none of its own: `init.rs`.

mod channel;
mod copy;
mod feed;
mod init;
mod message;
mod output;
mod process;
mod program;
mod verdict;

use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::Signal;

use channel::Channel;
use message::{FromAgent, FromHost, ProcessId, Start, VERSION};
use process::{Process, Source};

/// Processes at a time. With the window of standard input it bounds what can be on its way to the agent to 64 KiB, which
/// the guest's terminal layer can hold.
const MAX_PROCESSES: usize = 16;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        init::run();
    }
    let Some(path) = std::env::args().nth(1) else { return ExitCode::from(2) };
    if path == program::STEP {
        return program::become_program(std::env::args_os().skip(2));
    }
    if path == copy::TASK {
        return copy::run(std::env::args_os().skip(2));
    }
    if path == feed::TASK {
        return feed::run();
    }
    serve(&path)
}

fn serve(path: &str) -> ExitCode {
    match Agent::open(path).and_then(Agent::serve) {
        // The host has let go of a socket.
        Err(Errno::PIPE) => ExitCode::SUCCESS,
        _ if path == "-" => ExitCode::FAILURE,
        // A guest without this serial port: init would start the agent again every second, for ever in vain.
        _ => loop {
            std::thread::park();
        },
    }
}

struct Agent {
    channel: Channel,
    processes: Vec<Process>,
}

impl Agent {
    fn open(path: &str) -> Result<Self, Errno> {
        let mut channel = Channel::open(path)?;
        channel.send(FromAgent::Hello { session: 0 });
        Ok(Self { channel, processes: Vec::new() })
    }

    /// Serves until the channel fails. Nothing outlives it.
    fn serve(mut self) -> Result<(), Errno> {
        let end = self.serve_on();
        self.processes.iter_mut().for_each(Process::abandon);
        end
    }

    fn serve_on(&mut self) -> Result<(), Errno> {
        loop {
            let (channel, ready) = self.wait()?;
            for (index, source) in ready {
                self.processes[index].handle(source, &mut self.channel);
            }
            if channel.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                for frame in self.channel.receive()? {
                    self.obey(&frame);
                }
            }
            for process in &self.processes {
                process.finish(&mut self.channel);
            }
            self.processes.retain(|process| !process.is_over());
            self.channel.flush()?;
        }
    }

    /// Sleeps until something can be done: what the channel is ready for, and which processes for what.
    fn wait(&self) -> Result<(PollFlags, Vec<(usize, Source)>), Errno> {
        let congested = self.channel.is_congested();
        let output = if self.channel.wants_to_write() { PollFlags::OUT } else { PollFlags::empty() };
        let channel_fd = self.channel.fd();
        let mut polled = vec![PollFd::from_borrowed_fd(channel_fd, PollFlags::IN | output)];
        let mut sources = Vec::new();
        for (index, process) in self.processes.iter().enumerate() {
            for (source, fd, flags) in process.sources(congested) {
                polled.push(PollFd::from_borrowed_fd(fd, flags));
                sources.push((index, source));
            }
        }
        match rustix::event::poll(&mut polled, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok((PollFlags::empty(), Vec::new())),
            Err(errno) => return Err(errno),
        }
        let ready = sources.into_iter().zip(&polled[1..]).filter(|(_, polled)| !polled.revents().is_empty());
        Ok((polled[0].revents(), ready.map(|(source, _)| source).collect()))
    }

    fn obey(&mut self, frame: &[u8]) {
        let Some(message) = FromHost::parse(frame) else { return };
        match message {
            FromHost::Hello { version, session } => self.greet(version, session),
            FromHost::Start { process, start } => self.start(process, &start),
            FromHost::Stdin { process, data } => {
                self.with(process, |process, channel| process.queue_stdin(&data, channel));
            }
            FromHost::StdinEnd { process } => self.with(process, Process::end_stdin),
            FromHost::Signal { process, signal } => {
                if let Some(signal) = Signal::from_named_raw(i32::from(signal)) {
                    self.with(process, |process, _| process.signal(signal));
                }
            }
            FromHost::Credit { process, bytes } => self.with(process, |process, _| process.add_credit(bytes)),
        }
    }

    fn greet(&mut self, version: u16, session: u32) {
        for process in &mut self.processes {
            process.abandon();
        }
        // A host of another version learns ours from the answer.
        self.channel.send(FromAgent::Hello { session: if version == VERSION { session } else { 0 } });
    }

    fn start(&mut self, id: ProcessId, start: &Start) {
        let taken = self.processes.iter().any(|process| process.is(id));
        let started = match taken {
            true => Err(Errno::EXIST),
            false if self.processes.len() >= MAX_PROCESSES => Err(Errno::AGAIN),
            false => Process::start(id, start),
        };
        match started {
            Ok(process) => {
                self.processes.push(process);
                self.channel.send(FromAgent::Started { process: id });
            }
            Err(errno) => {
                let errno = u16::try_from(errno.raw_os_error()).unwrap_or_default();
                self.channel.send(FromAgent::Failed { process: id, errno });
            }
        }
    }

    fn with(&mut self, id: ProcessId, action: impl FnOnce(&mut Process, &mut Channel)) {
        if let Some(process) = self.processes.iter_mut().find(|process| process.is(id)) {
            action(process, &mut self.channel);
        }
    }
}
