//! Standard streams that are the caller's own. Their descriptors come over a socket of their own (unix(7), SCM_RIGHTS), in one
//! datagram a process, which has been sent before that is asked for; it begins with the process's number.

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde::Deserialize;

use crate::error::{During, Error, Result};

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

/// A process's standard streams as far as they are the caller's.
pub type Given = [Option<OwnedFd>; 3];

/// Descriptors that have come, or are about to.
#[derive(Default)]
pub struct Handed {
    /// None where Node has no way to hand anything over.
    socket: Option<OwnedFd>,
    /// What came for processes that have not been asked for yet.
    waiting: BTreeMap<u32, Vec<OwnedFd>>,
}

impl Handed {
    /// What comes over `socket`, which never waits.
    pub fn new(socket: Option<OwnedFd>) -> Self {
        if let Some(socket) = &socket {
            // Fails for no descriptor that is open.
            let _ = rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC);
        }
        Self { socket, waiting: BTreeMap::new() }
    }

    /// The descriptors that have come for `process`, which are its `streams`.
    pub fn take(&mut self, process: u32, streams: &[Stream]) -> Result<Given> {
        let mut given = Given::default();
        if streams.is_empty() {
            return Ok(given);
        }
        while !self.waiting.contains_key(&process) {
            let (number, descriptors) = self.receive()?;
            self.waiting.insert(number, descriptors);
        }
        let descriptors = self.waiting.remove(&process).unwrap_or_default();
        if descriptors.len() != streams.len() {
            let reason = format!("{} descriptors have come for {} streams", descriptors.len(), streams.len());
            return Err(Error::Internal { reason });
        }
        for (stream, descriptor) in streams.iter().zip(descriptors) {
            stream.check(&descriptor)?;
            given[*stream as usize] = Some(descriptor);
        }
        Ok(given)
    }

    fn receive(&self) -> Result<(u32, Vec<OwnedFd>)> {
        let operation = "receiving descriptors";
        let socket = self.socket.as_ref().ok_or(rustix::io::Errno::NOTCONN).during(operation)?;
        let mut number = [0; 4];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let parts = &mut [IoSliceMut::new(&mut number)];
        rustix::net::recvmsg(socket, parts, &mut control, RecvFlags::CMSG_CLOEXEC).during(operation)?;
        let descriptors = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        Ok((u32::from_le_bytes(number), descriptors.flatten().collect()))
    }
}

impl Stream {
    /// Whether it is read from.
    pub fn is_input(self) -> bool {
        self == Self::Stdin
    }

    /// What a program expects of a standard stream: that it can be read or written, and that to do so waits. A directory would
    /// lead out of the container (openat(2), `..`).
    fn check(self, descriptor: &OwnedFd) -> Result<()> {
        let operation = "looking at a descriptor";
        let flags = rustix::fs::fcntl_getfl(descriptor).during(operation)?;
        let stat = rustix::fs::fstat(descriptor).during(operation)?;
        let wrong = if self.is_input() { OFlags::WRONLY } else { OFlags::RDONLY };
        let is_usable = flags & OFlags::RWMODE != wrong
            && !flags.contains(OFlags::PATH)
            && FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
        if !is_usable {
            let (option, purpose) = match self {
                Self::Stdin => ("stdin", "reading"),
                Self::Stdout => ("stdout", "writing"),
                Self::Stderr => ("stderr", "writing"),
            };
            let expected = format!("a descriptor that is open for {purpose}, of anything but a directory");
            return Err(Error::OptionInvalid { option: option.into(), expected });
        }
        rustix::fs::fcntl_setfl(descriptor, flags - OFlags::NONBLOCK).during(operation)
    }
}
